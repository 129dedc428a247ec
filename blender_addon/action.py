"""Actions in both of Blender's ways: F-curves of the action itself (4.2, 4.3), and slots, layers and strips (4.4 and later)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import bpy
    from numpy.typing import NDArray

    from .retarget.rotation import Array

import bpy

ACTION, LAYER, REPLACE = "ACTION", "LAYER", "REPLACE"
#: On an action that was baked: the number of the bake.
BAKE = "stpose_bake"
_LINEAR = 1  # of the items of Keyframe.interpolation


@dataclass(frozen=True)
class Channel:
    """Keys of one property. path: RNA path. group: name of the group in the editors.

    frames: (N,). values: (N, C), a column for each component.
    """

    path: str
    group: str
    frames: Array
    values: Array


def write_action(
    obj: bpy.types.Object | bpy.types.Camera | bpy.types.Key,
    name: str,
    channels: Sequence[Channel],
    where: str = ACTION,
    base: bpy.types.Action | None = None,
) -> bpy.types.Action:
    """A new action with these keys, joined by straight lines, on the object.

    where: ACTION assigns it, and keeps the action before with a fake user. LAYER puts it into an NLA track above the others, under
    which an assigned action is pushed down first, as it would hide the track. REPLACE puts it in place of the last bake, which is
    removed; as ACTION where there was none. base: an action of the object whose other keys the new one takes over.
    """
    data = obj.animation_data or obj.animation_data_create()
    action = base.copy() if base is not None else bpy.data.actions.new(name)
    action.name = name
    curves, slot = _curves(action, obj, data) if base is not None else _new_curves(action, obj)
    add_keys(curves, channels)
    last = _last_bake(data) if where == REPLACE else None
    if where == LAYER:
        _as_layer(data, action, slot, name)
    elif last is not None and last[1] is not None:
        _into_strip(last[1], action, slot)
    else:
        if data.action is not None and last is None:
            data.action.use_fake_user = True
        data.action = action
        if slot is not None:
            data.action_slot = slot
    if last is not None and not last[0].users - last[0].use_fake_user:
        bpy.data.actions.remove(last[0])
        action.name = name
    return action


def mark_bake(action: Any) -> None:
    """Number an action as the newest bake, so that the next one can replace it."""
    action[BAKE] = 1 + max((int(one.get(BAKE, 0)) for one in bpy.data.actions), default=0)  # type: ignore[attr-defined, call-overload]


def add_keys(curves: Any, channels: Sequence[Channel]) -> None:
    """New F-curves with these keys, in place of those of the same properties."""
    paths = {channel.path for channel in channels}
    for curve in [curve for curve in curves if curve.data_path in paths]:
        curves.remove(curve)
    for channel in channels:
        for index in range(channel.values.shape[1]):
            curve = _new_curve(curves, channel.path, index, channel.group)
            points = np.stack([channel.frames, channel.values[:, index]], axis=1)
            curve.keyframe_points.add(len(points))
            curve.keyframe_points.foreach_set("co", points.ravel())
            curve.keyframe_points.foreach_set("interpolation", np.full(len(points), _LINEAR, dtype=np.int32))
            curve.update()


def _as_layer(data: Any, action: Any, slot: Any, name: str) -> None:
    """The action in a track above the others, seen where it has keys and nowhere else."""
    if data.action is not None:
        below = _new_strip(data, data.action, getattr(data, "action_slot", None), data.action.name)
        below.blend_type, below.influence = data.action_blend_type, data.action_influence
        below.extrapolation = data.action_extrapolation if len(data.nla_tracks) == 1 else "NOTHING"
        data.action = None
    strip = _new_strip(data, action, slot, name)
    # HOLD would hide all that lies below before and after this strip.
    strip.extrapolation, strip.blend_type = "NOTHING", "REPLACE"
    data.use_nla = True


def _new_strip(data: Any, action: Any, slot: Any, name: str) -> Any:
    track = data.nla_tracks.new()
    track.name = name
    strip = track.strips.new(name, round(action.frame_range[0]), action)
    if slot is not None:
        strip.action_slot = slot
    return strip


def _into_strip(strip: Any, action: Any, slot: Any) -> None:
    strip.action = action
    if slot is not None:
        strip.action_slot = slot
    first, last = action.frame_range
    strip.action_frame_start, strip.action_frame_end = first, last
    strip.scale, strip.repeat = 1.0, 1.0
    # The end first where the strip moves to later frames: a strip never ends before it starts.
    for name, value in sorted((("frame_start", first), ("frame_end", last)), reverse=first > strip.frame_start):
        setattr(strip, name, value)


def _last_bake(data: Any) -> tuple[Any, Any] | None:
    """The newest action that was baked here, and its strip: None where it is the assigned one."""
    found = [(data.action, None)] if data.action is not None else []
    found += [(strip.action, strip) for track in data.nla_tracks for strip in track.strips if strip.action is not None]
    baked = [one for one in found if BAKE in one[0]]
    return max(baked, key=lambda one: int(one[0][BAKE]), default=None)


def curves_of(obj: bpy.types.Object) -> list[bpy.types.FCurve]:
    """The F-curves of the action that is assigned to an object."""
    data = obj.animation_data
    if data is None or data.action is None:
        return []
    return list(curves_in(data.action, getattr(data, "action_slot", None)))


def slot_of(obj: bpy.types.Object, action: Any) -> Any:
    """The slot by which an object uses an action, assigned or in an NLA strip; None where actions have no slots."""
    data: Any = obj.animation_data
    if data.action == action:
        return getattr(data, "action_slot", None)
    strips = [strip for track in data.nla_tracks for strip in track.strips if strip.action == action]
    return getattr(strips[0], "action_slot", None) if strips else None


def curves_in(action: Any, slot: Any) -> Any:
    """The F-curves that an action has for a slot; of the action itself where actions have no slots."""
    if not hasattr(action, "layers"):
        return action.fcurves
    bags = [strip.channelbag(slot) for layer in action.layers for strip in layer.strips] if slot is not None else []
    return next((bag.fcurves for bag in bags if bag is not None), [])


def _new_curves(action: Any, obj: Any) -> tuple[Any, Any]:
    """Where F-curves are made, and the slot they belong to (None where actions have none)."""
    if not hasattr(action, "layers"):
        return action.fcurves, None
    slot = action.slots.new(id_type=obj.id_type, name=obj.name)
    strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True).fcurves, slot


def _curves(action: Any, obj: Any, data: Any) -> tuple[Any, Any]:
    """Where a copied action has its F-curves, and the slot they belong to (None where actions have none)."""
    if not hasattr(action, "layers"):
        return action.fcurves, None
    used = data.action_slot.identifier if data.action_slot else None
    slot = next((slot for slot in action.slots if slot.identifier == used), None)
    if slot is None or not action.layers or not action.layers[0].strips:
        return _new_curves(action, obj)
    return action.layers[0].strips[0].channelbag(slot, ensure=True).fcurves, slot


def _new_curve(curves: Any, path: str, index: int, group: str) -> Any:
    """Blender 4.2 and 4.3 call the group's name `action_group`, 4.5 and later `group_name`; 4.4 has none."""
    for keyword in ("group_name", "action_group"):
        try:
            return curves.new(path, index=index, **{keyword: group})
        except TypeError:
            continue
    return curves.new(path, index=index)


def straight_values(curve: bpy.types.FCurve, frames: NDArray[np.float64]) -> Array | None:
    """The curve at some frames, (N,), where its keys are joined by straight lines or lie on the frames; None where not."""
    count = len(curve.keyframe_points)
    if not count or len(curve.modifiers) or curve.extrapolation != "CONSTANT":
        return None
    points = np.empty(2 * count, dtype=np.float32)
    kinds = np.empty(count, dtype=np.int32)
    curve.keyframe_points.foreach_get("co", points)
    curve.keyframe_points.foreach_get("interpolation", kinds)
    keys = points.reshape(-1, 2).astype(np.float64)
    if not (kinds == _LINEAR).all() and not np.isin(frames[(frames >= keys[0, 0]) & (frames <= keys[-1, 0])], keys[:, 0]).all():
        return None
    return np.interp(frames, keys[:, 0], keys[:, 1])
