"""The whole of a retarget in Blender: read the source, solve, lock the feet, key the target. Used by the operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import bpy
import numpy as np

from .action import write_action
from .armature import RigError, channels, check_rig, check_target, find_attachments, read_motion, read_skeleton, set_switches
from .retarget.anatomy import Anatomy
from .retarget.bonemap import BoneMap, check, find_map
from .retarget.footlock import FootLock, lock_feet
from .retarget.rotation import continuous
from .retarget.skeleton import Track
from .retarget.slots import REQUIRED, SLOTS
from .retarget.solver import ROOT_BONE, Options, Posed, retarget
from .rig import contacts_at, scene_rate


@dataclass(frozen=True)
class Bake:
    """Where keys go. frames: first and last; the source's own if None. step: frames between keys.

    as_layer: as an NLA track instead of the assigned action. tolerance: degrees and metres that fewer keys may be off by.
    """

    frames: tuple[int, int] | None = None
    step: int = 1
    as_layer: bool = False
    tolerance: tuple[float, float] = (0.0, 0.0)


@dataclass
class Report:
    """What was done: frames keyed, the action's name, the family of the target's names, and notes to show."""

    frames: int = 0
    action: str = ""
    family: str = ""
    notes: list[str] = field(default_factory=list)


def usable(bone_map: BoneMap, obj: bpy.types.Object) -> BoneMap:
    """The map, if nothing that is needed is wrong with it. Raises RigError with the problems."""
    skeleton = read_skeleton(obj)
    problems = check(skeleton, bone_map.bones, bone_map.controls)
    serious = {slot: text for slot, text in problems.items() if slot in REQUIRED}
    if serious:
        told = "; ".join(f"{slot}: {text}" for slot, text in list(serious.items())[:3])
        raise RigError(f"the bones of '{obj.name}' are not all mapped: {told}. Map them in the table")
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


def transfer(
    context: bpy.types.Context,
    source: bpy.types.Object | None,
    target: bpy.types.Object | None,
    target_map: BoneMap | None,
    options: Options,
    lock: FootLock,
    bake: Bake,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """Put the source's motion on the target. target_map: found by itself if None. Raises RigError, ValueError.

    Nothing of the target changes but its action and the switches that its family needs, which the report names.
    """
    say = progress or (lambda part: None)
    source, target = check_rig(source), check_target(target)
    if source == target:
        raise RigError("source and target are the same armature")
    frames = _frames(bake, source)
    giver = usable(find_map(read_skeleton(source)), source)
    skeleton = read_skeleton(target)
    taker = usable(target_map or find_map(skeleton), target)
    if options.root_motion != ROOT_BONE:
        taker = replace(taker, bones={slot: name for slot, name in taker.bones.items() if slot != "root"})
    report = Report(len(frames), "", taker.family, list(filter(None, [taker.note])))
    report.notes += [f"{taker.bones[slot]}: {text}" for slot, text in taker.problems.items() if slot in taker.bones]
    moving = read_motion(context, source, frames.tolist(), [name for slot, name in giver.bones.items() if slot != "root"])
    moving = replace(moving, fps=moving.fps / bake.step, contacts=contacts_at(source, frames))
    say(0.4)
    posed = retarget(moving, _without_root(giver.bones), skeleton, taker.bones, options)
    posed = lock_feet(posed, moving.fps, lock, moving.contacts)
    say(0.6)
    report.notes += set_switches(target, taker.switches)
    attached = find_attachments(context, target, skeleton, taker.bones)
    loose = [taker.bones[slot] for slot in posed.rotations if slot not in attached]
    if loose:
        report.notes.append(f"left out, as constraints hold them: {', '.join(loose)}")
    rad = (float(np.radians(bake.tolerance[0])), bake.tolerance[1])
    keyed = channels(context, target, posed, frames, attached, rad)
    say(0.8)
    report.action = write_action(target, f"{target.name} {source.name}", keyed, bake.as_layer).name
    context.scene.frame_set(context.scene.frame_current)
    say(1.0)
    return report


def relock(
    context: bpy.types.Context, target: bpy.types.Object | None, target_map: BoneMap | None, lock: FootLock, bake: Bake
) -> Report:
    """Lock the feet of an animated rig: a copy of its action with new keys on legs and hips. Raises RigError, ValueError."""
    target = check_target(target)
    frames = _frames(bake, target)
    skeleton = read_skeleton(target)
    taker = usable(target_map or find_map(skeleton), target)
    bones = _without_root(taker.bones)
    moving = read_motion(context, target, frames.tolist(), list(bones.values()))
    posed = _posed(moving, bones)
    locked = lock_feet(posed, scene_rate(context.scene) / bake.step, lock, contacts_at(target, frames))
    if locked is posed:
        return Report(0, "", taker.family, ["no foot stands anywhere in this motion: nothing was changed"])
    legs = [slot for slot in bones if slot.split(".")[0] in ("hips", "thigh", "shin", "foot")]
    attached = find_attachments(context, target, skeleton, bones)
    rad = (float(np.radians(bake.tolerance[0])), bake.tolerance[1])
    keyed = channels(context, target, locked, frames, attached, rad, legs)
    base = target.animation_data.action if target.animation_data else None
    action = write_action(target, f"{target.name} locked", keyed, bake.as_layer, None if bake.as_layer else base)
    context.scene.frame_set(context.scene.frame_current)
    return Report(len(frames), action.name, taker.family, list(filter(None, [taker.note])))


def _posed(moving: Track, bones: dict[str, str]) -> Posed:
    anatomy = Anatomy(moving.skeleton, bones)
    rotations = {slot: continuous(moving.rotations[:, bone]) for slot, bone in anatomy.bones.items()}
    # The ground is where the armature's object has it, as far as its feet at rest tell.
    return Posed(anatomy, rotations, moving.heads[:, anatomy.bones["hips"]], anatomy.up, anatomy.floor()).placed()


def _without_root(bones: dict[str, str]) -> dict[str, str]:
    return {slot: name for slot, name in bones.items() if slot != "root"}


def _frames(bake: Bake, obj: bpy.types.Object) -> np.ndarray:
    first, last = bake.frames or action_range(obj)
    if last < first or bake.step < 1:
        raise RigError(f"no frames from {first} to {last} in steps of {bake.step}")
    frames = np.arange(first, last + 1, bake.step, dtype=np.float64)
    return frames if frames[-1] == last else np.append(frames, float(last))
