"""How well a spatial network finds the joints of people in labelled photographs, whose boxes are given.

Object keypoint similarity and average recall as COCO defines them (cocodataset.org/#keypoints-eval), over the 12 limb joints.
Labels are compared in this project's joints, to which COCO's are converted as in training
(`stpose_training.data.coco.as_h36m`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.detect.views import view_of
from stpose_core.errors import FormatError
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.skeletons import H36M17
from stpose_training.data.coco import read_photos
from stpose_training.precision import pays_in_bfloat16
from stpose_training.spatial.feed import known, plain_view
from stpose_training.spatial.measure import LIMBS, find
from stpose_training.synth.cache import Shard, read_shard, shards
from stpose_training.vision.labelled import PEOPLE, joined, people_of
from stpose_training.vision.pixels import shown

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
# COCO's standard deviations of labels, as a share of the root of a person's area, by the ends of the names of joints.
_SIGMAS = {"shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089}
_LIMB_INDEX = H36M17.index(*LIMBS)
_BATCH = 32


@dataclass(frozen=True)
class PhotoTruth:
    """People in views of a network's size. pictures: (N, H, W, 3) bytes. joints: (N, 12, 2) of LIMBS, pixels of the view. labelled:
    (N, 12). size: (N,) root of the person's area, pixels of the view."""

    pictures: NDArray[np.uint8]
    joints: Floats
    labelled: Mask
    size: Floats


def oks(found: Floats, true: Floats, labelled: Mask, size: Floats) -> Floats:
    """Object keypoint similarity (N,) of limb joints (N, 12, 2) in the order of LIMBS: mean over labelled joints (N, 12) of
    exp(-d^2 / (2 s^2 (2 sigma)^2)), s (N,) being the root of the person's area. NaN for people without a labelled joint."""
    spread = 2 * np.array([_SIGMAS[name[2:]] for name in LIMBS]) * size[:, None]
    alike = np.exp(-((found - true) ** 2).sum(-1) / (2 * spread**2))
    count = labelled.sum(1)
    return np.asarray(np.where(count > 0, (alike * labelled).sum(1) / np.maximum(count, 1), np.nan))


def average_recall(similarity: Floats) -> float:
    """Mean over the thresholds 0.50, 0.55, ... 0.95 of the share of people (N,) whose similarity reaches it."""
    return float((similarity[:, None] >= THRESHOLDS).mean())


def photo_truth(source: Path, size: tuple[int, int]) -> PhotoTruth:
    """All people of a set of labelled photographs who have labelled limb joints. Raises FormatError if there are none."""
    found = _truth(people_of(read_photos(source)), size)
    if found is None:
        raise FormatError(f"{source}: no person has labelled limb joints")
    return found


def kept_apart(folder: Path, size: tuple[int, int]) -> PhotoTruth | None:
    """The people that a run keeps apart (`vision.labelled`); None if there are none."""
    return _truth((read_shard(path) for path in shards(folder, f"{PEOPLE}-validation")), size)


def _truth(parts: Iterable[Shard], size: tuple[int, int]) -> PhotoTruth | None:
    own = list(parts)
    if not own:
        return None
    shard = joined(own)
    limbs = [row for row in range(len(shard.jpeg)) if known(shard.state[row, 0])[_LIMB_INDEX].any()]
    if not limbs:
        return None
    views = [plain_view(shard, row, size) for row in limbs]
    scales = [np.sqrt(abs(np.linalg.det(view_of(shard.box[row, 0].astype(np.float64), size)[:, :2]))) for row in limbs]
    return PhotoTruth(
        pictures=np.stack([view.picture for view in views]),
        joints=np.stack([view.joints[_LIMB_INDEX] for view in views]),
        labelled=np.stack([known(shard.state[row, 0])[_LIMB_INDEX] for row in limbs]),
        size=shard.pixels[limbs] * np.array(scales),
    )


@torch.no_grad()
def judge_photos(network: SpatialNetwork, truth: PhotoTruth, device: torch.device, mirrored: bool = False) -> dict[str, float]:
    """oks: mean similarity; ar: average recall; recall_50, recall_75: share of people at these thresholds. mirrored: the mean with
    the maps of the mirror images is read."""
    training = network.training
    network.eval()
    places = []
    for at in range(0, len(truth.pictures), _BATCH):
        pictures = shown(torch.from_numpy(truth.pictures[at : at + _BATCH]), device)
        with torch.autocast(device.type, torch.bfloat16, enabled=pays_in_bfloat16(device.type)):
            places.append(find(network, pictures, mirrored)[0][:, _LIMB_INDEX].cpu().double().numpy())
    network.train(training)
    similarity = oks(np.concatenate(places), truth.joints, truth.labelled, truth.size)
    measured = {"oks": float(similarity.mean()), "ar": average_recall(similarity)}
    measured |= {f"recall_{level}": float((similarity >= level / 100).mean()) for level in (50, 75)}
    return {name: round(value, 4) for name, value in measured.items()}
