"""--skeleton hero.glb -o walk.glb: the file of the character as it is, with its own joint axes, in motion."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
from own_skeletons import character, measure
from scipy.spatial.transform import Rotation
from stpose_cli.main import run
from test_formats_glb import body_motion, values_of

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.animate.onto import onto
from stpose_core.data import Motion
from stpose_core.errors import FormatError
from stpose_core.formats import load_motion, load_people, save
from stpose_core.formats.gltf import GltfBuilder


def write_hero(path: Path, matrix: bool = False) -> Motion:
    """A character in centimetres below a node that scales it, with joint axes of its own and something worn on its head."""
    body = character("unreal", arms=40, extra=("root",))
    axes = Rotation.random(len(body.names), random_state=3)
    builder, nodes = GltfBuilder(), list[dict[str, Any]]()
    for joint, (name, parent) in enumerate(zip(body.names, body.parents)):
        above = axes[int(parent)] if parent >= 0 else Rotation.identity()
        place = above.inv().apply(100 * body.offsets[joint])
        turn = above.inv() * axes[joint]
        if matrix:
            whole = np.eye(4)
            whole[:3, :3], whole[:3, 3] = turn.as_matrix(), place
            nodes.append({"name": name, "matrix": whole.T.ravel().tolist()})
        else:
            nodes.append({"name": name, "translation": place.tolist(), "rotation": turn.as_quat().tolist()})
        if parent >= 0:
            nodes[parent].setdefault("children", []).append(joint)
    joints = list(range(len(nodes)))
    nodes.append({"name": "Armature", "scale": [0.01] * 3, "children": [0]})
    triangle = builder.array(np.eye(3), "VEC3", bounds=True)
    nodes.append({"name": "hat", "mesh": 0})
    nodes[body.names.index("head")]["children"] = [*nodes[body.names.index("head")].get("children", []), len(nodes) - 1]
    builder.content.update(
        nodes=nodes, scenes=[{"nodes": [len(nodes) - 2]}], scene=0, skins=[{"joints": joints}],
        meshes=[{"primitives": [{"attributes": {"POSITION": triangle}}]}],
    )  # fmt: skip
    builder.write(path)
    return body


@pytest.mark.parametrize("matrix", [False, True], ids=["apart", "as a matrix"])
def test_the_character_itself_moves(matrix: bool, tmp_path: Path) -> None:
    hero, out = tmp_path / "hero.glb", tmp_path / "walk.glb"
    write_hero(hero, matrix)
    motion = body_motion()
    save(motion, tmp_path / "a.npz")
    assert run(["convert", str(tmp_path / "a.npz"), "-o", str(out), "--skeleton", str(hero)]) == 0
    solved = onto(motion, load_motion(hero))
    again = load_motion(out)
    assert again.names == solved.names
    np.testing.assert_allclose(forward_kinematics(again), forward_kinematics(solved), atol=1e-4)
    assert measure(motion, again).worst < 0.1
    before, after = (pygltflib.GLTF2().load_binary(str(path)) for path in (hero, out))
    assert [node.name for node in after.nodes] == [node.name for node in before.nodes]
    np.testing.assert_array_equal(values_of(after, 0), values_of(before, 0))  # the hat
    if not matrix:
        assert [node.rotation for node in after.nodes] == [node.rotation for node in before.nodes]
    assert all(node.matrix is None for node in after.nodes)
    # The control: rotations in the world's axes, as a file of this package has them, would be wrong on these joints.
    head = before.nodes[[node.name for node in before.nodes].index("head")]
    assert matrix or abs(head.rotation[3]) < 0.99


def test_other_outputs_are_files_of_the_skeleton_alone(tmp_path: Path) -> None:
    write_hero(tmp_path / "hero.glb")
    save([body_motion(), body_motion(seed=1)], tmp_path / "two.glb")
    words = ["convert", str(tmp_path / "two.glb"), "--skeleton", str(tmp_path / "hero.glb")]
    assert run([*words, "-o", str(tmp_path / "b.glb")]) == 0
    assert len(load_people(tmp_path / "b.glb")) == 2
    assert run([*words, "--person", "1", "-o", str(tmp_path / "c.bvh")]) == 0
    assert "pelvis" in load_motion(tmp_path / "c.bvh").names


def test_a_motion_of_another_skeleton_is_refused(tmp_path: Path) -> None:
    write_hero(tmp_path / "hero.glb")
    with pytest.raises(FormatError, match=r"hero\.glb: the skeleton has \d+ joints, the motion 27"):
        save(body_motion(), tmp_path / "b.glb", character=tmp_path / "hero.glb")
    assert not (tmp_path / "b.glb").exists()


def test_the_validator_of_khronos_finds_no_error(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('gltf-validator')"], capture_output=True).returncode:
        pytest.skip("gltf-validator is not installed")
    hero = write_hero(tmp_path / "hero.glb", matrix=True)
    save(onto(body_motion(), load_motion(tmp_path / "hero.glb")), tmp_path / "b.glb", character=tmp_path / "hero.glb")
    script = (
        "const fs = require('fs'); require('gltf-validator').validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))"
        ".then(report => console.log(JSON.stringify(report.issues)))"
    )
    done = subprocess.run([node, "-e", script, str(tmp_path / "b.glb")], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["numErrors"] == 0, done.stdout[:2000]
    assert "head" in hero.names
