"""The camera that filmed, and the video behind it or on a plane: where they are, and which of its frames they show."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from rigs import turn
from scenes import pose_of, write_track
from walks import dance

VIDEO = Path(__file__).parents[2] / "examples" / "walk.mp4"  # 540 x 720 pixels, 175 frames, 30 a second
FRAMES, FOCAL = 30, 900.0
CENTRE = np.array([280.0, 350.0])


@pytest.fixture
def seen(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A track that says who filmed it and from where, and the pixels (T, 2) at which its hips were seen."""
    track, _ = dance(FRAMES)
    tilt, flip = turn([1, 0, 0], 12), np.diag([1.0, -1.0, -1.0])  # a camera that looks 12 degrees down
    room = tilt.T @ flip
    pelvis = (np.asarray(track["root"]) - [0.3, 1.8, 5.0]) @ room  # the camera stands at (0.3, 1.8, 5) in the room
    assert (pelvis[:, 2] > 0).all()
    return written(tmp_path, track, pelvis, room), FOCAL * pelvis[:, :2] / pelvis[:, 2:] + CENTRE


def written(folder: Path, track: dict, pelvis: np.ndarray, room: np.ndarray) -> Path:
    path = write_track(folder / "seen.npz", track)
    seen = {
        "pose3d.root": pelvis, "pose3d.up": room.T @ [0.0, 1.0, 0.0], "pose3d.camera.focal": FOCAL,
        "pose3d.camera.centre": CENTRE, "keypoints.image_size": [540, 720], "video.path": str(VIDEO),
        "video.fps": 30.0, "start": 0.0,
    }  # fmt: skip
    np.savez(path, **dict(np.load(path)), **{name: np.array(value) for name, value in seen.items()})
    return path


def changed(path: Path, **changes: object) -> Path:
    content = {**dict(np.load(path)), **{name.replace("__", "."): np.array(value) for name, value in changes.items()}}
    np.savez(path, **content)
    return path


def shown(owner: bpy.types.ID, of) -> list[int]:
    """Which frame of the video, from 1, an image's user shows in each frame of the scene, as Blender counts: of(evaluated)."""
    found = []
    for frame in range(1, bpy.context.scene.frame_end + 1):
        bpy.context.scene.frame_set(frame)
        user = of(owner.evaluated_get(bpy.context.evaluated_depsgraph_get()))
        found.append(min(frame - user.frame_start + 1, user.frame_duration) + user.frame_offset)
    return found


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_the_camera_sees_the_rig_where_the_video_showed_it(scene: bpy.types.Scene, seen: tuple, unit: float) -> None:
    scene.unit_settings.scale_length = unit
    bpy.ops.stpose.import_track(filepath=str(seen[0]), camera=True)
    heads, _ = pose_of(scene.stpose.source, ["Hips"], range(1, FRAMES + 1))
    for head, pixel in zip(heads[:, 0], seen[1]):
        x, y, _ = world_to_camera_view(scene, scene.camera, Vector(head))
        assert np.allclose([540 * x, 720 * (1 - y)], pixel, atol=0.5)
    assert scene.camera.data.background_images[0].image.filepath == str(VIDEO)
    assert not [obj for obj in bpy.data.objects if obj.type == "EMPTY"]


def test_the_plane_fills_what_the_camera_sees_behind_the_rig(scene: bpy.types.Scene, seen: tuple) -> None:
    bpy.ops.stpose.import_track(filepath=str(seen[0]), plane=True)
    assert not len(scene.camera.data.background_images)
    plane = next(obj for obj in bpy.data.objects if obj.type == "EMPTY")
    bpy.context.view_layer.update()
    # An image is as large as its empty says along its longer side, and is moved by its offset.
    size = plane.empty_display_size * np.array([540, 720]) / 720
    depths = []
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
        at = (np.array(corner) + plane.empty_image_offset) * size
        x, y, depth = world_to_camera_view(scene, scene.camera, plane.matrix_world @ Vector((*at, 0)))
        assert np.allclose([x, y], corner, atol=1e-4)
        depths.append(depth)
    heads, _ = pose_of(scene.stpose.source, ["Hips"], range(1, FRAMES + 1))
    assert min(depths) > max(world_to_camera_view(scene, scene.camera, Vector(head)).z for head in heads[:, 0]) + 0.9


@pytest.mark.parametrize(("rate", "start"), [(30, 0.0), (24, 0.0), (60, 1.0), (30, 2.0)])
def test_the_video_is_in_step_with_the_rig(scene: bpy.types.Scene, seen: tuple, rate: int, start: float) -> None:
    scene.render.fps, scene.frame_end = rate, 1
    bpy.ops.stpose.import_track(filepath=str(changed(seen[0], start=start)), camera=True, plane=True)
    expected = [round((frame / rate + start) * 30 + 1e-9) + 1 for frame in range(scene.frame_end)]
    plane = next(obj for obj in bpy.data.objects if obj.type == "EMPTY")
    assert scene.frame_end > 20
    for found in (
        shown(plane, lambda obj: obj.image_user),
        shown(scene.camera, lambda obj: obj.data.background_images[0].image_user),
    ):
        assert np.abs(np.array(found) - expected).max() <= (0 if rate == 30 else 1)
        assert abs(np.mean(np.array(found) - expected)) < 0.3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"video__path": "gone.mp4"}, "no file gone.mp4"),
        ({"keypoints__image_size": [720, 540]}, "turned"),
        ({"pose3d__root": np.full((FRAMES, 3), np.nan)}, "where the camera stood"),
    ],
)
def test_what_cannot_be_shown_is_said(scene: bpy.types.Scene, seen: tuple, capfd, change: dict, text: str) -> None:
    bpy.ops.stpose.import_track(filepath=str(changed(seen[0], **change)), camera=True, plane=True)
    assert text in capfd.readouterr().out
    assert scene.stpose.source.animation_data.action
    assert not [obj for obj in bpy.data.objects if obj.type == "EMPTY"]
    assert not bpy.data.images
