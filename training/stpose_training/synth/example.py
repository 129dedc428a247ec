"""Renders the example clip: a person who walks and turns in a plain room, and a file of the true joints.

    python -m stpose_training.synth.example --mocap cmu_026.npz --clip 26_01 -o examples/walk.mp4

Writes OUT.mp4 and OUT.reference.npz. The mocap file is one of rotations (see `poses.py`).
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from stpose_core.skeletons import H36M17
from stpose_training.synth.body import Body, Posed, Rest, load_body
from stpose_training.synth.looks import Look, dress
from stpose_training.synth.points import h36m17_points
from stpose_training.synth.poses import Clip, axis_turn, curl_fingers, load_clip, retarget
from stpose_training.synth.scene import Light, Room, View, develop, empty_room, render

PERSON = (0.08, 0.72, 0.60, 0.45, 0.50, 0.7)  # phenotypes of `body.PHENOTYPES`
SUPERSAMPLE = 2


def pose_clip(body: Body, clip: Clip, look: Look, heading: float) -> Posed:
    """The person of the example in the poses of a clip, turned by `heading` radians, feet on the floor, around x = y = 0."""
    plain = body.rest(torch.tensor([PERSON]))
    turns, root = retarget(clip, body, plain)
    turns = curl_fingers(body, plain, turns, 0.25)
    turn = axis_turn(torch.tensor([0.0, 0.0, 1.0]), heading)
    turns, root = turn @ turns, root @ turn.T
    dressed = dress(body, plain, look)
    rest = Rest(dressed.vertices.expand(len(clip), -1, -1), dressed.heads.expand(len(clip), -1, -1))
    posed = body.pose(rest, turns, root)
    lowest = posed.vertices[..., 2].amin(dim=1).median()
    middle = (root[:, :2].amin(0) + root[:, :2].amax(0)) / 2
    shift = -torch.cat([middle, lowest[None]])
    return Posed(posed.vertices + shift, posed.heads + shift, turns)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mocap", type=Path, required=True)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--start", type=int, default=0, help="first frame of the clip")
    parser.add_argument("--frames", type=int, default=165)
    parser.add_argument("--heading", type=float, default=0.0, help="heading of the walk, degrees")
    parser.add_argument("--size", type=int, nargs=2, default=(540, 720), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("-o", "--out", type=Path, default=Path("examples/walk.mp4"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    body, look, light = load_body(), Look(), Light()
    clip = load_clip(options.mocap, options.clip)[options.start : options.start + options.frames]
    posed = pose_clip(body, clip, look, float(np.radians(options.heading)))
    width, height = options.size
    view = View((0.0, -3.9, 1.35), (0.0, 0.0, 0.88), 1.12 * height, (width, height))
    large = view.enlarged(SUPERSAMPLE)
    background = empty_room(large, Room(), light)
    partial = options.out.with_name(f".{options.out.stem}.partial.mp4")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(clip.fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "21", "preset": "slow"}
        for frame in range(len(clip)):
            one = Posed(posed.vertices[frame, None], posed.heads[frame, None], posed.turns[frame, None])
            picture = develop(render(body, one, look, large, background, light), SUPERSAMPLE)[0]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture.numpy(), format="rgb24")))
        container.mux(stream.encode())
    partial.replace(options.out)
    joints = view.to_camera(h36m17_points(body, posed))
    np.savez_compressed(
        options.out.with_suffix(".reference.npz"),
        joints=joints.numpy().astype(np.float32),
        names=np.array(H36M17.joints),
        up=view.rotation.numpy()[:, 2].astype(np.float32),
        focal=view.focal,
        centre=np.array(view.centre),
        image_size=np.array(view.size),
        fps=clip.fps,
    )
    print(f"{options.out}: {len(clip)} frames, {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
