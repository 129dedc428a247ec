"""The conditions that a lifter is measured under: plain, with joints hidden, from near and far, slow and fast.

Cameras, noise and masks have fixed seeds for each clip, so every lifter gets the same input, and a masked clip differs from the
plain one only in its mask. The occlusion benchmark is this project's: none is published.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.data import Camera, Keypoints
from stpose_core.lift.heatmaps import HeatMaps
from stpose_core.lift.normalise import person_view
from stpose_core.skeletons import H36M17
from stpose_training.data.bodies import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, Random
from stpose_training.data.cameras import film
from stpose_training.data.confusion import confuse
from stpose_training.data.heatmaps import draw_blobs
from stpose_training.data.mocap import MOCAP_FPS, Clip
from stpose_training.data.occlusion import hide
from stpose_training.data.samples import detections_of, size_of

Mask = NDArray[np.bool_]

_SEED = 20_040
_LONGER_SIDE = 1920
_BLOCK = 8  # frames that are hidden together if a share of all joints is hidden
_MARGIN = 5  # frames at both ends of a clip outside of all runs, so that every gap has detections on both sides
_LIMBS = (LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG)


@dataclass(frozen=True)
class Condition:
    """One row of the benchmark.

    kind: "plain"; "share" of all joints hidden; "run" of frames in which five joints are hidden, "limb" one limb, "person" all;
    "mixed" as in training, most severe, with displaced and exchanged joints; "confused" joints of one side reported on
    the other. amount: the share, or frames of a run.
    distance: (least, greatest) of the camera, metres; None as in training. tempo: times as fast as recorded.
    """

    name: str
    kind: str = "plain"
    amount: float = 0.0
    distance: tuple[float, float] | None = None
    tempo: float = 1.0


PLAIN = Condition("plain")
MIXED = Condition("mixed, as in training", "mixed")
CONFUSED = Condition("sides taken for each other", "confused")
OCCLUSION = (
    *(Condition(f"{100 * share:.0f} % of joints", "share", share) for share in (0.1, 0.2, 0.3, 0.5)),
    *(Condition(f"five joints, {frames} frames", "run", frames) for frames in (5, 10, 30, 60)),
    Condition("one limb, 30 frames", "limb", 30),
    *(Condition(f"person, {frames} frame{'s' * (frames > 1)}", "person", frames) for frames in (1, 3, 5, 10, 15, 30)),
)
DISTANCES = tuple(
    Condition(f"{low:g}-{high:g} m away", distance=(low, high))
    for low, high in ((1, 1.5), (1.5, 2.5), (2.5, 4.5), (4.5, 8), (8, 12))
)
TEMPOS = tuple(Condition(f"tempo {tempo:g}", tempo=tempo) for tempo in (0.5, 0.71, 1.0, 1.41, 2.0))


@dataclass(frozen=True)
class Take:
    """A clip as a detector would report it. truth: (T, 17, 3) metres, root-relative, camera axes. masked: (T, 17) joints that the
    condition hid or displaced, besides those outside of the picture. maps: heat maps, whose peaks are the keypoints."""

    keypoints: Keypoints
    truth: NDArray[np.float64]
    masked: Mask
    maps: HeatMaps | None = None


def at_tempo(positions: NDArray[np.float32], tempo: float) -> NDArray[np.float32]:
    """(T, 17, 3) -> about T / tempo frames, by linear interpolation."""
    when = np.arange(0, len(positions) - 1 + 1e-6, tempo)
    before = np.minimum(when.astype(int), len(positions) - 2)
    part = (when - before)[:, None, None].astype(np.float32)
    return np.asarray(positions[before] * (1 - part) + positions[before + 1] * part)


def runs(frames: int, length: int, generator: np.random.Generator) -> list[slice]:
    """One run of `length` frames in every 3 * `length` (at least 90), away from the clip's ends; none if none fits."""
    period = max(90, 3 * length)
    found = []
    for begin in range(0, frames, period):
        spare = min(period, frames - begin) - length - 2 * _MARGIN
        if spare >= 0:
            start = begin + _MARGIN + int(generator.integers(spare + 1))
            found.append(slice(start, start + length))
    return found


def mask(condition: Condition, frames: int, seed: int) -> Mask:
    """(T, 17) joints that a condition hides; none for "plain" and "mixed"."""
    generator = np.random.default_rng(seed)
    hidden = np.zeros((frames, 17), bool)
    if condition.kind == "share":
        coarse = generator.random((-(-frames // _BLOCK), 17)) < condition.amount
        hidden |= coarse.repeat(_BLOCK, 0)[:frames]
    elif condition.kind in ("run", "limb", "person"):
        for run in runs(frames, int(condition.amount), generator):
            five = generator.permutation(17)[:5]
            limb = _LIMBS[int(generator.integers(len(_LIMBS)))]
            joints = {"run": list(five), "limb": list(limb), "person": list(range(17))}[condition.kind]
            hidden[run, joints] = True
    elif condition.kind not in ("plain", "mixed", "confused"):
        raise ValueError(f"unknown kind of condition '{condition.kind}'")
    return hidden


def film_clip(clip: Clip, number: int, condition: Condition, maps: bool = False) -> Take:
    """The take of one clip. Camera and noise depend only on `number`, distance and tempo. maps: with heat maps."""
    positions = at_tempo(clip.positions, condition.tempo)
    random = Random(_SEED + 1000 * number)
    near, far = condition.distance or (math.exp(0.18), math.exp(2.48))
    views = film(torch.from_numpy(positions)[None], random, (math.log(near), math.log(far)))
    found = detections_of(views, random)
    rays, score, points = found.rays, found.score, found.points
    wrong = torch.zeros_like(found.outside)
    masked = mask(condition, len(positions), _SEED + 1000 * number + 1)
    if condition.kind == "mixed":
        rays, score, wrong = hide(rays, score, Random(_SEED + 1000 * number + 2), severity=1.0, share=1.0)
        masked = wrong[0].numpy()
    if condition.kind == "confused":
        rays, score, wrong = confuse(rays, score, size_of(found.true), Random(_SEED + 1000 * number + 2))
        masked = wrong[0].numpy()
    seen = np.where(masked & (condition.kind not in ("mixed", "confused")), 0.0, score[0].double().numpy())
    reach = views.reach[0].numpy()
    size = np.maximum(2, np.round(_LONGER_SIDE * reach / reach.max())).astype(int)
    image_size = (int(size[0]), int(size[1]))
    camera = Camera.assumed(image_size)
    xy = camera.focal * rays[0].double().numpy() + np.asarray(camera.centre)
    seen_maps = None
    if maps:
        shown = torch.from_numpy(seen).float()[None]
        view = person_view(rays, shown)
        doubts = Random(_SEED + 1000 * number + 3)
        seen_maps = draw_blobs(found.true, found.rays, rays, shown, wrong, view.size, doubts).in_picture(view, camera)
    truth = (points - points[:, :, :1])[0].double().numpy()
    keypoints = Keypoints(np.where(seen[..., None] > 0, xy, np.nan), seen, MOCAP_FPS, image_size, H36M17.name)
    return Take(keypoints, truth, masked, seen_maps)


def takes(clips: Sequence[Clip], condition: Condition, maps: bool = False) -> Iterator[Take]:
    """The takes of all clips that are long enough at the condition's tempo (10 frames). maps: with heat maps, 80 kB a frame."""
    long = [(number, clip) for number, clip in enumerate(clips) if (len(clip.positions) - 1) / condition.tempo >= 10]
    return (film_clip(clip, number, condition, maps) for number, clip in long)
