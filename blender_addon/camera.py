"""The camera that filmed a track, where the rig says it stood, with the video behind or on a plane in the scene."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Quaternion, Vector

from .action import Channel, write_action
from .retarget.motion import TO_BLENDER, Motion, View, read_view
from .retarget.rotation import IDENTITY, Array, multiply, rotate, smallest, to_matrix, unit
from .rig import units_per_metre

_BEHIND = 1.0  # m from the person at their farthest to the plane
_FADED = 0.7  # opacity of the video in the camera
_NAME = "STPose camera"
#: Axes of a camera in a video (x right, y down, z forward) to Blender's (x right, y up, z backward).
_FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Scenery:
    """What of a capture's surroundings comes into the scene. camera: with the video behind it.

    plane: the video as a reference image behind the rig, which fills what the camera sees; the camera comes with it.
    """

    camera: bool = False
    plane: bool = False


def add_scenery(
    context: bpy.types.Context, path: Path, motion: Motion, rig: bpy.types.Object, first: int, wanted: Scenery
) -> list[str]:
    """Add what is wanted; what could not be added and why, in words. Raises TrackError.

    path: the track. motion: at the capture's own frame rate, as it is in the file. first: the frame in which the rig's begins.
    """
    if not (wanted.camera or wanted.plane):
        return []
    view = read_view(path)
    if view is None or len(view.pelvis) != len(motion) or not np.isfinite(view.pelvis).all(axis=1).any():
        return ["the track does not say where the camera stood"]
    camera = _add_camera(context, view, motion, rig)
    image, problem = _video(view)
    if image is None:
        return [problem]
    frames = first + np.arange(context.scene.frame_end - first + 1, dtype=np.float64)
    shown = _Shown(image, view, frames, context.scene.render.fps / context.scene.render.fps_base)
    if wanted.camera:
        background = camera.data.background_images.new()
        background.image, background.alpha = image, _FADED
        camera.data.show_background_images = True
        shown.play(camera.data, background.image_user, "background_images[0].image_user.frame_offset")
    if wanted.plane:
        plane = _add_plane(context, view, camera, image)
        shown.play(plane, plane.image_user, "image_user.frame_offset")
    return []


def _add_camera(context: bpy.types.Context, view: View, motion: Motion, rig: bpy.types.Object) -> bpy.types.Object:
    """A camera with the lens and the place of the one that filmed, which becomes the scene's."""
    level = smallest(unit(_FLIP @ view.up), [0.0, 1.0, 0.0]) if np.linalg.norm(view.up) > 1e-6 else IDENTITY
    turned = multiply(TO_BLENDER, level)
    pelvis = view.pelvis @ (to_matrix(turned) @ _FLIP).T
    seen = np.isfinite(pelvis).all(axis=1)
    place = np.median(rotate(TO_BLENDER, motion.root[seen]) - pelvis[seen], axis=0) * units_per_metre(context.scene)
    data = bpy.data.cameras.new(_NAME)
    obj = bpy.data.objects.new(_NAME, data)
    context.collection.objects.link(obj)
    obj.matrix_world = rig.matrix_world @ Matrix.Translation(Vector(place.tolist())) @ _matrix(turned)
    width, height = view.size
    longer = max(view.size)
    data.clip_start, data.clip_end = (units_per_metre(context.scene) * end for end in (data.clip_start, data.clip_end))
    data.sensor_fit = "HORIZONTAL" if width >= height else "VERTICAL"
    data.angle = 2 * atan(longer / 2 / view.focal)
    data.shift_x = (width / 2 - float(view.centre[0])) / longer
    data.shift_y = (float(view.centre[1]) - height / 2) / longer
    context.scene.camera = obj
    context.scene.render.resolution_x, context.scene.render.resolution_y = width, height
    return obj


def _matrix(turn: Array) -> Matrix:
    return Quaternion(turn.tolist()).to_matrix().to_4x4()


def _add_plane(context: bpy.types.Context, view: View, camera: bpy.types.Object, image: bpy.types.Image) -> bpy.types.Object:
    """A reference image behind the person which covers the picture of the camera to its edges, and moves with it."""
    depth = float(np.nanmax(view.pelvis[:, 2])) + _BEHIND
    size = units_per_metre(context.scene)
    pixel = size * depth / view.focal  # the size of a pixel in that depth
    obj = bpy.data.objects.new("STPose video", None)
    context.collection.objects.link(obj)
    obj.empty_display_type = "IMAGE"
    obj.data = image  # type: ignore[assignment]
    obj.empty_display_size = pixel * max(view.size)
    obj.empty_image_offset = (-0.5, -0.5)
    obj.empty_image_side = "FRONT"
    obj.parent = camera
    aside, down = pixel * (np.array(view.size) / 2 - view.centre)
    obj.location = (float(aside), -float(down), -size * depth)
    return obj


def _video(view: View) -> tuple[bpy.types.Image | None, str]:
    """The video as an image, or why there is none."""
    if not view.video.is_file():
        return None, f"the video is not shown: there is no file {view.video}"
    try:
        image = bpy.data.images.load(str(view.video), check_existing=True)
    except RuntimeError:
        return None, f"the video is not shown: Blender cannot read {view.video}"
    if tuple(image.size) != view.size:
        if not image.users:
            bpy.data.images.remove(image)
        return None, f"the video is not shown: Blender reads {view.video} turned, or in another size than it was captured in"
    return image, ""


@dataclass(frozen=True)
class _Shown:
    """A video in step with the rig: frame by frame where scene and video have one rate, else with the frames shifted by keys.

    frames: (T,) of the scene, from the first on which the rig is animated. rate: frames of the scene a second.
    """

    image: bpy.types.Image
    view: View
    frames: Array
    rate: float

    def play(self, owner: Any, user: bpy.types.ImageUser, path: str) -> None:
        """Let an image's user, which is at `path` of an object or a camera, show the video."""
        first = self.frames[0]
        since = self.frames - first
        at = np.round((since / self.rate + self.view.start) * self.view.fps)
        user.use_auto_refresh = True
        user.frame_start = int(first)
        # Blender stops counting at the duration, before it adds the offset.
        user.frame_duration = int(max(self.image.frame_duration, len(self.frames)))
        offset = at - since
        user.frame_offset = int(offset[0])
        if np.ptp(offset):
            write_action(owner, f"{owner.name} video", [Channel(path, "Video", self.frames, offset[:, None])])
