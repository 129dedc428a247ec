"""2D joints in `data_2d_*.npz` as the tools of Pavllo et al. 2019 write them.

positions_2d[subject][take] is a list of arrays (T, K, 2) in pixels, one per camera; metadata says which joints are on the left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Keypoints
from stpose_core.errors import FormatError
from stpose_core.reading import expected
from stpose_core.skeletons import get_skeleton
from stpose_training.data.pickles import read_npz
from stpose_training.data.recording import given_keypoints

# Index in Human3.6M's order of each of HumanEva's 15 joints; its head is the top of the head.
HUMANEVA15 = {0: 0, 1: 8, 2: 11, 3: 12, 4: 13, 5: 14, 6: 15, 7: 16, 8: 4, 9: 5, 10: 6, 11: 1, 12: 2, 13: 3, 14: 10}


def subjects_and_takes(data: Any) -> bool:
    """Whether this is a dictionary of subjects, each a dictionary of takes, with text as keys."""
    if not isinstance(data, dict) or not all(isinstance(takes, dict) for takes in data.values()):
        return False
    return all(isinstance(name, str) for takes in (data, *data.values()) for name in takes)


def load_keypoints(path: str | Path) -> dict[str, Any]:
    """{"skeleton": its name, "positions": {subject: {take: [array of a camera, ...]}}}. Raises FormatError."""
    data, metadata = read_npz(path, "positions_2d", "metadata")
    if not subjects_and_takes(data) or not isinstance(metadata, dict) or "keypoints_symmetry" not in metadata:
        raise FormatError(f"{path}: expected dictionaries 'positions_2d' and 'metadata' with 'keypoints_symmetry'")
    with expected(f"{path}: 'metadata'"):
        joints = int(metadata["num_joints"])
        left = sorted(int(joint) for joint in np.ravel(metadata["keypoints_symmetry"][0]))
    for skeleton in ("h36m17", "coco17"):
        if joints == 17 and left == sorted(pair[0] for pair in get_skeleton(skeleton).pairs):
            return {"skeleton": skeleton, "positions": data}
    if joints == 15 and left == [2, 3, 4, 8, 9, 10]:
        return {"skeleton": "humaneva15", "positions": data}
    raise FormatError(f"{path}: {joints} joints with {str(left)[:100]} on the left are not a known joint set")


def keypoints_of(
    seen: dict[str, Any], *, subject: str, take: str, camera: int, frames: int, fps: float, image_size: tuple[int, int], what: str
) -> Keypoints | None:
    """2D joints of one take and camera: the first `frames`, because some videos have a few more. None if there are none.

    `what` names the file and the take in errors. Raises FormatError.
    """
    with expected(what):
        cameras = seen["positions"].get(subject, {}).get(take)
        if cameras is None or camera >= len(cameras) or cameras[camera] is None:
            return None
        xy = np.asarray(cameras[camera], dtype=np.float64)
        joints = 15 if seen["skeleton"] == "humaneva15" else 17
        if xy.ndim != 3 or xy.shape[1] != joints or xy.shape[2] not in (2, 3):
            raise FormatError(f"{what}: an array of shape {xy.shape} where (T, {joints}, 2) pixels are expected")
        if len(xy) < frames:
            raise FormatError(f"{what}: {len(xy)} frames of 2D joints for {frames} frames of 3D joints")
        xy, score = xy[:frames, :, :2], xy[:frames, :, 2].clip(0, 1) if xy.shape[2] == 3 else None
        skeleton = seen["skeleton"]
        if skeleton == "humaneva15":
            skeleton, whole = "h36m17", np.full((frames, 17, 2), np.nan)
            whole[:, list(HUMANEVA15.values())] = xy[:, list(HUMANEVA15)]
            xy, score = whole, None
        return given_keypoints(xy, fps, image_size, skeleton, score)
