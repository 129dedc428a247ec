"""Other programs play what stpose writes: three.js and bvhio a .bvh, and the VRM runtime of pixiv a .vrma."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bvhio
import numpy as np
import pytest
from node_kit import play
from own_skeletons import character
from scipy.spatial.transform import Rotation
from test_formats_glb import body_motion

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Array, Motion
from stpose_core.formats import save
from stpose_core.formats.figure import rest_positions
from stpose_core.formats.gltf import GltfBuilder
from stpose_core.rigs import RIGS, joint_names

MILLIMETRE = 0.1  # in centimetres, the unit of a .bvh


def in_three(path: Path, motion: Motion, folder: Path) -> dict[str, Array]:
    """(T, 3) centimetres of each joint, by the BVHLoader of three.js."""
    found = play("bvh", ("three",), folder, path, len(motion), motion.fps)
    return {name: np.array(places) for name, places in found.items()}


def in_bvhio(path: Path, motion: Motion) -> dict[str, Array]:
    """The same by bvhio."""
    root, places = bvhio.readAsHierarchy(str(path)), {}
    for frame in range(len(motion)):
        root.loadPose(frame)
        for joint, _, _ in root.layout():
            places.setdefault(joint.Name, []).append(list(joint.PositionWorld))
    return {name: np.array(found) for name, found in places.items()}


@pytest.mark.parametrize("rig", RIGS)
def test_three_and_bvhio_find_the_joints_of_a_bvh_where_they_are(rig: str, tmp_path: Path) -> None:
    motion = body_motion()
    save(motion, tmp_path / "a.bvh", rig=rig)
    theirs, names = joint_names(rig), [name for name in motion.names if not name.endswith("End")]
    expected = 100 * forward_kinematics(motion)
    for found in (in_three(tmp_path / "a.bvh", motion, tmp_path / "three"), in_bvhio(tmp_path / "a.bvh", motion)):
        assert {theirs.get(name, name) for name in names} <= set(found)
        for name in names:
            off = np.abs(found[theirs.get(name, name)] - expected[:, motion.names.index(name)]).max()
            assert off < MILLIMETRE, f"{name} is {10 * off:.2f} mm off"


def test_a_joint_that_is_turned_otherwise_fails_the_same_check(tmp_path: Path) -> None:
    motion = body_motion()
    save(replace(motion, rotations=motion.rotations[..., [0, 1, 3, 2]]), tmp_path / "a.bvh")
    found = in_three(tmp_path / "a.bvh", motion, tmp_path / "three")
    expected = 100 * forward_kinematics(motion)[:, motion.names.index("LeftHand")]
    assert np.abs(found["LeftHand"] - expected).max() > 10 * MILLIMETRE


def with_fingers(frames: int = 20, seed: int = 0) -> Motion:
    """A motion of a body with fingers, whose joints all turn."""
    body, random = character("stpose"), np.random.default_rng(seed)
    turns = np.cumsum(random.normal(size=(frames, len(body.names), 3)) * 0.1, axis=0)
    turns[:, [name.endswith("End") for name in body.names]] = 0
    rotations = Rotation.from_rotvec(turns.reshape(-1, 3)).as_quat()[:, [3, 0, 1, 2]].reshape(frames, -1, 4)
    root = np.cumsum(random.normal(size=(frames, 3)) * 0.01, axis=0) + (0.3, 0.95, 1.0)
    return replace(body, rotations=rotations, root=root, contacts=np.zeros((frames, 4)), filled=np.zeros(frames, bool))


def write_avatar(path: Path, seed: int = 4) -> Motion:
    """A VRM 1.0 avatar without a skin: the humanoid alone, in a T-pose that faces +z, of proportions and bone axes of its own.

    Returns its skeleton, with joints named as captured ones.
    """
    random = np.random.default_rng(seed)
    body = character("stpose")
    offsets = body.offsets * random.uniform(0.8, 1.2, size=(len(body.names), 1))
    axes = Rotation.random(len(body.names), random_state=seed)
    names, builder = joint_names("vrm"), GltfBuilder()
    nodes: list[dict[str, Any]] = []
    for joint, (name, parent) in enumerate(zip(body.names, body.parents)):
        above = axes[int(parent)] if parent >= 0 else Rotation.identity()
        shift = offsets[joint] if parent >= 0 else np.array([0.0, 1.0, 0.0])
        turned = (above.inv() * axes[joint]).as_quat().tolist()
        nodes.append({"name": f"bone {name}", "translation": above.inv().apply(shift).tolist(), "rotation": turned})
        if parent >= 0:
            nodes[parent].setdefault("children", []).append(joint)
    humanoid = {names[name]: {"node": joint} for joint, name in enumerate(body.names) if name in names}
    meta = {"name": "avatar", "authors": ["tests"], "licenseUrl": "https://vrm.dev/licenses/1.0/"}
    builder.content.update(
        nodes=nodes, scenes=[{"nodes": [0]}], scene=0, extensionsUsed=["VRMC_vrm"],
        extensions={"VRMC_vrm": {"specVersion": "1.0", "meta": meta, "humanoid": {"humanBones": humanoid}}},
    )  # fmt: skip
    builder.array(np.zeros(1), "SCALAR")  # a .glb has a block of numbers
    builder.write(path)
    return replace(body, offsets=offsets)


def farthest_direction(found: dict[str, Array], motion: Motion) -> float:
    """Degrees by which a limb, a finger, the spine or a foot of the avatar is off its direction in the motion, at most."""
    names, places, worst = joint_names("vrm"), forward_kinematics(motion), 0.0
    for joint, (name, parent) in enumerate(zip(motion.names, motion.parents)):
        if parent < 0 or name not in names or names[name] not in found:
            continue
        theirs = found[names[name]] - found[names[motion.names[parent]]]
        ours = places[:, joint] - places[:, parent]
        cosine = (theirs * ours).sum(-1) / np.linalg.norm(theirs, axis=-1) / np.linalg.norm(ours, axis=-1)
        worst = max(worst, float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max()))
    return worst


def play_vrma(motion: Motion, tmp_path: Path) -> dict[str, Array]:
    save(motion, tmp_path / "a.vrma")
    packages = ("three", "@pixiv/three-vrm", "@pixiv/three-vrm-animation")
    files = (tmp_path / "avatar.vrm", tmp_path / "a.vrma")
    found = play("vrma", packages, tmp_path / "vrm", *files, len(motion), motion.fps)
    return {bone: np.array(places) for bone, places in found.items()}


def test_a_vrm_avatar_moves_as_the_motion_does(tmp_path: Path) -> None:
    motion = with_fingers()
    avatar = write_avatar(tmp_path / "avatar.vrm")
    found = play_vrma(motion, tmp_path)
    assert len(found) == 52
    assert farthest_direction(found, motion) < 0.1
    # The path is scaled by the height of the hips at rest.
    ratio = 1.0 / -rest_positions(motion)[:, 1].min()
    np.testing.assert_allclose(found["hips"], ratio * motion.root, atol=0.001)
    lengths = np.linalg.norm(found["leftFoot"] - found["leftLowerLeg"], axis=1)
    assert lengths == pytest.approx(np.linalg.norm(avatar.offsets[avatar.names.index("LeftFoot")]), abs=1e-5)


def test_an_avatar_that_gets_another_motion_fails_the_same_check(tmp_path: Path) -> None:
    write_avatar(tmp_path / "avatar.vrm")
    found = play_vrma(with_fingers(seed=1), tmp_path)
    assert farthest_direction(found, with_fingers()) > 10
