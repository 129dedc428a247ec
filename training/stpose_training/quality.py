"""The quality of a lifter on footage without reference: measures that need no 3D, in units that a user understands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stpose_core.data import Camera, Keypoints, Mask, Pose3D
from stpose_core.lift import Lifter
from stpose_core.metrics import bone_lengths
from stpose_core.skeletons import H36M17
from stpose_core.world.contacts import Legs, decided, foot_probabilities
from stpose_core.world.ground import clearance, floor_height, room_from_camera

_FEET, _KNEES, _HIPS = [6, 3], [5, 2], [4, 1]  # left, right
_ANKLE = 0.08  # metres above the floor in standing


@dataclass(frozen=True)
class Quality:
    """reprojection: mean distance of projected from detected joints, weighted by score, per cent of the person's size in the
    picture (diagonal of the box around the joints). bones: mean over bones of the standard deviation of their length over time,
    mm. slide: mean speed of ankles that stand on the floor, cm/s; NaN if none stands. jitter: mean size of the second
    difference of joints against the pelvis, m/s^2."""

    reprojection: float
    bones: float
    slide: float
    jitter: float


ROWS = (
    ("reprojection error, % of the person's size", "reprojection"),
    ("bone-length drift, mm", "bones"),
    ("foot slide, cm/s", "slide"),
    ("jitter, m/s^2", "jitter"),
)


def quality(lifter: Lifter, clips: Sequence[Keypoints]) -> Quality:
    """The measures over all clips (17 joints), each frame with the same weight."""
    sums: dict[str, list[tuple[float, float]]] = {"reprojection": [], "bones": [], "slide": [], "jitter": []}
    for clip in clips:
        pose = lifter(clip)
        posed = pose.posed
        if not posed.any():
            continue
        sums["reprojection"].append(_reprojection(pose, clip, posed))
        lengths = bone_lengths(pose.xyz[posed], H36M17.parents)
        sums["bones"].append((1000 * float(lengths.std(0).mean()), float(posed.sum())))
        sums["slide"].append(_slide(pose, posed))
        change = np.linalg.norm(np.diff(pose.xyz, 2, axis=0), axis=-1).mean(-1) * pose.fps**2
        known = np.isfinite(change)
        sums["jitter"].append((float(change[known].sum() / max(1, known.sum())), float(known.sum())))
    return Quality(**{name: _mean(values) for name, values in sums.items()})


def table(before: Quality, after: Quality) -> str:
    """A table of both, one line per measure."""
    width = max(len(title) for title, _ in ROWS)
    lines = [f"{'on clips kept apart':<{width}}  {'before':>8}  {'after':>8}"]
    lines += [f"{title:<{width}}  {_figure(before, name):>8}  {_figure(after, name):>8}" for title, name in ROWS]
    return "\n".join(lines)


def _figure(measures: Quality, name: str) -> str:
    value = float(getattr(measures, name))
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _mean(values: list[tuple[float, float]]) -> float:
    weight = sum(count for _, count in values)
    return sum(value * count for value, count in values) / weight if weight else float("nan")


def _reprojection(pose: Pose3D, clip: Keypoints, posed: Mask) -> tuple[float, float]:
    camera: Camera = pose.camera
    points = (pose.xyz + pose.root[:, None])[posed]
    pixels = camera.focal * points[..., :2] / np.maximum(points[..., 2:], 0.05) + np.asarray(camera.centre)
    seen, score = np.asarray(clip.xy)[posed], np.asarray(clip.score)[posed]
    # The person's size in the clip, independent of the lifter: the diagonal of the box around the detected joints.
    whole = seen[(score > 0).all(1)] if (score > 0).all(1).any() else seen[(score > 0).any(1)]
    size = float(np.median(np.linalg.norm(np.nanmax(whole, 1) - np.nanmin(whole, 1), axis=-1)))
    error = np.nan_to_num(np.linalg.norm(pixels - seen, axis=-1)) / max(size, 1e-6)
    return 100 * float((error * score).sum() / max(score.sum(), 1e-9)), float(score.sum())


def _slide(pose: Pose3D, posed: Mask) -> tuple[float, float]:
    turn = room_from_camera(pose.up)
    joints = (pose.xyz + pose.root[:, None]) @ turn.T
    lowest, _ = clearance(joints[posed], _ANKLE)
    joints = joints - np.array([0.0, floor_height(lowest), 0.0])
    total = count = 0.0
    for start, stop in runs_of(posed):
        run, root = joints[start:stop], pose.root[start:stop] @ turn.T
        length = float(np.median(bone_lengths(run, H36M17.parents)[:, [1, 2, 4, 5]].sum(axis=1)) / 2)
        ankles, ray = run[:, _FEET], root / np.linalg.norm(root, axis=1, keepdims=True)
        legs = Legs(run[:, 0], run[:, _HIPS], run[:, _KNEES], ankles - np.array([0.0, _ANKLE, 0.0]), ray, length)
        standing = decided(foot_probabilities(legs, pose.fps))[:, [0, 2]]
        speed = np.linalg.norm(np.diff(ankles[..., [0, 2]], axis=0), axis=-1) * pose.fps
        both = standing[1:] & standing[:-1]
        total, count = total + 100 * float(speed[both].sum()), count + float(both.sum())
    return (total / count if count else 0.0), count


def runs_of(posed: Mask) -> list[tuple[int, int]]:
    """(start, stop) of the runs of at least three frames with a pose."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], posed.astype(int), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2]) if b - a > 2]
