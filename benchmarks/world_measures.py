"""What is measured of a motion in the world, against marker mocap. Truth: metres, y up; motions are turned about y to fit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from stpose_training.data.filmed import Scene

from stpose_core.animate import MOTION_FROM_H36M, forward_kinematics
from stpose_core.data import Array, Mask, Motion, Pose3D
from stpose_core.metrics import procrustes
from stpose_core.skeletons import H36M17

BINS = (0, 10, 30, 60, 100, 140)
_LEVEL = np.array([0, 2])
_LIMBS = H36M17.index("r_knee", "r_ankle", "l_knee", "l_ankle", "r_elbow", "r_wrist", "l_elbow", "l_wrist")
_KNEES = (H36M17.index("l_hip", "l_knee", "l_ankle"), H36M17.index("r_hip", "r_knee", "r_ankle"))
_ELBOWS = (H36M17.index("l_shoulder", "l_elbow", "l_wrist"), H36M17.index("r_shoulder", "r_elbow", "r_wrist"))
_ANKLES = H36M17.index("l_ankle", "r_ankle")
_LYING = 0.35  # m of the pelvis above the floor, below which a person sits or lies on it


@dataclass(frozen=True)
class Result:
    """One shot and what was made of it. lifted, fitted: (T, 17, 3) joints in camera axes."""

    scene: Scene
    kind: str
    lifted: Pose3D
    fitted: Pose3D
    motion: Motion


def flexion(joints: Array, limbs: Sequence[Sequence[int]]) -> Array:
    """(T, limbs) degrees off straight of the middle joint of each limb."""
    angles = []
    for first, middle, last in limbs:
        upper, lower = joints[:, middle] - joints[:, first], joints[:, last] - joints[:, middle]
        cross = np.linalg.norm(np.cross(upper, lower), axis=-1)
        angles.append(np.degrees(np.arctan2(cross, (upper * lower).sum(-1))))
    return np.stack(angles, axis=1)


def turned_to(places: Array, true: Array) -> Array:
    """(3, 3) the turn about y that brings points (N, 3) nearest to others, both about their middles."""
    p, t = (points - points.mean(0) for points in (places, true))
    angle = np.arctan2((p[:, 2] * t[:, 0] - p[:, 0] * t[:, 2]).sum(), (p[:, 0] * t[:, 0] + p[:, 2] * t[:, 2]).sum())
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _slides(points: Array, on: Mask) -> Array:
    """Metres that points (T, P, 3) move along the floor in each frame pair in which both are on the ground (T, P)."""
    return np.linalg.norm(np.diff(points, axis=0)[..., _LEVEL], axis=-1)[on[1:] & on[:-1]]


def measures(results: list[Result]) -> dict[str, float]:
    """All figures but those by bin of flexion. Lengths in cm or mm as their names say; shares in percent."""
    slide, own, deep, error, aligned, path, stands, shake, own_shake = ([] for _ in range(9))
    pops, own_pops, travelled, seat, own_seat = [], [], [], [], []
    told = {part: np.zeros(3) for part in ("heel", "toe")}
    for result in results:
        scene, motion = result.scene, result.motion
        places = forward_kinematics(motion)
        at = {name: places[:, index] for index, name in enumerate(motion.names)}
        joints = np.stack([at[MOTION_FROM_H36M[name]] for name in H36M17.joints], axis=1)
        feet = np.stack([at["LeftFoot"], at["LeftToeBase"], at["RightFoot"], at["RightToeBase"]], axis=1)
        true_feet = np.stack([p for f in (0, 1) for p in (scene.joints[:, _ANKLES[f]], scene.balls[:, f])], axis=1)
        slide.append(_slides(feet, scene.contacts))
        own.append(_slides(true_feet, scene.contacts))
        lying = scene.joints[:, :1, 1] < _LYING
        seat.append(_slides(joints[:, :1], lying))
        own_seat.append(_slides(scene.joints[:, :1], lying))
        if scene.level:
            toes = [at[side + part][:, 1] for side in ("Left", "Right") for part in ("ToeBase", "ToeEnd")]
            deep.append(np.maximum(0.0, -np.min(toes, axis=0)))
        relative, true = joints - joints[:, :1], scene.joints - scene.joints[:, :1]
        turn = turned_to(relative.reshape(-1, 3), true.reshape(-1, 3))
        error.append(np.linalg.norm(relative @ turn.T - true, axis=-1))
        aligned.append(np.linalg.norm(procrustes(relative, true) - true, axis=-1))
        shake.append(np.linalg.norm(np.diff(joints[:, _LIMBS], 2, axis=0), axis=-1))
        own_shake.append(np.linalg.norm(np.diff(scene.joints[:, _LIMBS], 2, axis=0), axis=-1))
        pops.append(np.abs(np.diff(flexion(joints, _KNEES), 2, axis=0)).max())
        own_pops.append(np.abs(np.diff(flexion(scene.joints, _KNEES), 2, axis=0)).max())
        for part, columns in (("heel", [0, 2]), ("toe", [1, 3])):
            said, is_on = motion.contacts[:, columns] > 0.5, scene.contacts[:, columns]
            told[part] += [(said & is_on).sum(), (said & ~is_on).sum(), (~said & is_on).sum()]
        root, true_root = joints[:, 0], scene.joints[:, 0]
        if scene.standing:
            off = (root - root[:1]) @ turn.T - (true_root - true_root[:1])
            stands.append(np.linalg.norm(off[:, _LEVEL], axis=1).max())
        distance = np.linalg.norm(np.diff(true_root[::3], axis=0)[:, _LEVEL], axis=1).sum()
        if distance > 1.5 and not scene.standing:
            root, true_root = root - root.mean(0), true_root - true_root.mean(0)
            off = root @ turned_to(root, true_root).T - true_root
            path.append(np.linalg.norm(off[:, _LEVEL], axis=1).mean())
            travelled.append(distance)

    def mean(parts: list[Array]) -> float:
        parts = [part for part in parts if part.size]
        return float(np.concatenate([np.ravel(part) for part in parts]).mean()) if parts else float("nan")

    f1 = {part: 100 * 2 * hit / max(1.0, 2 * hit + wrong + missed) for part, (hit, wrong, missed) in told.items()}
    return {
        "slide in stance, cm/frame": 100 * mean(slide),
        "  of the mocap itself": 100 * mean(own),
        "slide of who sits or lies, cm/frame": 100 * mean(seat),
        "  of the mocap, sitting or lying": 100 * mean(own_seat),
        "joint error, mm": 1000 * mean(error),
        "aligned joint error, mm": 1000 * mean(aligned),
        "floor, 99th percentile below, cm": 100 * float(np.percentile(np.concatenate(deep), 99)) if deep else float("nan"),
        "knee's largest change of change / mocap's": float(np.mean(pops) / np.mean(own_pops)),
        "  median over clips": float(np.median(np.array(pops) / np.array(own_pops))),
        "contacts F1, heel, %": f1["heel"],
        "contacts F1, toe, %": f1["toe"],
        "root path error, % of distance": 100 * float(np.sum(path) / np.sum(travelled)) if path else float("nan"),
        "drift of who stands, cm": 100 * float(np.mean(stands)) if stands else float("nan"),
        "jitter, mm/frame^2": 1000 * mean(shake),
        "  jitter of the mocap": 1000 * mean(own_shake),
    }


def bends(results: list[Result]) -> dict[str, list[tuple[str, int, list[float]]]]:
    """Rows for knees and elbows: bin of true flexion, samples, medians of the true, lifted, fitted and animated one, degrees."""
    tables: dict[str, list[tuple[str, int, list[float]]]] = {}
    for name, limbs in (("knee", _KNEES), ("elbow", _ELBOWS)):
        columns: list[list[Array]] = [[], [], [], []]
        for result in results:
            places = forward_kinematics(result.motion)
            joints = places[:, [result.motion.names.index(MOTION_FROM_H36M[joint]) for joint in H36M17.joints]]
            posed = result.lifted.posed
            for column, shown in zip(columns, (result.scene.joints, result.lifted.xyz, result.fitted.xyz, joints)):
                column.append(flexion(shown[posed], limbs).ravel())
        true, lifted, fitted, animated = (np.concatenate(column) for column in columns)
        rows: list[tuple[str, int, list[float]]] = []
        for low, high in zip(BINS, BINS[1:]):
            inside = (true >= low) & (true < high)
            if inside.sum() >= 20:
                medians = [float(np.median(values[inside])) for values in (true, lifted, fitted, animated)]
                rows.append((f"{low}-{high}", int(inside.sum()), medians))
        tables[name] = rows
    return tables
