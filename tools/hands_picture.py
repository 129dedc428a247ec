"""A picture of captured hands: frames of a film, and below each the captured motion, without corrections, as a solid figure.

python benchmarks/extremity_films.py --kit CACHE/kit.npz --mocap MOCAP -o FILMS
python tools/hands_picture.py --film FILMS/55_02_5.mp4 --frames 8 24 40 56 -o docs/images/hands.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from make_demo import studio
from mannequin import Mannequin
from stpose_training.synth.scene import Light, View, develop

import stpose_core as sp
from stpose_core.files import written_whole
from stpose_core.video import read_frames

FINER = 2


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", required=True)
    parser.add_argument("--side", action="store_true", help="the figure from its left")
    parser.add_argument("--width", type=int, default=300, help="of each frame, pixels")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    capture = sp.capture(options.film, detector="mediapipe", hands=True)
    figure, light = Mannequin(capture.motion), Light()
    width, height = capture.keypoints.image_size
    size = (options.width, round(options.width * height / width))
    eye = (2.4, 0.0, 1.45) if options.side else (0.0, -2.4, 1.45)
    view = View(eye, (0.0, 0.0, 1.25), 1.25 * size[1] * FINER, (size[0] * FINER, size[1] * FINER))
    pictures = {frame.index: frame.image for frame in read_frames(options.film) if frame.index in options.frames}
    columns = []
    for number in options.frames:
        drawn = develop(figure.picture(number, view, studio(view), light)[None], FINER)[0].numpy()
        columns.append(np.vstack([cv2.resize(pictures[number], size, interpolation=cv2.INTER_AREA), drawn]))
    data = cv2.imencode(".jpg", np.hstack(columns)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    with written_whole(options.out, overwrite=True) as partial:
        partial.write_bytes(data.tobytes())


if __name__ == "__main__":
    main()
