"""Reads skeletons and their motion from binary glTF files of any program: .glb and .vrma.

A person is a hierarchy of the joints of a skin; in files without skins, of the animated nodes. The rest pose is that of the nodes.
Rotations are those of the first animation, at the rate of its keys; keys between frames are interpolated. Translations of joints
other than the root, and scales that change, are ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.formats.gltf import GltfFile
from stpose_core.formats.names import unique
from stpose_core.formats.rates import nearest_rate
from stpose_core.reading import check_table, expected
from stpose_core.retarget.rotation import blend, from_matrix, inverse, multiply, to_matrix, unit

_MOST_NODES = 20_000
_RATES = (1e-3, 1e5)  # frames per second; other values are errors
_STILL_FPS = 30.0  # of files without motion


def read_glb(path: str | Path) -> tuple[Motion, ...]:
    """The motion of each person in a file; one frame of the rest pose if it has no animation. Metres, y up.

    Raises FormatError if the file is damaged, or holds no skeleton.
    """
    file = GltfFile(path)
    with expected(str(path)):
        tree = Tree(file)
        keys = _Keys(file)
        people = _people(file, tree, keys)
        if not people:
            raise FormatError(f"{path} holds no skeleton")
        return tuple(_motion(path, tree, keys, root, joints) for root, joints in people)


class Tree:
    """The nodes of a file. parents: -1 for none. order: parents before children. local, world: (N, 4, 4) at rest."""

    def __init__(self, file: GltfFile) -> None:
        nodes = file.list("nodes")
        if len(nodes) > _MOST_NODES:
            raise ValueError(f"{len(nodes)} nodes are too many")
        self.names = [str(node.get("name", f"joint{index}"))[:200] for index, node in enumerate(nodes)]
        self.parents = [-1] * len(nodes)
        self.children: list[list[int]] = [[] for _ in nodes]
        for index, node in enumerate(nodes):
            for child in node.get("children", []):
                if not 0 <= child < len(nodes) or self.parents[child] >= 0:
                    raise ValueError("the nodes are no tree")
                self.parents[child] = index
                self.children[index].append(child)
        self.order = [index for index, parent in enumerate(self.parents) if parent < 0]
        for index in self.order:
            self.order.extend(self.children[index])
        if len(self.order) != len(nodes):
            raise ValueError("the nodes are no tree")
        self.local = np.stack([_matrix(node) for node in nodes]) if nodes else np.empty((0, 4, 4))
        self.world = self.local.copy()
        for index in self.order:
            if self.parents[index] >= 0:
                self.world[index] = self.world[self.parents[index]] @ self.local[index]

    def above(self, node: int) -> Array:
        """(4, 4) the transformation at rest of a node's parent in the world."""
        return self.world[self.parents[node]] if self.parents[node] >= 0 else np.eye(4)

    def below(self, root: int) -> list[int]:
        """A node and all below it, parents first."""
        found = [root]
        for node in found:
            found.extend(self.children[node])
        return found


def _matrix(node: dict[str, Any]) -> Array:
    if "matrix" in node:
        return _finite(node["matrix"], 16).reshape(4, 4).T
    matrix = np.eye(4)
    turned = to_matrix(_quaternions(_finite(node.get("rotation", [0.0, 0.0, 0.0, 1.0]), 4)))
    matrix[:3, :3] = turned * _finite(node.get("scale", [1.0, 1.0, 1.0]), 3)
    matrix[:3, 3] = _finite(node.get("translation", [0.0, 0.0, 0.0]), 3)
    return matrix


def _finite(values: object, count: int) -> Array:
    found = np.array(values, dtype=np.float64)
    if found.shape != (count,) or not np.isfinite(found).all() or np.abs(found).max() > 1e9:
        raise ValueError(f"{count} numbers expected")
    return found


def _quaternions(stored: Array) -> Array:
    """Unit quaternions (..., 4), w first, of those of a file, which has it last."""
    if (np.linalg.norm(stored, axis=-1) < 1e-9).any():
        raise ValueError("a rotation has no length")
    return unit(stored[..., [3, 0, 1, 2]])


def turn_of(matrix: Array) -> Array:
    """(4,) the rotation of a transformation, without its scale."""
    left, scales, right = np.linalg.svd(matrix[:3, :3])
    if scales[-1] < 1e-9 or np.linalg.det(left @ right) < 0:
        raise ValueError("a node is flat or mirrored")
    return from_matrix(left @ right)


class _Keys:
    """The channels of the first animation: (node, "rotation" or "translation") -> times (K,) and values (K, 4 or 3)."""

    def __init__(self, file: GltfFile) -> None:
        self.channels: dict[tuple[int, str], tuple[Array, Array, bool]] = {}
        animations = file.list("animations")
        arrays: dict[int, Array] = {}  # accessors may be shared by many channels
        for channel in animations[0].get("channels", []) if animations else []:
            target = channel["target"]
            if target.get("path") not in ("rotation", "translation") or "node" not in target:
                continue
            sampler = animations[0]["samplers"][channel["sampler"]]
            for index in (sampler["input"], sampler["output"]):
                if index not in arrays:
                    arrays[index] = file.array(index)
            times, values = arrays[sampler["input"]], arrays[sampler["output"]]
            if sampler.get("interpolation") == "CUBICSPLINE":
                values = values[1::3]  # between tangents
            width = 4 if target["path"] == "rotation" else 3
            if times.ndim != 1 or values.shape != (len(times), width) or not len(times) or (np.diff(times) <= 0).any():
                raise ValueError("an animation has keys without rising times, or without values")
            held = sampler.get("interpolation") == "STEP"
            self.channels[int(target["node"]), target["path"]] = (times, values, held)
        self.numbers = sum(values.size for values in arrays.values())

    def grid(self, joints: list[int]) -> tuple[Array, float]:
        """(T,) the times of a person's frames, and their rate: that of the joints' channel with the most keys."""
        own = set(joints)
        stamps = [times for (node, _), (times, _, _) in self.channels.items() if node in own]
        if not stamps:
            return np.zeros(1), _STILL_FPS
        longest = max(stamps, key=len)
        first, last = min(times[0] for times in stamps), max(times[-1] for times in stamps)
        if len(longest) < 2:
            return np.array([first]), _STILL_FPS
        steps = np.diff(longest)
        step = float(np.median(steps))
        if np.abs(steps - step).max() < 0.1 * step:
            step = float(longest[-1] - longest[0]) / (len(longest) - 1)
        fps = nearest_rate(1 / step, 2e-5)  # times are in single precision
        frames = round(float(last - first) * fps) + 1
        if not _RATES[0] <= fps <= _RATES[1] or frames > 4 * self.numbers + 100:
            raise ValueError(f"{frames} frames at {fps:g} per second are not what the keys describe")
        return first + np.arange(frames) / fps, fps

    def rotation(self, node: int, rest: Array, at: Array) -> Array:
        """The local rotations (T, 4) of a node at the times `at`. rest: (4,)."""
        if (node, "rotation") not in self.channels:
            return np.tile(rest, (len(at), 1))
        times, values, held = self.channels[node, "rotation"]
        turns = _quaternions(values)
        below = _before(times, at)
        if len(times) == 1 or held:
            return turns[below]
        below = np.minimum(below, len(times) - 2)
        part = np.clip((at - times[below]) / (times[below + 1] - times[below]), 0.0, 1.0)
        return blend(turns[below], turns[below + 1], part)

    def translation(self, node: int, rest: Array, at: Array) -> Array:
        """The local positions (T, 3) of a node at the times `at`."""
        if (node, "translation") not in self.channels:
            return np.tile(rest, (len(at), 1))
        times, values, held = self.channels[node, "translation"]
        if held:
            return values[_before(times, at)]
        return np.stack([np.interp(at, times, values[:, axis]) for axis in range(3)], axis=-1)


def _before(times: Array, at: Array) -> NDArray[np.intp]:
    """The last key at or before each time."""
    return np.maximum(np.searchsorted(times, at + 1e-6, side="right") - 1, 0)


def first_person(file: GltfFile, tree: Tree) -> tuple[int, list[int]]:
    """The root and the joints of the first person, as `read_glb` orders them. Raises FormatError if the file holds no skeleton."""
    people = _people(file, tree, _Keys(file))
    if not people:
        raise FormatError(f"{file.path} holds no skeleton")
    return people[0]


def _people(file: GltfFile, tree: Tree, keys: _Keys) -> list[tuple[int, list[int]]]:
    """The root and the joints of each person, parents first."""
    wanted: set[int] = set()
    for skin in file.list("skins"):
        wanted.update(skin["joints"])
    if not all(isinstance(joint, int) and 0 <= joint < len(tree.parents) for joint in wanted):
        raise ValueError("a skin has joints that are no nodes")
    skinned = bool(wanted)
    if not skinned:
        wanted = {node for node, _ in keys.channels if 0 <= node < len(tree.parents)}
    # Nodes that have a wanted node below them, and those below one.
    inside, holds = [False] * len(tree.parents), [False] * len(tree.parents)
    for node in tree.order:
        parent = tree.parents[node]
        inside[node] = node in wanted or (parent >= 0 and inside[parent])
    for node in reversed(tree.order):
        holds[node] = node in wanted or any(holds[child] for child in tree.children[node])
    roots = [node for node in tree.order if inside[node] and (tree.parents[node] < 0 or not inside[tree.parents[node]])]
    people = []
    for root in roots:
        joints = [node for node in tree.below(root) if holds[node] or not skinned]
        if len(joints) > 1:
            people.append((root, joints))
    return people


def _motion(path: str | Path, tree: Tree, keys: _Keys, root: int, joints: list[int]) -> Motion:
    times, fps = keys.grid(joints)
    frames = len(times)
    check_table(path, frames, len(joints), keys.numbers)
    place = {node: number for number, node in enumerate(joints)}
    rotations, offsets = np.zeros((frames, len(joints), 4)), np.zeros((len(joints), 3))
    for number, node in enumerate(joints):
        above = turn_of(tree.above(node))
        # Axes as the world's at rest, whatever those of the node are.
        rest = turn_of(tree.local[node])
        rotations[:, number] = multiply(multiply(above, keys.rotation(node, rest, times)), inverse(multiply(above, rest)))
        if number:
            offsets[number] = tree.world[node, :3, 3] - tree.world[tree.parents[node], :3, 3]
    above = tree.above(root)
    path_of_root = keys.translation(root, tree.local[root, :3, 3], times) @ above[:3, :3].T + above[:3, 3]
    return Motion(
        names=unique([tree.names[node] for node in joints]),
        parents=np.array([-1, *(place[tree.parents[node]] for node in joints[1:])]),
        offsets=offsets,
        rotations=rotations,
        root=path_of_root,
        contacts=np.zeros((frames, 4)),
        filled=np.zeros(frames, dtype=bool),
        fps=fps,
    )
