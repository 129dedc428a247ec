"""What feet and legs of a skinned body do, measured on its evaluated skin and bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bodies import Body, skin_in_motion
from scenes import degrees, pose_of

LIMBS = ("upper_arm", "forearm", "thigh", "shin")
_NEXT = {"upper_arm": "forearm", "forearm": "hand", "thigh": "shin", "shin": "foot"}
_LOW, _SLOW, _LONG = 0.025, 0.01, 4  # m above the ground, m a frame, frames: a point of the sole that stands without a lock


@dataclass
class Measured:
    """A body in motion, in metres. lowest: (T,). soles: (T, 4, 3) left heel, ball, right heel, ball. joints: by bone key.

    skin: (T, V, 3).
    """

    lowest: np.ndarray
    soles: np.ndarray
    joints: dict[str, np.ndarray]
    skin: np.ndarray

    @property
    def limbs(self) -> np.ndarray:
        """(T, 8, 3) directions of arms and legs."""
        return np.stack([self.joints[f"{_NEXT[p]}.{s}"] - self.joints[f"{p}.{s}"] for p in LIMBS for s in "LR"], axis=1)

    @property
    def knees(self) -> np.ndarray:
        """(T, 2) degrees of bend."""
        bones = [
            [self.joints[f"{b}.{s}"] - self.joints[f"{a}.{s}"] for a, b in (("thigh", "shin"), ("shin", "foot"))] for s in "LR"
        ]
        return np.stack([degrees(first, second) for first, second in bones], axis=1)

    def apart(self) -> np.ndarray:
        """(T,) how far the left ankle is to the left of the right one, along the hips."""
        beside = (self.joints["thigh.L"] - self.joints["thigh.R"]) * [1, 1, 0]
        beside = beside / np.linalg.norm(beside, axis=1, keepdims=True)
        return ((self.joints["foot.L"] - self.joints["foot.R"]) * beside).sum(-1)

    def stands(self) -> np.ndarray:
        """(T - 1, 4) steps between two frames in which a point of the sole stands, by its height and speed alone."""
        low = self.soles[..., 2] - np.percentile(self.soles[..., 2], 2) < _LOW
        slow = np.linalg.norm(np.diff(self.soles, axis=0), axis=-1) < _SLOW
        found = low[1:] & low[:-1] & slow
        for column in found.T:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], column.astype(int), [0]])))
            for first, end in zip(edges[::2], edges[1::2]):
                column[first:end] = end - first >= _LONG
        return found

    def moved(self, path: np.ndarray) -> Measured:
        """The same, carried by `path` (T, 3)."""
        return Measured(
            self.lowest, self.soles + path[:, None], {key: place + path for key, place in self.joints.items()}, self.skin
        )


def measure(body: Body, frames: range, scale: float = 1.0) -> Measured:
    """scale: metres of one of the scene's units."""
    skin = scale * skin_in_motion(body, frames)
    joints = scale * pose_of(body.rig, list(body.bones.values()), frames)[0]
    soles = [skin[:, rows].mean(axis=1) for pair in zip(body.heels, body.balls) for rows in pair]
    return Measured(skin[..., 2].min(axis=1), np.stack(soles, axis=1), dict(zip(body.bones, np.moveaxis(joints, 1, 0))), skin)


def figures(locked: Measured, free: Measured) -> dict[str, float]:
    """Of a locked motion, against the same without lock. Lengths in cm, angles in degrees."""
    stands = free.stands()
    steps = 100 * np.linalg.norm(np.diff(locked.soles[..., :2], axis=0), axis=-1)[stands]
    pops = [np.abs(np.diff(one.knees, 2, axis=0)).max() for one in (locked, free)]
    near = np.minimum(free.apart(), 0.1) - locked.apart()
    return {
        "lowest": 100 * float(np.percentile(locked.lowest, 1)),
        "median": 100 * float(np.median(locked.lowest)),
        "slide": float(steps.mean()),
        "slide p95": float(np.percentile(steps, 95)),
        "steps": float(len(steps)),
        "crossed": float(((locked.apart() < 0) & (free.apart() >= 0)).sum()),
        "nearer": 100 * float(near.max()),
        "limbs": float(degrees(locked.limbs, free.limbs).mean()),
        "pop": float(pops[0] / pops[1]),
    }
