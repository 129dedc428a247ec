"""A contact sheet of rendered pictures with their labels drawn, for checks by eye."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.files import written_whole
from stpose_core.skeletons import H36M17
from stpose_training.synth.pictures import OUTSIDE, VISIBLE, Pictures

_LEFT, _RIGHT, _MIDDLE = (255, 130, 40), (40, 60, 255), (60, 220, 60)  # BGR


def draw_sheet(pictures: list[Pictures], path: Path, columns: int = 8) -> None:
    """Writes each picture beside a copy with its labels: the person's right in red, the left in blue; visible joints filled,
    hidden ones as rings; the subject's box yellow, others grey."""
    tiles = []
    for batch in pictures:
        for row in range(len(batch.rgb)):
            plain = np.ascontiguousarray(batch.rgb[row].permute(1, 2, 0).cpu().numpy()[..., ::-1])
            tiles.append(np.concatenate([plain, _labelled(plain.copy(), batch, row)], axis=1))
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    lines = [np.concatenate(tiles[at : at + columns], axis=1) for at in range(0, len(tiles), columns)]
    with written_whole(path, overwrite=True) as part:
        cv2.imwrite(str(part), np.concatenate(lines))


def _labelled(picture: NDArray[np.uint8], batch: Pictures, row: int) -> NDArray[np.uint8]:
    for person in reversed(range(batch.joints.shape[1])):
        box = batch.box[row, person].int().tolist()
        if box[2] <= box[0]:
            continue
        cv2.rectangle(picture, box[:2], box[2:], (0, 255, 255) if person == 0 else (150, 150, 150), 1)
        if person:
            continue
        joints, state = batch.joints[row, 0].cpu().numpy(), batch.state[row, 0].cpu().numpy()
        for joint, parent in enumerate(H36M17.parents):
            side = H36M17.joints[joint][:2]
            colour = {"l_": _LEFT, "r_": _RIGHT}.get(side, _MIDDLE)
            if parent >= 0:
                ends = [tuple(int(v) for v in np.clip(joints[end], -2000, 2000)) for end in (joint, parent)]
                cv2.line(picture, ends[0], ends[1], colour, 1, cv2.LINE_AA)
        for joint in range(len(joints)):
            if state[joint] != OUTSIDE:
                place = (int(joints[joint, 0]), int(joints[joint, 1]))
                cv2.circle(picture, place, 3, (255, 255, 255), -1 if state[joint] == VISIBLE else 1, cv2.LINE_AA)
    return picture
