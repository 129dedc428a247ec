"""Marker mocap as sources, where a folder with it is given: STPOSE_MOCAP=DIR.

Files hold arrays <clip>__quats (w first), __root_pos, __offsets, __parents and __names; metres, z up.
"""

from __future__ import annotations

import os
from pathlib import Path

import bpy
import numpy as np
import pytest
from rigs import LIMBS, character
from scenes import degrees, figure, import_track, make, pose_of, write_track

FOLDER = Path(os.environ.get("STPOSE_MOCAP", "nowhere"))
FILES = sorted(FOLDER.glob("*.npz"))[:24:4]
JOINTS = {"upper_arm": ("Arm", "humerus", "Shldr"), "forearm": ("ForeArm", "radius", "ForeArm"), "hand": ("Hand", "wrist", "Hand"),
          "thigh": ("UpLeg", "femur", "Thigh"), "shin": ("Leg", "tibia", "Shin"), "foot": ("Foot", "foot", "Foot")}  # fmt: skip
# From the files' z up to y up.
TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])

pytestmark = pytest.mark.skipif(not FILES, reason="no marker mocap: set STPOSE_MOCAP to its folder")


def matrices(turns: np.ndarray) -> np.ndarray:
    w, x, y, z = np.moveaxis(turns / np.linalg.norm(turns, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def clip_of(path: Path) -> dict:
    data = np.load(path)
    clip = data.files[0].rsplit("__", 1)[0]
    return {name: data[f"{clip}__{name}"] for name in ("quats", "root_pos", "offsets", "parents", "names")}


def joint_places(clip: dict, frames: int) -> np.ndarray:
    """(T, J, 3) where the joints are, z up, by forward kinematics of this test's own."""
    local = matrices(clip["quats"][:frames].astype(float))
    places, world = np.empty((*local.shape[:2], 3)), np.empty_like(local)
    for joint, parent in enumerate(clip["parents"]):
        if parent < 0:
            places[:, joint], world[:, joint] = clip["root_pos"][:frames], local[:, joint]
        else:
            world[:, joint] = world[:, parent] @ local[:, joint]
            places[:, joint] = places[:, parent] + world[:, parent] @ clip["offsets"][joint]
    return places


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_marker_mocap(path: Path, scene: bpy.types.Scene, tmp_path: Path) -> None:
    clip = clip_of(path)
    frames = min(60, len(clip["quats"]))
    places = joint_places(clip, frames)
    names = [str(name) for name in clip["names"]]
    # The clip as a track: the rest pose of the files is y up already, and the root's turn brings it to z up.
    turn = np.array([np.cos(np.pi / 4), -np.sin(np.pi / 4), 0, 0])
    quats = clip["quats"][:frames].astype(float)
    quats[:, 0] = multiply(turn, quats[:, 0])
    track = {
        "names": [name.replace("_End", "End") for name in names],
        "parents": clip["parents"],
        "offsets": clip["offsets"],
        "rotations": quats,
        "root": clip["root_pos"][:frames] @ TO_Y_UP.T,
        "contacts": np.zeros((frames, 4)),
        "fps": 30.0,
    }
    source = import_track(write_track(tmp_path / "clip.npz", track))
    one = character("unreal", arms_down=45, rolls=3)
    target = make(one)
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER") == {"FINISHED"}
    slots = [slot for limb in LIMBS for slot in limb]
    heads, turned = pose_of(target, [one.named()[slot] for slot in slots], range(1, frames + 1))
    direction, twist = [], []
    for number, limb in enumerate(LIMBS):
        joints = [places[:, find(names, slot)] for slot in limb]
        for part in (0, 1):
            along = heads[:, 3 * number + part + 1] - heads[:, 3 * number + part]
            direction.append(degrees(along, joints[part + 1] - joints[part]))
        first, second = joints[1] - joints[0], joints[2] - joints[1]
        bent = degrees(first, second) > 10
        axis = turned[:, 3 * number] @ one.hinges[limb[0]]
        twist.append(degrees(axis, np.cross(first, second))[bent])
    direction, twist = np.concatenate(direction), np.concatenate(twist)
    figure(f"direction of {path.stem}, mean", direction.mean(), "deg")
    figure(f"direction of {path.stem}, p95", np.percentile(direction, 95), "deg")
    figure(f"twist of {path.stem}, mean", twist.mean(), "deg")
    assert direction.mean() < 0.5
    assert np.percentile(direction, 95) < 2
    assert twist.mean() < 1


def multiply(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Quaternion product, w first."""
    w, v = first[..., :1], first[..., 1:]
    x, u = second[..., :1], second[..., 1:]
    v = np.broadcast_to(v, u.shape)
    return np.concatenate([w * x - (v * u).sum(-1, keepdims=True), w * u + x * v + np.cross(v, u)], axis=-1)


def find(names: list[str], slot: str) -> int:
    part, side = slot.split(".")
    plain, asf, poser = JOINTS[part]
    wanted = (("Left" if side == "L" else "Right") + plain, side.lower() + asf, side.lower() + poser)
    return next(names.index(name) for name in wanted if name in names)
