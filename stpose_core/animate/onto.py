"""A motion on the hierarchy of another skeleton, such as that of a character: its names, its joints and its bone lengths.

Bone maps and solver are those of the Blender extension (`stpose_core.retarget`): limbs point as in the motion, whatever the rest
pose. The path is scaled by the length of the legs, and corrected so that standing feet stay in place on the floor (`stance`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stpose_core.animate.stance import carried
from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.retarget.bonemap import find_map
from stpose_core.retarget.motion import TO_BLENDER, to_track
from stpose_core.retarget.motion import Motion as Moving
from stpose_core.retarget.rotation import IDENTITY, continuous, inverse, multiply, rotate
from stpose_core.retarget.skeleton import Skeleton
from stpose_core.retarget.slots import REQUIRED
from stpose_core.retarget.solver import Options, Posed, retarget

_SHORTEST = 0.01  # metres, of a leg


def check_skeleton(target: Motion, path: object) -> None:
    """Raises FormatError, naming a path, if a skeleton has no body that the motion could be put on."""
    _mapped(_at_rest(target), path)


def onto(motion: Motion, target: Motion) -> Motion:
    """The motion on the skeleton of another, at rest as `target` is; both upright along y.

    Joints that are no part of a body, such as twist bones or a root on the floor, keep their rest pose.
    Raises FormatError if either is no body.
    """
    track, skeleton = to_track(_moving(motion)), _at_rest(target)
    posed = retarget(track, _mapped(track.skeleton, "the motion"), skeleton, _mapped(skeleton, "the target"), Options(ground=0.0))
    posed = carried(posed, motion.fps, track.contacts)
    rotations, root = _in_file_axes(posed, target)
    return replace(motion, names=target.names, parents=target.parents, offsets=target.offsets, rotations=rotations, root=root)


def _moving(motion: Motion) -> Moving:
    return Moving(
        motion.names, motion.parents, motion.offsets, motion.rotations, motion.root, motion.contacts.astype(float), motion.fps
    )


def _at_rest(target: Motion) -> Skeleton:
    still = np.tile(IDENTITY, (1, len(target.names), 1))
    return to_track(Moving(target.names, target.parents, target.offsets, still, np.zeros((1, 3)), np.zeros((1, 4)), 1.0)).skeleton


def _mapped(skeleton: Skeleton, path: object) -> dict[str, str]:
    """The bone of each part of the body. Raises FormatError where a needed one is not found."""
    found = find_map(skeleton)
    lacking = [slot for slot in REQUIRED if slot not in found.bones or slot in found.problems]
    if lacking:
        raise FormatError(f"{path}: the skeleton has no joint that is recognised as {', '.join(lacking)[:100]}")
    bones = {slot: name for slot, name in found.bones.items() if slot != "root" and slot not in found.problems}
    for side in (".L", ".R"):
        ends = [skeleton.heads[skeleton.index(bones[part + side])] for part in ("thigh", "shin", "foot")]
        if min(np.linalg.norm(ends[1] - ends[0]), np.linalg.norm(ends[2] - ends[1])) < _SHORTEST:
            raise FormatError(f"{path}: a bone of the legs is shorter than {100 * _SHORTEST:g} cm")
    return bones


def _in_file_axes(posed: Posed, target: Motion) -> tuple[Array, Array]:
    """Rotations (T, J, 4) of all joints of the target relative to their parents, and the path (T, 3) of its root; y up."""
    slots = {name: slot for slot, name in posed.anatomy.mapped.items() if slot in posed.rotations}
    turned = np.tile(IDENTITY, (len(posed), len(target.names), 1))
    rotations = turned.copy()
    for joint, (name, parent) in enumerate(zip(target.names, target.parents)):
        above = turned[:, parent] if parent >= 0 else IDENTITY
        turned[:, joint] = posed.turned(slots[name]) if name in slots else above
        rotations[:, joint] = multiply(inverse(above), turned[:, joint])
    hips = target.names.index(posed.anatomy.mapped["hips"])
    below = np.zeros(3)  # the hips below the root: joints above them are not turned
    while target.parents[hips] >= 0:
        below, hips = below + target.offsets[hips], int(target.parents[hips])
    to_file = inverse(TO_BLENDER)
    rotations = multiply(multiply(to_file, rotations), TO_BLENDER)
    return continuous(rotations), rotate(to_file, posed.hips) - below
