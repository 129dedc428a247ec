"""A picture of captured faces: a rendered head with some expressions, and below each the curves that the capture gives it.

PYTHONPATH=benchmarks python tools/face_picture.py --folder FOLDER -o docs/images/face.jpg

FOLDER keeps the facial actions, as for benchmarks/face_responses.py. `lift/face.json` was not measured on this person.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from face_films import Sitter, load_actions
from face_responses import landmarks
from numpy.typing import NDArray

from stpose_core.detect.mediapipe_face import MediaPipeFace
from stpose_core.files import written_whole
from stpose_core.lift.face import face_curves

PERSON, SIDE, LINES = 2, 240, 3
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {}, {"jawOpen": 0.7}, {"eyeBlinkLeft": 1.0, "mouthSmileLeft": 0.8, "mouthSmileRight": 0.4},
    {"browInnerUp": 1.0, "mouthFunnel": 0.8},
)  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sitter, look = Sitter(PERSON, load_actions(options.folder / "actions.npz"), SIDE, closeup=True), MediaPipeFace()
    drawn = [sitter.picture(expression) for expression in EXPRESSIONS]
    seen = [landmarks(look, picture) for picture in drawn]
    columns = []
    for picture, points in zip(drawn, seen):
        curves = face_curves(np.array([seen[0]] * 3 + [points], dtype=np.float32), 30.0, 0.0)
        columns.append(np.vstack([picture, bars({name: float(values[-1]) for name, values in curves.items()})]))
    data = cv2.imencode(".jpg", np.hstack(columns)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    with written_whole(options.out, overwrite=True) as partial:
        partial.write_bytes(data.tobytes())


def bars(curves: dict[str, float]) -> NDArray[np.uint8]:
    """(H, SIDE, 3) the strongest curves by name, as bars."""
    board = np.full((20 * LINES + 10, SIDE, 3), 255, np.uint8)
    strongest = sorted((name for name, value in curves.items() if value > 0.05), key=lambda name: -curves[name])
    for line, name in enumerate(strongest[:LINES]):
        low = 8 + 20 * line
        cv2.rectangle(board, (8, low), (8 + round((SIDE - 16) * curves[name]), low + 16), (150, 190, 230), -1)
        cv2.putText(board, name, (12, low + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
    if not strongest:
        cv2.putText(board, "at rest", (12, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (120, 120, 120), 1, cv2.LINE_AA)
    return board


if __name__ == "__main__":
    main()
