"""The moving picture of the README: a rendered person, and beside it the skeleton that stpose captures from this video.

    stpose render --cache CACHE --assets ASSETS --mocap MOCAP --preview sheet.png      # bakes CACHE/kit.npz
    python tools/make_demo.py --kit CACHE/kit.npz --mocap MOCAP/rotations/cmu_006.npz -o docs/images/demo.webp --film demo.mp4

Three steps: render a dressed person in a mocap clip (`stpose_training.synth.film`); capture this video as `stpose mocap` does;
draw the captured motion, without corrections, as a solid figure. An existing video (--film) is used and not rendered again.
The default clip is of a subject whose motions the networks were not trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from mannequin import Mannequin
from numpy.typing import NDArray
from PIL import Image
from stpose_training.synth.film import Actor, Shot, film
from stpose_training.synth.kit import load_kit
from stpose_training.synth.poses import load_clip
from stpose_training.synth.scene import Background, Light, Room, View, develop, empty_room

import stpose_core as sp
from stpose_core.files import written_whole
from stpose_core.video import read_frames
from stpose_core.video_writer import PreviewWriter

FILM = (420, 560)
FINER = 2
HEADING = 150.0  # degrees about the vertical that the clip is turned by: the subject faces the camera
ACTOR = Actor((0.9, 0.68, 0.6, 0.4, 0.5, 0.6), ("male_casualsuit06_top", "male_casualsuit04_bottom", "shoes05", "ponytail01"), 23)
EYE, TARGET = (0.0, -4.0, 1.30), (0.0, 0.0, 0.95)


def camera(size: tuple[int, int]) -> View:
    """The camera of the film; the figure is drawn as the same camera sees it."""
    return View(EYE, TARGET, 1.72 * size[1], size)


def render_film(kit: Path, mocap: Path, clip: str, out: Path) -> None:
    """The video: a person in a plain room."""
    view, light = camera((FILM[0] * FINER, FILM[1] * FINER)), Light()
    motion = load_clip(mocap, clip)
    shot = Shot(view, empty_room(view, Room(), light), light)
    with PreviewWriter(out, motion.fps, FILM) as writer:
        for picture in film(load_kit(kit), motion, ACTOR, float(np.radians(HEADING)), shot):
            writer.write(develop(picture[None], FINER)[0].numpy())


def studio(view: View) -> Background:
    """An empty floor with a grid of half metres, which fades into a plain wall."""
    eye, rays = torch.tensor(view.eye), view.rays()
    reach = torch.where(rays[..., 2] < -1e-6, -eye[2] / rays[..., 2], torch.inf)
    place = eye + rays * reach.clamp(max=1e3)[..., None]
    fade = torch.exp(-((place[..., :2].norm(dim=-1) / 3.0) ** 2))
    line = ((place[..., :2] / 0.5).frac().abs() - 0.5).abs().amax(-1) > 0.5 - 0.012 / 0.5
    colour = torch.tensor([0.60, 0.63, 0.68]) - (0.10 + 0.16 * line.float())[..., None] * fade[..., None]
    on_floor = torch.isfinite(reach)
    return Background(
        torch.where(on_floor[..., None], colour, torch.tensor([0.60, 0.63, 0.68])),
        torch.where(on_floor[..., None], place[..., :2], torch.nan),
    )


def draw_capture(motion: sp.Motion, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """The captured motion as pictures of that size."""
    view = camera((size[0] * FINER, size[1] * FINER))
    background, light, figure = studio(view), Light(), Mannequin(motion)
    return [develop(figure.picture(frame, view, background, light)[None], FINER)[0].numpy() for frame in range(len(motion))]


def labelled(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The picture with a line of text at its lower edge."""
    picture = np.ascontiguousarray(picture)
    for colour, thickness in (((30, 30, 30), 3), ((245, 245, 245), 1)):
        cv2.putText(picture, text, (10, len(picture) - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return picture


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True)
    parser.add_argument("--mocap", type=Path, required=True, help="a file of rotations")
    parser.add_argument("--clip", default="06_14")
    parser.add_argument("--film", type=Path, default=Path("demo.mp4"))
    parser.add_argument("--detector", default="builtin")
    parser.add_argument("--size", type=int, nargs=2, default=(300, 400), metavar=("WIDTH", "HEIGHT"), help="of each half")
    parser.add_argument("--quality", type=int, default=70)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/images/demo.webp"))
    options = parser.parse_args()
    size = (options.size[0], options.size[1])
    torch.set_num_threads(1)
    if not options.film.exists():
        render_film(options.kit, options.mocap, options.clip, options.film)
    capture = sp.capture(options.film, detector=options.detector)
    figures = draw_capture(capture.motion, size)
    pages = []
    for frame, figure in zip(read_frames(options.film), figures):
        video = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
        halves = (labelled(np.asarray(video, np.uint8), "video"), labelled(figure, "captured"))
        pages.append(Image.fromarray(np.hstack(halves)))
    step = round(1000 / capture.motion.fps)
    with written_whole(options.out, overwrite=True) as partial:
        pages[0].save(
            partial, format="webp", save_all=True, append_images=pages[1:], duration=step, loop=0, quality=options.quality, method=6
        )
    seen = capture.keypoints.seen.mean()
    print(f"{options.out}: {len(pages)} frames, {options.out.stat().st_size / 1e6:.2f} MB; detected in {seen:.0%} of the frames")


if __name__ == "__main__":
    main()
