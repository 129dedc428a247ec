"""The whole of a retarget in Blender: read the source, solve, lock the feet, key the target. Used by the operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from .action import ACTION, LAYER, Channel, add_keys, curves_in, mark_bake, slot_of, write_action
from .armature import (
    RigError,
    channels,
    check_rig,
    check_target,
    find_attachments,
    home_of,
    object_channels,
    read_motion,
    read_skeleton,
    set_home,
    set_switches,
)
from .face import curves_at, key_shapes
from .findmap import guess_map
from .ikcontrols import ik_channels
from .restpose import rest_of
from .retarget.adjust import Adjust, adjusted
from .retarget.anatomy import Anatomy
from .retarget.attachment import local_rotations
from .retarget.bonemap import BoneMap, check
from .retarget.footlock import FootLock, lock_feet
from .retarget.rootmotion import FULL, OBJECT, ROOT_BONE, split
from .retarget.rotation import across, angle_between, continuous
from .retarget.skeleton import Skeleton, Track
from .retarget.slots import REQUIRED, SLOTS
from .retarget.soles import Sole, size_of
from .retarget.solver import Options, Posed, retarget
from .rig import contacts_at, keep_contacts, scene_rate
from .soles import find_soles

_UNCHANGED = 1e-5  # rad
_SAME_POSE = 0.5  # degrees by which a limb may differ between FK and IK before it is said


@dataclass(frozen=True)
class Bake:
    """Where keys go. frames: first and last; the source's own if None. step: frames between keys.

    where: of `action`, ACTION, LAYER or REPLACE. simplify: degrees that fewer keys may be off by. ik: IK controls are keyed too.
    """

    frames: tuple[int, int] | None = None
    step: int = 1
    where: str = ACTION
    simplify: float = 0.0
    ik: bool = True

    def tolerance(self, anatomy: Anatomy) -> tuple[float, float]:
        """rad and lengths: a degree off at the end of a leg of 0.9 m is 16 mm, and the hips may be as far off."""
        return float(np.radians(self.simplify)), 0.016 * self.simplify * size_of(anatomy)


@dataclass(frozen=True)
class Root:
    """Who carries the character over the ground: see `retarget.rootmotion`. heading: the carrier turns with the character too."""

    mode: str = FULL
    heading: bool = False


def chosen(owner: Any) -> tuple[Options, FootLock, Root]:
    """The options that an operator, or the panel's settings, have under these names."""
    ground = {"REST": None, "ZERO": 0.0, "VALUE": owner.ground_height}[owner.ground]
    return (
        Options(owner.facing, None, owner.match_spine, ground, owner.hands),
        FootLock(owner.lock, owner.radius, owner.floor_height),
        Root(owner.root_motion, owner.heading),
    )


@dataclass
class Report:
    """What was done: frames keyed, the action's name, the family of the target's names, and notes to show."""

    frames: int = 0
    action: str = ""
    family: str = ""
    notes: list[str] = field(default_factory=list)


def usable(bone_map: BoneMap, obj: bpy.types.Object, side: str) -> BoneMap:
    """The map, if nothing that is needed is wrong with it. Raises RigError with the problems. side: whose table is meant."""
    skeleton = rest_of(obj)
    problems = check(skeleton, bone_map.bones, bone_map.controls)
    serious = {slot: text for slot, text in problems.items() if slot in REQUIRED}
    if serious:
        told = "; ".join(f"{slot}: {text}" for slot, text in list(serious.items())[:3])
        raise RigError(f"the bones of '{obj.name}' are not all mapped: {told}. Map them in the table of the {side}")
    good = {slot: name for slot, name in bone_map.bones.items() if slot not in problems}
    return replace(bone_map, bones={slot: good[slot] for slot in SLOTS if slot in good}, problems=problems)


def action_range(obj: bpy.types.Object) -> tuple[int, int]:
    """First and last frame of what an object is animated with. Raises RigError if it is not."""
    data = obj.animation_data
    if data is None or (data.action is None and not len(data.nla_tracks)):
        raise RigError(f"'{obj.name}' has no animation")
    ranges: list[tuple[float, float]] = []
    if data.action:
        ranges.append((data.action.frame_range[0], data.action.frame_range[1]))
    ranges += [(strip.frame_start, strip.frame_end) for track in data.nla_tracks for strip in track.strips]
    return int(np.floor(min(low for low, _ in ranges))), int(np.ceil(max(high for _, high in ranges)))


@dataclass(frozen=True)
class Solved:
    """A retarget before it is keyed. channels: what is keyed on the target. home: where its object stands at rest."""

    frames: np.ndarray
    channels: list[Channel]
    taker: BoneMap
    home: Matrix
    tolerance: tuple[float, float]
    report: Report


def solve(
    context: bpy.types.Context,
    source: bpy.types.Object | None,
    target: bpy.types.Object | None,
    maps: tuple[BoneMap | None, BoneMap | None],
    options: Options,
    lock: FootLock,
    bake: Bake,
    root: Root = Root(),
) -> Solved:
    """What the source's motion is on the target. maps: of source and target; found if None. Raises RigError, ValueError.

    Nothing of the target changes but the switches that its family needs, which the report names.
    """
    source, target = check_rig(source), check_target(target)
    if source == target:
        raise RigError("source and target are the same armature")
    frames = _frames(bake, source)
    giver = usable(maps[0] or guess_map(source), source, "source")
    skeleton, compared = read_skeleton(target), rest_of(target)
    taker = usable(maps[1] or guess_map(target), target, "target")
    if root.mode == ROOT_BONE and "root" not in taker.bones:
        raise RigError(f"'{target.name}' has no bone for 'root' in its map; choose one, or add one with New Root Bone")
    if root.mode != ROOT_BONE:
        taker = replace(taker, bones={slot: name for slot, name in taker.bones.items() if slot != "root"})
    report = Report(len(frames), "", taker.family, list(filter(None, [taker.note])))
    report.notes += [f"{taker.bones[slot]}: {text}" for slot, text in taker.problems.items() if slot in taker.bones]
    moving = read_motion(context, source, frames.tolist(), [name for slot, name in giver.bones.items() if slot != "root"])
    moving = replace(moving, skeleton=rest_of(source), fps=moving.fps / bake.step, contacts=contacts_at(source, frames))
    own = Anatomy(skeleton, taker.bones)
    soles = find_soles(target, own)
    if compared is not skeleton:
        compared, soles = _stood(compared, own, soles)
    anatomy = Anatomy(compared, taker.bones)
    posed = retarget(moving, _without_root(giver.bones), compared, taker.bones, options, soles)
    posed = lock_feet(posed, moving.fps, lock, moving.contacts)
    posed, carrier = split(posed, root.mode, root.heading)
    report.notes += set_switches(target, taker.switches)
    attached = find_attachments(context, target, skeleton, posed.driven)
    loose = [taker.bones[slot] for slot in posed.rotations if slot not in attached]
    if loose:
        report.notes.append(f"left out, as constraints hold them: {', '.join(loose)}")
    tolerance = bake.tolerance(anatomy)
    keyed = channels(context, target, posed, frames, attached, tolerance, None, carrier if root.mode == ROOT_BONE else None)
    if carrier is not None and root.mode == OBJECT:
        keyed += object_channels(target, carrier, frames, tolerance)
    return Solved(frames, keyed, taker, home_of(target).copy(), tolerance, report)


def transfer(
    context: bpy.types.Context,
    source: bpy.types.Object | None,
    target: bpy.types.Object | None,
    maps: tuple[BoneMap | None, BoneMap | None],
    options: Options,
    lock: FootLock,
    bake: Bake,
    root: Root = Root(),
    progress: Callable[[float], None] | None = None,
) -> Report:
    """Put the source's motion on the target: `solve`, keyed. Raises RigError, ValueError.

    Nothing of the target changes but its action and the switches that its family needs, which the report names.
    """
    say = progress or (lambda part: None)
    solved = solve(context, source, target, maps, options, lock, bake, root)
    source, target = check_rig(source), check_target(target)
    say(0.7)
    action = write_action(target, f"{target.name} {source.name}", solved.channels, bake.where)
    if root.mode == OBJECT:
        set_home(action, solved.home)
    elif solved.home != target.matrix_world:
        target.matrix_world = solved.home
    mark_bake(action)
    if bake.ik and solved.taker.ik:
        solved.report.notes += _key_ik(context, target, action, solved.taker, solved.frames, solved.tolerance)
    keep_contacts(action, source, solved.frames)
    solved.report.notes += key_shapes(target, source.name, curves_at(source, solved.frames), solved.frames, bake.where)
    solved.report.action = action.name
    context.scene.frame_set(context.scene.frame_current)
    say(1.0)
    return solved.report


def _stood(compared: Skeleton, own: Anatomy, soles: dict[str, Sole]) -> tuple[Skeleton, dict[str, Sole]]:
    """A pose that was chosen as rest pose, moved to where the character stands at rest, and the soles as they lie in it."""
    anatomy = Anatomy(compared, own.mapped)
    lowest = [
        min(float((sole.points @ own.up).min()) for sole in some.values())
        for some in (soles, {side: sole.carried(own, anatomy, side) for side, sole in soles.items()})
    ]
    shift = across(own.hip_centre() - anatomy.hip_centre(), own.up) + (lowest[0] - lowest[1]) * own.up
    compared = replace(compared, heads=compared.heads + shift, tails=compared.tails + shift)
    anatomy = Anatomy(compared, own.mapped)
    return compared, {side: sole.carried(own, anatomy, side) for side, sole in soles.items()}


def _key_ik(
    context: bpy.types.Context,
    target: bpy.types.Object,
    action: bpy.types.Action,
    taker: BoneMap,
    frames: np.ndarray,
    tolerance: tuple[float, float],
) -> list[str]:
    """Key the IK controls after the FK controls, in the same action; what to say of them."""
    keyed, off = ik_channels(context, target, taker.ik, taker.bones, frames, tolerance)
    add_keys(curves_in(action, slot_of(target, action)), keyed)
    if off > _SAME_POSE:
        return [f"the pose with IK differs by up to {off:.1f} degrees from that with FK"]
    return []


def relock(
    context: bpy.types.Context, target: bpy.types.Object | None, target_map: BoneMap | None, lock: FootLock, bake: Bake
) -> Report:
    """Lock the feet of an animated rig: a copy of its action with new keys on legs and hips. Raises RigError, ValueError."""
    target = check_target(target)
    frames = _frames(bake, target)
    skeleton = read_skeleton(target)
    taker = usable(target_map or guess_map(target), target, "target")
    bones = _without_root(taker.bones)
    moving = read_motion(context, target, frames.tolist(), list(bones.values()))
    posed = _posed(moving, bones, target)
    locked = lock_feet(posed, scene_rate(context.scene) / bake.step, lock, contacts_at(target, frames))
    if locked is posed:
        return Report(0, "", taker.family, ["no foot stands anywhere in this motion: nothing was changed"])
    legs = [slot for slot in bones if slot.split(".")[0] in ("hips", "thigh", "shin", "foot", "toe")]
    attached = find_attachments(context, target, skeleton, bones)
    keyed = channels(context, target, locked, frames, attached, bake.tolerance(locked.anatomy), legs)
    base = target.animation_data.action if target.animation_data else None
    action = write_action(target, f"{target.name} locked", keyed, bake.where, None if bake.where == LAYER else base)
    mark_bake(action)
    keep_contacts(action, target, frames)
    context.scene.frame_set(context.scene.frame_current)
    return Report(len(frames), action.name, taker.family, list(filter(None, [taker.note])))


def adjust(
    context: bpy.types.Context, target: bpy.types.Object | None, target_map: BoneMap | None, by: Adjust, bake: Bake
) -> Report:
    """Offsets on an animated rig: a copy of its action, or a layer, with new keys on what changes. Raises RigError, ValueError."""
    target = check_target(target)
    if by.nothing:
        raise RigError("all offsets are 0: set one first")
    frames = _frames(bake, target)
    skeleton = read_skeleton(target)
    taker = usable(target_map or guess_map(target), target, "target")
    bones = _without_root(taker.bones)
    posed = _posed(read_motion(context, target, frames.tolist(), list(bones.values())), bones, target)
    turned = adjusted(posed, by)
    attached = find_attachments(context, target, skeleton, bones)
    before, after = (local_rotations(one, attached) for one in (posed, turned))
    changed = [slot for slot in after if float(angle_between(before[slot], after[slot]).max()) > _UNCHANGED]
    keyed = channels(context, target, turned, frames, attached, bake.tolerance(turned.anatomy), changed)
    base = target.animation_data.action if target.animation_data else None
    action = write_action(target, f"{target.name} adjusted", keyed, bake.where, None if bake.where == LAYER else base)
    mark_bake(action)
    report = Report(len(frames), action.name, taker.family, list(filter(None, [taker.note])))
    if bake.ik and taker.ik:
        report.notes += _key_ik(context, target, action, taker, frames, bake.tolerance(turned.anatomy))
    keep_contacts(action, target, frames)
    context.scene.frame_set(context.scene.frame_current)
    return report


def _posed(moving: Track, bones: dict[str, str], obj: bpy.types.Object) -> Posed:
    anatomy = Anatomy(moving.skeleton, bones)
    rotations = {slot: continuous(moving.rotations[:, bone]) for slot, bone in anatomy.bones.items()}
    soles = find_soles(obj, anatomy)
    floor = min(float((sole.points @ anatomy.up).min()) for sole in soles.values())
    return Posed(anatomy, rotations, moving.heads[:, anatomy.bones["hips"]], anatomy.up, floor, soles).placed()


def _without_root(bones: dict[str, str]) -> dict[str, str]:
    return {slot: name for slot, name in bones.items() if slot != "root"}


def _frames(bake: Bake, obj: bpy.types.Object) -> np.ndarray:
    first, last = bake.frames or action_range(obj)
    if last < first or bake.step < 1:
        raise RigError(f"no frames from {first} to {last} in steps of {bake.step}")
    frames = np.arange(first, last + 1, bake.step, dtype=np.float64)
    return frames if frames[-1] == last else np.append(frames, float(last))
