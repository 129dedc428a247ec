"""Errors of lifters on scenes (`map_scenes.py`), and what of the heat maps they use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from agreement import exchanged_sides
from map_scenes import COVERED, KINDS, OUTSIDE, SEEN, TURNED_AWAY, Scene
from numpy.typing import NDArray
from stpose_training.spatial.measure import LIMBS

from stpose_core.lift import Lifter
from stpose_core.lift.heatmaps import HeatMaps
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.metrics import procrustes
from stpose_core.skeletons import H36M17

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
AROUND = 4  # cells of the detector's maps, each eight pixels of its view
_LIMBS = list(H36M17.index(*LIMBS))


@dataclass(frozen=True)
class Errors:
    """Of one scene, (T, 17) metres without the pelvis: of the pose, and after alignment of each frame; NaN where no pose is."""

    plain: Floats
    aligned: Floats


def errors(lifter: Lifter, scene: Scene, maps: HeatMaps | None) -> Errors:
    """Of a scene lifted as the program does, with these maps if the lifter reads some."""
    pose = lifter(scene.keypoints, maps=maps if lifter.reads_maps else None)
    true = scene.joints - scene.joints[:, :1]
    found = np.nan_to_num(pose.xyz)
    missing = np.where(pose.posed, 0.0, np.nan)[:, None]
    plain, aligned = (np.linalg.norm(guess - true, axis=-1) + missing for guess in (found, procrustes(found, true)))
    return Errors(plain, aligned)


def true_places(scene: Scene) -> Floats:
    """(T, 17, 2) pixels of the joints."""
    middle = np.array(scene.keypoints.image_size) / 2
    return np.asarray(scene.joints[..., :2] / scene.joints[..., 2:] * scene.focal + middle)


def groups(scene: Scene) -> dict[str, Mask]:
    """The joints of a scene that a row of the table is about: (T, 17) each, without the pelvis."""
    swapped = exchanged_sides(np.nan_to_num(scene.keypoints.xy[:, _LIMBS]), true_places(scene)[:, _LIMBS]).any(0)
    every = np.ones(scene.state.shape, bool)
    every[:, 0] = False
    hidden = scene.state != SEEN
    unread = hidden & (scene.keypoints.score < VISIBLE_SCORE)
    rows = {
        "all": every,
        "in view": ~hidden,
        "hidden": hidden,
        "hidden, by the own body": scene.state == TURNED_AWAY,
        "hidden, by people or things": scene.state == COVERED,
        "outside of the picture": scene.state == OUTSIDE,
        "hidden, and below the score that counts as seen": unread,
        "frames with exchanged sides": every & swapped[:, None],
        **{f"scenes: {kind}, hidden": hidden & (scene.kind == kind) for kind in KINDS},
    }
    return {name: rows[name] & every for name in rows}


def table(names: list[str], scenes: list[Scene], found: list[list[Errors]], seed: int = 0) -> str:
    """Markdown. found: of each lifter, of each scene. MPJPE / PA-MPJPE in mm; then MPJPE against that of the first lifter, with the
    95 % interval over scenes (bootstrap)."""
    ratios = [f"{name} / {names[0]}, MPJPE" for name in names[1:]]
    lines = ["| joints | number | " + " | ".join([*names, *ratios]) + " |", "|---|" + "---|" * (2 * len(names))]
    masks = [groups(scene) for scene in scenes]
    again = np.random.default_rng(seed).integers(0, len(scenes), (1000, len(scenes)))
    for row in masks[0]:
        posed = [mask[row] & np.isfinite(made.plain) for mask, made in zip(masks, found[0])]
        count = sum(int(chosen.sum()) for chosen in posed)
        if not count:
            continue
        cells, sums = [], []
        for each in found:
            plain, aligned = (
                np.array([getattr(made, name)[chosen].sum() for chosen, made in zip(posed, each)]) for name in ("plain", "aligned")
            )
            sums.append(plain)
            cells.append(f"{1000 * plain.sum() / count:.1f} / {1000 * aligned.sum() / count:.1f}")
        for other in sums[1:]:
            first, second = sums[0][again].sum(1), other[again].sum(1)
            low, high = np.quantile(second[first > 0] / first[first > 0], [0.025, 0.975])  # few scenes may have none of a row
            cells.append(f"{other.sum() / sums[0].sum():.3f} ({low:.3f} to {high:.3f})")
        lines.append(f"| {row} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shuffled(maps: HeatMaps, seed: int = 0) -> HeatMaps:
    """The maps of a clip in another order of frames, each in the place of the frame that it is given to: the control."""
    order = np.random.default_rng(seed).permutation(len(maps))
    return HeatMaps(maps.values[order], maps.corner, maps.cell)


def one_maximum(maps: HeatMaps) -> HeatMaps:
    """The maps without what is not around their highest value."""
    rows, columns = maps.values.shape[2:]
    best = maps.values.reshape(*maps.values.shape[:2], -1).argmax(-1)[..., None, None]
    down, across = np.abs(np.arange(rows)[:, None] - best // columns), np.abs(np.arange(columns) - best % columns)
    return HeatMaps(maps.values * ((down <= AROUND) & (across <= AROUND)), maps.corner, maps.cell)


def counted_as_seen(maps: HeatMaps) -> HeatMaps:
    """The maps without those of joints whose score does not count as seen."""
    likely = maps.values.max((2, 3), keepdims=True) >= VISIBLE_SCORE
    return HeatMaps(maps.values * likely, maps.corner, maps.cell)


CHANGES: dict[str, Callable[[HeatMaps], HeatMaps]] = {
    "none": lambda maps: maps,
    "shuffled": shuffled,
    "one-maximum": one_maximum,
    "seen": counted_as_seen,
}
"""What may be done to maps before they are lifted, to find out what of them is used."""
