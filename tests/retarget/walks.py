"""Motions whose every joint is known, as the arrays of an stpose track (y up, facing +z, metres), and their positions.

Positions are worked out here with 3 x 3 matrices, apart from the code under test.
"""

from __future__ import annotations

import numpy as np
from rigs import turn

NAMES = ("Hips", "Spine", "Chest", "UpperChest", "Neck", "Head", "HeadEnd",
         *(side + part for side in ("Left", "Right") for part in
           ("Shoulder", "Arm", "ForeArm", "Hand", "HandEnd", "UpLeg", "Leg", "Foot", "ToeBase", "ToeEnd")))  # fmt: skip
_PARENT = {"Spine": "Hips", "Chest": "Spine", "UpperChest": "Chest", "Neck": "UpperChest", "Head": "Neck", "HeadEnd": "Head",
           "Shoulder": "UpperChest", "Arm": "Shoulder", "ForeArm": "Arm", "Hand": "ForeArm", "HandEnd": "Hand", "UpLeg": "Hips",
           "Leg": "UpLeg", "Foot": "Leg", "ToeBase": "Foot", "ToeEnd": "ToeBase"}  # fmt: skip
_OFFSET = {"Hips": (0, 0, 0), "Spine": (0, 0.10, 0), "Chest": (0, 0.13, 0), "UpperChest": (0, 0.12, 0), "Neck": (0, 0.19, 0),
           "Head": (0, 0.09, 0), "HeadEnd": (0, 0.16, 0), "Shoulder": (0.02, 0.13, 0), "Arm": (0.16, 0, 0),
           "ForeArm": (0.28, 0, 0), "Hand": (0.25, 0, 0), "HandEnd": (0.10, 0, 0), "UpLeg": (0.09, -0.04, 0),
           "Leg": (0, -0.42, 0), "Foot": (0, -0.42, 0), "ToeBase": (0, -0.06, 0.13), "ToeEnd": (0, -0.02, 0.07)}  # fmt: skip
STANDING = 0.96  # m, the hips above the floor with straight legs


def _split(name: str) -> tuple[str, str]:
    for side in ("Left", "Right"):
        if name.startswith(side):
            return side, name[len(side) :]
    return "", name


PARENTS = np.array([-1 if n == "Hips" else NAMES.index(_PARENT[p] if _PARENT[p] in NAMES else s + _PARENT[p])
                    for n in NAMES for s, p in [_split(n)]])  # fmt: skip
OFFSETS = np.array([np.array(_OFFSET[p], dtype=float) * ([-1, 1, 1] if s == "Right" else [1, 1, 1])
                    for n in NAMES for s, p in [_split(n)]])  # fmt: skip


def quaternion(matrix: np.ndarray) -> np.ndarray:
    """(4,) w x y z, by the eigenvector of Bar-Itzhack's matrix (2000)."""
    m = matrix
    k = np.array([
        [m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[2, 0] + m[0, 2], m[2, 1] - m[1, 2]],
        [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
        [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
    ])  # fmt: skip
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    return np.array([w, x, y, z]) * (1 if w >= 0 else -1)


def matrices(local: dict[str, list[np.ndarray]], frames: int) -> np.ndarray:
    """(T, J, 3, 3) turns of each joint relative to its parent."""
    out = np.tile(np.eye(3), (frames, len(NAMES), 1, 1))
    for name, turns in local.items():
        out[:, NAMES.index(name)] = turns
    return out


def positions(local: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (T, J, 3) and axes (T, J, 3, 3) of all joints in the world, y up."""
    places, world = np.empty((*local.shape[:2], 3)), np.empty_like(local)
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            places[:, joint], world[:, joint] = root, local[:, joint]
        else:
            world[:, joint] = world[:, parent] @ local[:, joint]
            places[:, joint] = places[:, parent] + world[:, parent] @ OFFSETS[joint]
    return places, world


def motion(local: np.ndarray, root: np.ndarray, fps: float = 30.0, contacts: np.ndarray | None = None) -> dict:
    """The arrays of a track file."""
    quaternions = np.array([[quaternion(joint) for joint in frame] for frame in local])
    contacts = np.zeros((len(local), 4)) if contacts is None else contacts
    return {
        "names": NAMES,
        "parents": PARENTS,
        "offsets": OFFSETS,
        "rotations": quaternions,
        "root": root,
        "contacts": contacts,
        "fps": fps,
    }


def dance(frames: int = 90, fps: float = 30.0) -> tuple[dict, np.ndarray]:
    """Everything moves: trunk, neck, arms in all directions, knees and elbows on their hinges, a path with a turn.

    Returns the track and the turns (T, J, 3, 3) it is made of.
    """
    t = np.linspace(0, 2 * np.pi, frames)
    local: dict[str, list[np.ndarray]] = {
        "Hips": [turn([0, 1, 0], 60 * np.sin(a)) @ turn([1, 0, 0], 8 * np.sin(2 * a)) @ turn([0, 0, 1], 5 * np.cos(a)) for a in t],
        "Neck": [turn([0, 1, 0], 20 * np.sin(a)) for a in t],
        "Head": [turn([1, 0, 0], 15 * np.sin(2 * a)) for a in t],
    }
    for number, name in enumerate(("Spine", "Chest", "UpperChest")):
        local[name] = [turn([1, 0, 0], 6 * np.sin(a + number)) @ turn([0, 1, 0], 7 * np.cos(a)) for a in t]
    for side, out in (("Left", 1.0), ("Right", -1.0)):
        p = t + (0 if out > 0 else 1.3)
        local[side + "Shoulder"] = [turn([0, 0, 1], out * 6 * np.sin(a)) for a in p]
        local[side + "Arm"] = [
            turn([0, 0, 1], out * (-40 + 35 * np.sin(a)))
            @ turn([0, 1, 0], -out * 50 * np.sin(2 * a))
            @ turn([1, 0, 0], 30 * np.cos(a))
            for a in p
        ]
        local[side + "ForeArm"] = [turn([0, -out, 0], 50 + 45 * np.sin(a)) for a in p]
        local[side + "Hand"] = [turn([0, 0, 1], 20 * np.sin(a)) for a in p]
        local[side + "UpLeg"] = [turn([1, 0, 0], -25 - 25 * np.sin(a)) @ turn([0, 0, 1], out * 10) for a in p]
        local[side + "Leg"] = [turn([1, 0, 0], 45 + 40 * np.cos(a)) for a in p]
        local[side + "Foot"] = [turn([1, 0, 0], 10 * np.sin(a)) for a in p]
        local[side + "ToeBase"] = [turn([1, 0, 0], -8 + 8 * np.sin(a)) for a in p]
    root = np.stack([0.5 * np.sin(t), 0.85 + 0.05 * np.cos(2 * t), 1.0 * t / np.pi], axis=1)
    turns = matrices(local, frames)
    return motion(turns, root, fps), turns


def walk(steps: int = 4, fps: float = 30.0, noise: float = 0.0, seed: int = 0) -> tuple[dict, np.ndarray]:
    """A walk along +z: each foot stands still for a step, flat, while the other swings. noise: m of slow sliding put on the hips.

    Returns the track, with true contacts, and where the ankles should be: (T, 2, 3).
    """
    stride, period = 0.6, round(fps * 0.55)
    frames = steps * period + 1
    t = np.arange(frames) / period
    ankles = np.zeros((frames, 2, 3))
    contacts = np.zeros((frames, 4))
    for side in (0, 1):
        ankles[:, side, 0] = 0.09 if side == 0 else -0.09
        for frame, now in enumerate(t):
            step = int(now)
            swinging = step % 2 == side
            part = now - step
            behind = sum(1 for s in range(step) if s % 2 == side) * stride - (stride / 2 if side == 0 else 0.0)
            ease = part * part * (3 - 2 * part)
            ankles[frame, side, 2] = behind + (stride * ease if swinging else 0.0)
            ankles[frame, side, 1] = 0.08 + (0.12 * np.sin(np.pi * part) if swinging else 0.0)
            contacts[frame, 2 * side : 2 * side + 2] = 0.0 if swinging and 0.02 < part < 0.98 else 1.0
    root = np.stack([np.zeros(frames), 0.93 + 0.012 * np.cos(2 * np.pi * t), ankles[:, :, 2].mean(axis=1)], axis=1)
    random = np.random.default_rng(seed)
    drift = noise * np.stack([np.convolve(random.normal(size=frames + 20), np.hanning(21) / 4, "valid") for _ in range(3)], axis=1)
    local = matrices({}, frames)
    for side, name in enumerate(("Left", "Right")):
        out = 1.0 if side == 0 else -1.0
        hip = root + [out * 0.09, -0.04, 0]
        for frame in range(frames):
            upper, knee = _leg(ankles[frame, side] - hip[frame])
            local[frame, NAMES.index(name + "UpLeg")] = upper
            local[frame, NAMES.index(name + "Leg")] = turn([1, 0, 0], knee)
            local[frame, NAMES.index(name + "Foot")] = (upper @ turn([1, 0, 0], knee)).T
        local[:, NAMES.index(name + "Arm")] = [
            turn([0, 0, 1], -out * 75) @ turn([0, 1, 0], out * 20 * np.sin(np.pi * now)) for now in t
        ]
        local[:, NAMES.index(name + "ForeArm")] = turn([0, -out, 0], 20)
    return motion(local, root + drift, fps, contacts), ankles


def _leg(reach: np.ndarray) -> tuple[np.ndarray, float]:
    """Turn of the thigh and degrees of the knee for an ankle at `reach` (3,) from the hip; both bones are 0.42 m."""
    distance = min(np.linalg.norm(reach), 0.8399)
    knee = 2 * np.degrees(np.arccos(distance / 0.84))
    pitch = np.degrees(np.arctan2(reach[2], -reach[1]))
    sideways = np.degrees(np.arcsin(np.clip(reach[0] / distance, -1, 1)))
    return turn([1, 0, 0], -pitch) @ turn([0, 0, 1], sideways) @ turn([1, 0, 0], -knee / 2), knee
