"""GLB and VRMA: other programs find the joints where forward kinematics puts them; files of other programs can be read."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
from scipy.spatial.transform import Rotation
from test_bvh import joints_by_name, make_motion

from stpose_core.animate.body import NAMES, Rest, parents, rest_offsets
from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Motion
from stpose_core.errors import FormatError, OutputError
from stpose_core.formats import load_motion, load_people, save
from stpose_core.formats.figure import dress
from stpose_core.formats.gltf import GltfFile
from stpose_core.rigs import RIGS, recognised, renamed

MILLIMETRE = 0.001


def body_motion(frames: int = 30, fps: float = 30.0, seed: int = 0) -> Motion:
    """A body as it is captured, whose joints all turn."""
    lengths = np.array([0, 0.13, 0.44, 0.42, 0.13, 0.44, 0.42, 0.24, 0.26, 0.12, 0.11, 0.15, 0.28, 0.25, 0.15, 0.28, 0.25])
    up = np.array([0.0, 1.0, 0.0])
    random = np.random.default_rng(seed)
    turns = np.cumsum(random.normal(size=(frames, len(NAMES), 3)) * 0.1, axis=0)
    rotations = Rotation.from_rotvec(turns.reshape(-1, 3)).as_quat()[:, [3, 0, 1, 2]].reshape(frames, -1, 4)
    rotations[:, [name.endswith("End") for name in NAMES]] = (1, 0, 0, 0)
    return Motion(
        names=NAMES,
        parents=parents(),
        offsets=rest_offsets(lengths, Rest(np.array([1.0, 0, 0]), up, up)),
        rotations=rotations,
        root=np.cumsum(random.normal(size=(frames, 3)) * 0.01, axis=0) + (0.3, 0.95, 1.0),
        contacts=np.zeros((frames, 4)),
        filled=np.zeros(frames, dtype=bool),
        fps=fps,
    )


def values_of(file: pygltflib.GLTF2, index: int) -> np.ndarray:
    """The numbers of an accessor, as pygltflib finds them."""
    accessor = file.accessors[index]
    view = file.bufferViews[accessor.bufferView]
    kinds = {pygltflib.FLOAT: "<f4", pygltflib.UNSIGNED_SHORT: "<u2", pygltflib.UNSIGNED_INT: "<u4"}
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor.type]
    values = np.frombuffer(file.binary_blob(), kinds[accessor.componentType], accessor.count * width, start)
    return values.reshape(accessor.count, width)


def joints_by_pygltflib(path: Path, frame: int) -> dict[str, np.ndarray]:
    """(4, 4) the transformation of each node by its name, at a key of the animation."""
    file = pygltflib.GLTF2().load_binary(str(path))
    local = []
    for node in file.nodes:
        assert node.matrix is None
        local.append({"translation": node.translation or [0, 0, 0], "rotation": node.rotation or [0, 0, 0, 1]})
    (animation,) = file.animations
    for channel in animation.channels:
        sampler = animation.samplers[channel.sampler]
        local[channel.target.node][channel.target.path] = values_of(file, sampler.output)[frame]
    found: dict[str, np.ndarray] = {}

    def walk(index: int, above: np.ndarray) -> None:
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_quat(local[index]["rotation"]).as_matrix()
        matrix[:3, 3] = local[index]["translation"]
        found[file.nodes[index].name] = above @ matrix
        for child in file.nodes[index].children or []:
            walk(child, above @ matrix)

    for index in file.scenes[file.scene].nodes:
        walk(index, np.eye(4))
    return found


def farthest(path: Path, motion: Motion) -> float:
    """The largest distance in metres between joints of a file and those of a motion."""
    errors = [0.0]
    for frame in range(0, len(motion), 7):
        found = joints_by_pygltflib(path, frame)
        errors += [float(np.linalg.norm(found[name][:3, 3] - place)) for name, place in joints_by_name(motion, frame).items()]
    return max(errors)


@pytest.mark.parametrize("motion", [make_motion(), body_motion()], ids=["other joints", "a captured body"])
def test_another_reader_finds_the_joints_within_a_millimetre(motion: Motion, tmp_path: Path) -> None:
    save(motion, tmp_path / "a.glb")
    assert farthest(tmp_path / "a.glb", motion) < MILLIMETRE
    moved = replace(motion, offsets=motion.offsets * 1.01)
    assert farthest(tmp_path / "a.glb", moved) > MILLIMETRE
    file = pygltflib.GLTF2().load_binary(str(tmp_path / "a.glb"))
    times = values_of(file, file.animations[0].samplers[0].input)[:, 0]
    np.testing.assert_allclose(times, np.arange(len(motion)) / motion.fps, atol=1e-5)


def test_the_figure_moves_with_the_bones(tmp_path: Path) -> None:
    motion = body_motion()
    save(motion, tmp_path / "a.glb")
    file = pygltflib.GLTF2().load_binary(str(tmp_path / "a.glb"))
    (skin,), (mesh,) = file.skins, file.meshes
    binds = values_of(file, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    names = [file.nodes[joint].name for joint in skin.joints]
    assert {file.materials[one.material].name for one in mesh.primitives} == {"skin", "hair", "shirt", "trousers", "shoes"}
    frame = 20
    world = joints_by_pygltflib(tmp_path / "a.glb", frame)
    matrices = np.stack([world[name] for name in names]) @ binds
    places = forward_kinematics(motion)[frame]
    for primitive in mesh.primitives:
        points = values_of(file, primitive.attributes.POSITION)
        joints, weights = (values_of(file, getattr(primitive.attributes, name)) for name in ("JOINTS_0", "WEIGHTS_0"))
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
        homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        skinned = np.einsum("nk,nkij,nj->ni", weights, matrices[joints], homogeneous)[:, :3]
        # Clothes and skin stay near the bones, whatever the pose.
        distance = np.linalg.norm(skinned[:, None] - places, axis=-1).min(axis=1)
        assert distance.max() < 0.3
        lengths = np.linalg.norm(values_of(file, primitive.attributes.NORMAL), axis=1)
        np.testing.assert_allclose(lengths, 1.0, atol=1e-5)
        assert values_of(file, primitive.indices).max() < len(points)


def test_triangles_of_the_figure_face_outward() -> None:
    for part in dress(body_motion()):
        corners = part.positions[part.triangles]
        faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        agreeing = (faces * part.normals[part.triangles].sum(axis=1)).sum(axis=1) > 0
        assert agreeing.mean() > 0.97, part.material


def test_people_share_a_world_and_wear_different_clothes(tmp_path: Path) -> None:
    people = [body_motion(seed=1), body_motion(seed=2, frames=20)]
    save(people, tmp_path / "a.glb")
    again = load_people(tmp_path / "a.glb")
    assert len(again) == 2
    for one, other in zip(again, people):
        order = [one.names.index(name) for name in other.names]
        np.testing.assert_allclose(forward_kinematics(one)[: len(other), order], forward_kinematics(other), atol=1e-5)
        assert one.fps == other.fps
    assert dress(people[0], 0)[0].colour != dress(people[0], 1)[0].colour
    with pytest.raises(FormatError, match="2 people"):
        load_motion(tmp_path / "a.glb")
    with pytest.raises(FormatError, match=r"b\.bvh: a \.bvh holds one person, not 2"):
        save(people, tmp_path / "b.bvh")


def test_the_validator_of_khronos_finds_nothing(tmp_path: Path) -> None:
    """Needs Node.js and: npm install gltf-validator, in a folder of NODE_PATH."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('gltf-validator')"], capture_output=True).returncode:
        pytest.skip("gltf-validator is not installed")
    script = (
        "const fs = require('fs'); require('gltf-validator').validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))"
        ".then(report => console.log(JSON.stringify(report.issues)))"
    )

    def issues(path: Path) -> dict[str, Any]:
        done = subprocess.run([node, "-e", script, str(path)], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    save([body_motion(seed=1), make_motion(fps=50)], tmp_path / "a.glb")
    assert issues(tmp_path / "a.glb")["messages"] == []
    save(body_motion(), tmp_path / "a.vrma")
    found = issues(tmp_path / "a.vrma")
    assert (found["numErrors"], found["numWarnings"]) == (0, 0)
    data = bytearray((tmp_path / "a.glb").read_bytes())
    at = data.index(b'"byteLength"')
    data[at : at + 12] = b'"byteLangth"'
    (tmp_path / "a.glb").write_bytes(data)
    assert issues(tmp_path / "a.glb")["numErrors"] > 0


@pytest.mark.parametrize("rig", ["stpose", "mixamo", "unreal"])
def test_vrma_maps_the_joints_to_the_bones_of_a_humanoid(rig: str, tmp_path: Path) -> None:
    motion = renamed(body_motion(), rig)
    save(motion, tmp_path / "a.vrma")
    file = pygltflib.GLTF2().load_binary(str(tmp_path / "a.vrma"))
    extension = file.extensions["VRMC_vrm_animation"]
    assert file.extensionsUsed == ["VRMC_vrm_animation"]
    assert extension["specVersion"] == "1.0"
    bones = {bone: file.nodes[entry["node"]] for bone, entry in extension["humanoid"]["humanBones"].items()}
    assert len(bones) == 22
    places = joints_by_pygltflib(tmp_path / "a.vrma", 9)
    expected = dict(zip(NAMES, forward_kinematics(motion)[9]))
    for bone, joint in {"hips": "Hips", "leftLowerArm": "LeftForeArm", "rightToes": "RightToeBase", "head": "Head"}.items():
        np.testing.assert_allclose(places[bones[bone].name][:3, 3], expected[joint], atol=MILLIMETRE)
    # Only the hips may be moved.
    moved = {file.nodes[one.target.node].name for one in file.animations[0].channels if one.target.path == "translation"}
    assert moved == {"hips"}
    with pytest.raises(OutputError, match=r"a2\.vrma: the skeleton has no joint for hips, spine"):
        save(replace(motion, names=("x", *[f"b{number}" for number in range(1, len(NAMES))])), tmp_path / "a2.vrma")


def test_a_skeleton_with_axes_of_its_own_and_a_scaled_parent_is_read(tmp_path: Path) -> None:
    """As programs export: centimetres below a scaled node, joints whose axes are turned at rest."""
    motion = body_motion()
    save(motion, tmp_path / "a.glb")
    raw = (tmp_path / "a.glb").read_bytes()
    size = struct.unpack_from("<I", raw, 12)[0]
    content, blob = json.loads(raw[20 : 20 + size]), bytearray(raw[20 + size + 8 :])
    random = np.random.default_rng(4)
    axes = Rotation.random(len(NAMES), random_state=5)
    above = Rotation.from_euler("x", 90, degrees=True)
    places = {node["name"]: node for node in content["nodes"]}
    for joint, (name, parent) in enumerate(zip(NAMES, motion.parents)):
        # A joint's node stands in the axes of its parent's.
        base = axes[parent] if parent >= 0 else above
        places[name]["rotation"] = (base.inv() * axes[joint]).as_quat().tolist()
        places[name]["translation"] = (100 * base.inv().apply(places[name]["translation"])).tolist()
    file = GltfFile(tmp_path / "a.glb")
    for channel in content["animations"][0]["channels"]:
        sampler = content["animations"][0]["samplers"][channel["sampler"]]
        values = file.array(sampler["output"])
        joint = channel["target"]["node"]
        base = axes[motion.parents[joint]] if joint else above
        if channel["target"]["path"] == "rotation":
            values = (base.inv() * Rotation.from_quat(values) * axes[joint]).as_quat()
            values *= random.choice([-1.0, 1.0], size=(len(values), 1))
        else:
            values = 100 * base.inv().apply(values)
        start = content["bufferViews"][content["accessors"][sampler["output"]]["bufferView"]]["byteOffset"]
        stored = values.astype("<f4").tobytes()
        blob[start : start + len(stored)] = stored
    # In the place of the empty node above the joints.
    place = next(index for index, node in enumerate(content["nodes"]) if node["name"] == "person1")
    content["nodes"][place] = {"name": "Armature", "rotation": above.as_quat().tolist(), "scale": [0.01] * 3, "children": [0]}
    write_glb(tmp_path / "b.glb", content, bytes(blob))
    again = load_motion(tmp_path / "b.glb")
    order = [again.names.index(name) for name in NAMES]
    np.testing.assert_allclose(forward_kinematics(again)[:, order], forward_kinematics(motion), atol=1e-4)
    np.testing.assert_allclose(again.offsets[order][1:], motion.offsets[1:], atol=1e-5)


def write_glb(path: Path, content: object, blob: bytes = b"") -> None:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<III", 0x46546C67, 2, 28 + len(text) + len(blob)) + struct.pack("<II", len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<II", len(blob), 0x004E4942) + blob)


def described(**changed: object) -> dict[str, Any]:
    """The description of a small file with one animated joint and another below it: 4 keys in 80 bytes."""
    content: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "nodes": [{"name": "a", "children": [1]}, {"name": "b", "translation": [0, 1, 0]}],
        "skins": [{"joints": [0, 1]}],
        "buffers": [{"byteLength": 80}],
        "bufferViews": [{"buffer": 0, "byteLength": 16}, {"buffer": 0, "byteOffset": 16, "byteLength": 64}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "SCALAR"},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC4"},
        ],
        "animations": [
            {"samplers": [{"input": 0, "output": 1}], "channels": [{"sampler": 0, "target": {"node": 0, "path": "rotation"}}]}
        ],
    }
    return {**content, **changed}


def blob(times: tuple[float, ...] = (0, 0.1, 0.2, 0.3)) -> bytes:
    return np.array(times, "<f4").tobytes() + np.tile([0, 0, 0, 1], 4).astype("<f4").tobytes()


HOSTILE: dict[str, Callable[[], tuple[object, bytes]]] = {
    "no skeleton": lambda: (described(skins=[], animations=[]), blob()),
    "a loop of nodes": lambda: (described(nodes=[{"children": [1]}, {"children": [0]}]), blob()),
    "a node below itself": lambda: (described(nodes=[{"children": [0]}, {}]), blob()),
    "a node with two parents": lambda: (described(nodes=[{"children": [1]}, {}, {"children": [1]}]), blob()),
    "a child that is no node": lambda: (described(nodes=[{"children": [7]}, {}]), blob()),
    "a joint that is no node": lambda: (described(skins=[{"joints": [0, 99]}]), blob()),
    "nodes that are no objects": lambda: (described(nodes=[3, 4]), blob()),
    "too many nodes": lambda: (described(nodes=[{} for _ in range(30_000)]), blob()),
    "keys beyond the file": lambda: (described(), blob()[:40]),
    "a thousand million keys": lambda: (
        described(accessors=[{**entry, "count": 10**9} for entry in described()["accessors"]]),
        blob(),
    ),
    "a negative count": lambda: (described(accessors=[{**entry, "count": -4} for entry in described()["accessors"]]), blob()),
    "a stride of zero width": lambda: (
        described(bufferViews=[{"byteLength": 16, "byteStride": 1}, {"byteOffset": 16, "byteStride": 1}]),
        blob(),
    ),
    "keys a million years apart": lambda: (described(), blob((0, 1e-3, 2e-3, 1e13))),
    "keys without rising times": lambda: (described(), blob((0, 0.2, 0.1, 0.3))),
    "times that are not finite": lambda: (described(), blob((0, 0.1, 0.2, np.inf))),
    "rotations of no length": lambda: (described(), blob()[:16] + bytes(64)),
    "a matrix of words": lambda: (described(nodes=[{"children": [1]}, {"matrix": ["a"] * 16}]), blob()),
    "values in another file": lambda: (described(buffers=[{"byteLength": 80, "uri": "/etc/passwd"}]), blob()),
    "an unknown type of numbers": lambda: (
        described(accessors=[{**entry, "componentType": 5130} for entry in described()["accessors"]]),
        blob(),
    ),
    "channels that are a number": lambda: (described(animations=[{"samplers": [], "channels": 4}]), blob()),
    "brackets without end": lambda: (b"[" * 200_000, blob()),
    "not an object": lambda: ([1, 2], blob()),
}


def test_the_small_file_is_read(tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", described(), blob())
    motion = load_motion(tmp_path / "a.glb")
    assert (motion.names, len(motion), motion.fps) == (("a", "b"), 4, 10.0)
    write_glb(tmp_path / "a.glb", described(animations=[]), blob())
    assert len(load_motion(tmp_path / "a.glb")) == 1


@pytest.mark.parametrize("case", HOSTILE)
def test_a_damaged_file_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", *HOSTILE[case]())
    with pytest.raises(FormatError) as caught:
        load_people(tmp_path / "a.glb")
    assert "\n" not in str(caught.value)
    assert "a.glb" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("data", [b"", b"glTF", b"glTF" + bytes(8), b"hello" * 100, b"glTF\x01\0\0\0" + bytes(40)])
def test_what_is_no_glb_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.glb"):
        load_people(tmp_path / "a.glb")


def test_a_motion_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    motion = body_motion()
    with pytest.raises(OutputError, match=r"cannot write .*/a\.glb: the motion has missing values"):
        save(replace(motion, root=np.full_like(motion.root, np.nan)), tmp_path / "a.glb")
    assert list(tmp_path.iterdir()) == []


def with_hands(motion: Motion) -> Motion:
    """The motion with fingers that bend, named as a capture with hands names them."""
    names, parents, offsets = list(motion.names), list(motion.parents), list(motion.offsets)
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        for finger, title in enumerate(("Thumb", "Index", "Middle", "Ring", "Pinky")):
            above = names.index(f"{side}Hand")
            for number, end in ((1, ""), (2, ""), (3, ""), (3, "End")):
                offsets.append(np.array([sign * (0.08 if number == 1 else 0.03), 0.0, 0.02 * (2 - finger) * (number == 1)]))
                parents.append(above)
                above = len(names)
                names.append(f"{side}Hand{title}{number}{end}")
    more = len(names) - len(motion.names)
    bend = Rotation.from_rotvec(np.linspace(0, 1, len(motion))[:, None] * [0.0, 0.0, 1.0]).as_quat()[:, [3, 0, 1, 2]]
    turns = np.tile(bend[:, None], (1, more, 1))
    turns[:, 3::4] = (1, 0, 0, 0)
    rotations = np.concatenate([motion.rotations, turns], axis=1)
    return replace(motion, names=tuple(names), parents=np.array(parents), offsets=np.array(offsets), rotations=rotations)


@pytest.mark.parametrize("rig", RIGS)
def test_fingers_travel_with_the_names_of_each_rig(rig: str, tmp_path: Path) -> None:
    motion = with_hands(body_motion())
    save(motion, tmp_path / "a.glb", rig=rig)
    renamed_motion = renamed(motion, rig)
    assert farthest(tmp_path / "a.glb", renamed_motion) < MILLIMETRE
    assert recognised(load_motion(tmp_path / "a.glb")).names.count("RightHandIndex2") == 1
    save(load_motion(tmp_path / "a.glb"), tmp_path / "a.vrma")
    bones = pygltflib.GLTF2().load_binary(str(tmp_path / "a.vrma")).extensions["VRMC_vrm_animation"]["humanoid"]["humanBones"]
    assert len(bones) == 22 + 30
    assert {"leftIndexProximal", "rightLittleDistal", "leftThumbMetacarpal"} <= set(bones)
