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
    obj: bpy.types.Object | bpy.types.Camera,
    name: str,
    channels: Sequence[Channel],
    as_layer: bool = False,
    base: bpy.types.Action | None = None,
) -> bpy.types.Action:
    """A new action with these keys, joined by straight lines, on the object: assigned, or as an NLA track above the others.

    base: an action of the object whose other keys the new one takes over. The action that was assigned before is kept, with a
    fake user, so that nothing is lost.
    """
    data = obj.animation_data or obj.animation_data_create()
    action = base.copy() if base is not None else bpy.data.actions.new(name)
    action.name = name
    curves, slot = _curves(action, obj, data) if base is not None else _new_curves(action, obj)
    if base is not None:
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
    if as_layer:
        track = data.nla_tracks.new()
        track.name = name
        start = min((float(channel.frames[0]) for channel in channels if len(channel.frames)), default=1.0)
        strip = track.strips.new(name, round(start), action)
        if slot is not None:
            strip.action_slot = slot
        return action
    if data.action is not None:
        data.action.use_fake_user = True
    data.action = action
    if slot is not None:
        data.action_slot = slot
    return action


def curves_of(obj: bpy.types.Object) -> list[bpy.types.FCurve]:
    """The F-curves of the action that is assigned to an object."""
    data = obj.animation_data
    if data is None or data.action is None:
        return []
    action: Any = data.action
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    slot = data.action_slot
    if slot is None:
        return []
    bags = [strip.channelbag(slot) for layer in action.layers for strip in layer.strips]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


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
