"""What the panel edits, kept with the scene."""

from __future__ import annotations

import json
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from .job import Capture
from .retarget.bonemap import BoneMap, Switch, ik_from, ik_to
from .retarget.slots import SLOTS

ROOT_MOTION = [
    ("FULL", "Full", "The hips move over the ground"),
    ("IN_PLACE", "In Place", "The character stays where it is"),
    ("ROOT_BONE", "Root Bone", "The root bone moves over the ground, the hips on it"),
    ("OBJECT", "Object", "The armature object moves over the ground"),
]
FACING = [
    ("SOURCE", "As the Source", "Face in the world where the source does"),
    ("CHARACTER", "As the Character", "Start from where the character faces itself"),
]
LOCK = [
    ("AUTO", "Auto", "Hold feet while they stand: by the contacts of the track, or by their speed"),
    ("ALWAYS", "Always", "Hold feet whenever they are low enough"),
    ("GROUNDING", "Grounding", "Raise or lower the body only, so that standing feet touch the ground"),
    ("NEVER", "Never", "Leave feet as they are"),
]
BAKE = [
    ("ACTION", "New Action", "A new action on the target; the one before is kept"),
    ("LAYER", "Layer", "An NLA track above the others; an assigned action is pushed down below it"),
    ("REPLACE", "Replace Last Bake", "In place of the last bake on this target, which is removed"),
]
GROUND = [
    ("REST", "Rest Pose", "The ground below the soles of the target's rest pose; of its skin where it has one"),
    ("ZERO", "World Origin", "The ground at height 0"),
    ("VALUE", "Height", "The ground at a given height"),
]
HANDS = [
    ("AS_THEY_ARE", "As They Are", "Fingers that the source does not move keep the pose that they have"),
    ("RELAXED", "Relaxed", "Fingers that the source does not move are half open"),
]
PERSON = [
    ("largest", "Largest", "Who is largest in the picture"),
    ("left", "Left", "Who is furthest to the left"),
    ("center", "Center", "Who is nearest to the middle"),
    ("right", "Right", "Who is furthest to the right"),
    ("number", "Number", "By size over the whole clip, from 1"),
    ("all", "Everybody", "A rig for each person, all in one world"),
]
# As `stpose mocap --camera`.
FILMED = [
    ("auto", "Auto", "Find out whether the camera stood still"),
    ("static", "Static", "The camera stood still"),
    ("moving", "Moving", "The camera turned or zoomed; its motion is taken out by the background"),
]
RATE = [
    ("RESAMPLE", "Resample", "Fit the motion to the scene's frame rate"),
    ("SCENE", "Set Scene", "Set the scene's frame rate to the motion's"),
]


def _is_armature(self: object, obj: bpy.types.Object) -> bool:
    return obj.type == "ARMATURE"


class STPoseBone(bpy.types.PropertyGroup):
    """A row of the bone map."""

    slot: StringProperty(name="Part", description="Part of the body")
    bone: StringProperty(name="Bone", description="Bone of the target")
    problem: StringProperty(name="Problem")


class STPoseSwitch(bpy.types.PropertyGroup):
    """A custom property that has to be set for the mapped controls to act."""

    bone: StringProperty()
    property: StringProperty()
    value: FloatProperty()


class STPoseMap(bpy.types.PropertyGroup):
    """The bone map of an armature object, kept with it."""

    rows: CollectionProperty(type=STPoseBone)
    row: IntProperty()
    family: StringProperty()
    note: StringProperty()
    controls: BoolProperty(
        name="Controls",
        description="The bones are controls, which need not be children of one another: the hierarchy is not checked",
    )
    switches: CollectionProperty(type=STPoseSwitch)
    ik: StringProperty()
    rest: StringProperty()


class STPosePreview(bpy.types.PropertyGroup):
    """What a preview has put aside on an object: it is kept with the object, so that any state of the file can be put right."""

    on: BoolProperty()
    action: PointerProperty(type=bpy.types.Action)
    slot: StringProperty()
    use_nla: BoolProperty()
    pose: StringProperty()


class Offsets:
    """The angles of `retarget.adjust`, for the operator and the panel."""

    spine_bend: FloatProperty(name="Spine Forward", description="Degrees", min=-90, max=90, options={"SKIP_SAVE"})
    spine_side: FloatProperty(
        name="Spine Left", description="Degrees to the character's left", min=-90, max=90, options={"SKIP_SAVE"}
    )
    spine_turn: FloatProperty(
        name="Spine Turn", description="Degrees to the character's left", min=-90, max=90, options={"SKIP_SAVE"}
    )
    shoulders: FloatProperty(name="Shoulders Up", description="Degrees", min=-45, max=45, options={"SKIP_SAVE"})
    arms_out: FloatProperty(name="Arms Out", description="Degrees away from the body", min=-90, max=90, options={"SKIP_SAVE"})
    arms_forward: FloatProperty(name="Arms Forward", description="Degrees", min=-90, max=90, options={"SKIP_SAVE"})


class STPoseSettings(Offsets, bpy.types.PropertyGroup):
    """All settings of the panel."""

    video: StringProperty(name="Video", description="Video to capture", subtype="FILE_PATH")
    person: EnumProperty(name="Person", items=PERSON)
    number: IntProperty(name="Number", description="1 is the largest person", default=1, min=1)
    use_range: BoolProperty(name="Range", description="Capture a part of the video only")
    start: FloatProperty(name="Start", description="Seconds into the video", min=0, unit="TIME_ABSOLUTE")
    end: FloatProperty(name="End", description="Seconds into the video", min=0, default=10, unit="TIME_ABSOLUTE")
    hands_too: BoolProperty(name="Hands", description="Capture fingers too; needs MediaPipe, or keypoints with hands")
    face_too: BoolProperty(name="Face", description="Capture the face too, for shape keys named as ARKit's; needs MediaPipe")
    smooth: FloatProperty(name="Smoothing", description="0 none, 1 very strong", default=Capture.smooth, min=0, max=1)
    filmed: EnumProperty(name="Filmed By", description="How the camera moved", items=FILMED)
    refine: BoolProperty(
        name="Fit to Picture",
        description="Fit the 3D joints to those in the picture, over the whole clip",
        default=Capture.refine,
    )
    track: StringProperty(name="Track", description="A captured track (.npz)", subtype="FILE_PATH")
    rate: EnumProperty(name="Frame Rate", items=RATE)
    camera: BoolProperty(name="Camera and Video", description="Add the camera that filmed it, with the video behind")
    plane: BoolProperty(name="Video Plane", description="Add the video as a reference image behind the rig, in the camera's view")
    source: PointerProperty(name="Source", type=bpy.types.Object, poll=_is_armature, description="Armature with the motion")
    target: PointerProperty(name="Target", type=bpy.types.Object, poll=_is_armature, description="Armature of the character")
    show_source_map: BoolProperty(name="Bones of the Source", description="Show the bone map of the source too")
    root_motion: EnumProperty(name="Root Motion", items=ROOT_MOTION)
    facing: EnumProperty(name="Facing", items=FACING)
    match_spine: BoolProperty(
        name="Match Spine", description="Spine and neck point exactly as the source's, without the curve they have at rest"
    )
    hands: EnumProperty(name="Hands", items=HANDS)
    lock: EnumProperty(name="Foot Lock", items=LOCK)
    heading: BoolProperty(name="Heading", description="The root also turns with the character", default=True)
    ground: EnumProperty(name="Ground", items=GROUND)
    ground_height: FloatProperty(name="Height", description="Height of the ground in the world", unit="LENGTH")
    radius: FloatProperty(
        name="Radius", description="Metres that a foot may drift before it is released, for legs of 0.9 m", default=0.15, min=0.01
    )
    floor_height: FloatProperty(
        name="Floor Height", description="Metres above the ground in which a foot may stand, for legs of 0.9 m", default=0.08, min=0
    )
    bake: EnumProperty(name="Bake To", items=BAKE)
    use_frames: BoolProperty(name="Frame Range", description="Bake a part of the motion only")
    first: IntProperty(name="First", default=1)
    last: IntProperty(name="Last", default=250)
    step: IntProperty(name="Step", description="Frames between keys", default=1, min=1)
    ik: BoolProperty(
        name="IK Controls",
        description="Key the IK controls that the map names too, so that both ways give the same pose",
        default=True,
    )
    simplify: FloatProperty(
        name="Simplify", description="Degrees that fewer keys may be off by; 0 keeps all", default=0, min=0, max=10
    )


def map_of(obj: bpy.types.Object) -> Any:
    """The `STPoseMap` of an object."""
    return obj.stpose_map  # type: ignore[attr-defined]


def show_map(obj: bpy.types.Object, found: BoneMap) -> None:
    """Fill the object's table with a map."""
    table = map_of(obj)
    table.rows.clear()
    table.switches.clear()
    for slot in SLOTS:
        row = table.rows.add()
        row.name = row.slot = slot
        row.bone, row.problem = found.bones.get(slot, ""), found.problems.get(slot, "")
    for switch in found.switches:
        one = table.switches.add()
        one.bone, one.property, one.value = switch.bone, switch.property, switch.value
    table.family, table.note, table.controls = found.family, found.note, found.controls
    table.ik = json.dumps(ik_to(found.ik))


def shown_map(obj: bpy.types.Object | None) -> BoneMap | None:
    """The map in the object's table, if it has one."""
    if obj is None or not len(map_of(obj).rows):
        return None
    table = map_of(obj)
    return BoneMap(
        {row.slot: row.bone for row in table.rows if row.bone},
        table.family,
        switches=tuple(Switch(one.bone, one.property, one.value) for one in table.switches),
        note=table.note,
        controls=table.controls,
        ik=ik_from(json.loads(table.ik or "[]")),
    )


CLASSES = (STPoseBone, STPoseSwitch, STPoseMap, STPosePreview, STPoseSettings)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)
    setattr(bpy.types.Scene, "stpose", PointerProperty(type=STPoseSettings))  # type: ignore[func-returns-value]  # noqa: B010
    kept = PointerProperty(type=STPoseMap)  # type: ignore[func-returns-value]
    setattr(bpy.types.Object, "stpose_map", kept)  # noqa: B010
    aside = PointerProperty(type=STPosePreview)  # type: ignore[func-returns-value]
    setattr(bpy.types.Object, "stpose_preview", aside)  # noqa: B010


def unregister() -> None:
    delattr(bpy.types.Object, "stpose_preview")
    delattr(bpy.types.Object, "stpose_map")
    delattr(bpy.types.Scene, "stpose")
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
