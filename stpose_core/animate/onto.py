"""A motion on the hierarchy of another skeleton, such as that of a character: its names, its joints and its bone lengths.

Both are upright along y. The other skeleton is read in its rest pose, a T-pose or an A-pose, facing any way. Each of its joints
gets the world rotation of the same joint of the motion, less the turn that takes the limb at rest from one skeleton's direction to
the other's; joints that the motion lacks stay as they are at rest. The path is scaled by the length of the legs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate.frames import minimal_rotation
from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.formats.figure import rest_positions
from stpose_core.rigs import recognised

# A limb's joint, and the joint that its bone points to.
_LIMBS = {"Arm": "ForeArm", "ForeArm": "Hand", "UpLeg": "Leg", "Leg": "Foot"}
REQUIRED = ("Hips", *(side + name for side in ("Left", "Right") for name in (*_LIMBS, "Foot")))
"""Joints that a skeleton needs, as a captured body calls them; those of a preset of `stpose_core.rigs` have names of their own."""


def check_skeleton(target: Motion, path: object) -> None:
    """Raises FormatError, naming a path, if a skeleton lacks a joint of REQUIRED."""
    names = recognised(target).names
    lacking = [name for name in REQUIRED if name not in names]
    if lacking:
        raise FormatError(f"{path}: the skeleton has no joint that is recognised as {', '.join(lacking)[:100]}")


def onto(motion: Motion, target: Motion) -> Motion:
    """The motion on the skeleton of another, at rest as `target` is. Raises FormatError if either lacks a joint of REQUIRED."""
    check_skeleton(target, "the target")
    check_skeleton(motion, "the motion")
    source, named = recognised(motion), recognised(target)
    world = _world(source)
    rest, places = rest_positions(source), rest_positions(named)
    facing = _facing(named, places)
    turned = np.empty((len(motion), len(target.names), 3, 3))
    rotations = np.zeros((len(motion), len(target.names), 4))
    for joint, (name, parent) in enumerate(zip(named.names, named.parents)):
        above = turned[:, parent] if parent >= 0 else np.broadcast_to(np.eye(3), (len(motion), 3, 3))
        if name in source.names and not name.endswith("End"):
            turned[:, joint] = world[:, source.names.index(name)] @ _correction(name, named, source, places, rest, facing)
        else:
            turned[:, joint] = above
        local = Rotation.from_matrix(np.swapaxes(above, -1, -2) @ turned[:, joint])
        rotations[:, joint] = local.as_quat()[:, [3, 0, 1, 2]]
    flips = np.where((rotations[1:] * rotations[:-1]).sum(-1) < 0, -1.0, 1.0)
    rotations[1:] *= np.cumprod(flips, axis=0)[..., None]
    scale = _leg(named) / _leg(source)
    hips = named.names.index("Hips")
    # Joints above the hips are not turned, so that the root is as far from the hips as at rest.
    root = motion.root * scale - (places[hips] - places[0])
    return replace(motion, names=target.names, parents=target.parents, offsets=target.offsets, rotations=rotations, root=root)


def _world(motion: Motion) -> Array:
    """(T, J, 3, 3) world rotations."""
    local = Rotation.from_quat(motion.rotations[..., [1, 2, 3, 0]].reshape(-1, 4)).as_matrix()
    world = local.reshape(len(motion), -1, 3, 3)
    for joint, parent in enumerate(motion.parents):
        if parent >= 0:
            world[:, joint] = world[:, parent] @ world[:, joint]
    return np.asarray(world)


def _facing(motion: Motion, places: Array) -> Array:
    """(3, 3) the turn about y that makes a skeleton at rest face +z, its left along +x."""
    left = places[motion.names.index("LeftUpLeg")] - places[motion.names.index("RightUpLeg")]
    angle = np.arctan2(left[2], left[0])
    return np.asarray(Rotation.from_euler("y", angle).as_matrix())


def _correction(name: str, named: Motion, source: Motion, places: Array, rest: Array, facing: Array) -> Array:
    """(3, 3) what turns a joint of the target from its rest to the rest of the source's: for limbs, along the bone."""
    side = next((side for side in ("Left", "Right") if name.startswith(side)), "")
    limb = name.removeprefix(side)
    # The hand follows the forearm, so that it stays straight where the rest pose has arms down.
    limb = "ForeArm" if limb == "Hand" or limb.startswith("Hand") else limb
    if limb not in _LIMBS:
        return facing
    ends = [side + limb, side + _LIMBS[limb]]
    theirs, ours = (
        one[which.names.index(ends[1])] - one[which.names.index(ends[0])] for one, which in ((places, named), (rest, source))
    )
    aimed = facing @ theirs
    return np.asarray(minimal_rotation(aimed / np.linalg.norm(aimed), ours / np.linalg.norm(ours)) @ facing)


def _leg(motion: Motion) -> float:
    """Length of a leg in metres."""
    return float(sum(np.linalg.norm(motion.offsets[motion.names.index(name)]) for name in ("LeftLeg", "LeftFoot")))
