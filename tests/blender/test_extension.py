"""The extension itself: built, installed, enabled, disabled; tracks come in as rigs; captures run and are cancelled."""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest
from commands import alive, fake_command
from rigs import character
from scenes import curves_of, figure, import_track, make, pose_of, wanted, write_track
from walks import NAMES, dance

ADDON = "bl_ext.user_default.stpose"


def test_the_zip_holds_the_extension_and_nothing_else(package: Path) -> None:
    names = zipfile.ZipFile(package).namelist()
    assert package.name == "stpose-0.1.0.zip"
    assert {"blender_manifest.toml", "__init__.py", "retarget/solver.py", "retarget/presets/mixamo.json"} <= set(names)
    assert not [name for name in names if "pycache" in name or name.startswith("tests")]


def test_it_brings_nothing_heavy_into_blender(scene: bpy.types.Scene) -> None:
    assert ADDON in sys.modules
    assert not {"torch", "cv2", "stpose_core"} & set(sys.modules)


def test_it_is_disabled_and_enabled_cleanly(scene: bpy.types.Scene) -> None:
    import addon_utils

    assert hasattr(bpy.types, "STPOSE_PT_capture")
    addon_utils.disable(ADDON)
    assert not hasattr(bpy.types, "STPOSE_PT_capture")
    assert not hasattr(bpy.types.Scene, "stpose")
    assert not [name for name in dir(bpy.types) if name.startswith(("STPOSE_", "STPose"))]
    addon_utils.enable(ADDON)
    assert hasattr(bpy.types.Scene, "stpose")


def test_it_is_removed_cleanly_and_installed_again(scene: bpy.types.Scene, installed: Path) -> None:
    repos = bpy.context.preferences.extensions.repos
    index = next(number for number, repo in enumerate(repos) if repo.module == "user_default")
    folder = Path(repos[index].directory) / "stpose"
    assert folder.is_dir()
    bpy.ops.extensions.package_uninstall(repo_index=index, pkg_id="stpose")
    assert not folder.exists()
    assert not hasattr(bpy.types, "STPOSE_PT_capture")
    assert ADDON not in bpy.context.preferences.addons
    bpy.ops.extensions.package_install_files(filepath=str(installed), repo="user_default", enable_on_install=True)
    assert hasattr(bpy.types, "STPOSE_PT_capture")


def test_a_track_comes_in_as_a_rig(scene: bpy.types.Scene, tmp_path: Path) -> None:
    track, turns = dance(60)
    rig = import_track(write_track(tmp_path / "dance.npz", track))
    names = [bone.name for bone in rig.data.bones]
    heads, _ = pose_of(rig, names, range(1, 61))
    places = wanted(turns, track["root"])
    for number, name in enumerate(names):
        assert np.abs(heads[:, number] - places[:, NAMES.index(name)]).max() < 1e-4
    assert all(bone.custom_shape for bone in rig.pose.bones)
    low = min(min(bone.head_local.z, bone.tail_local.z) for bone in rig.data.bones)
    assert abs(low) < 1e-5
    assert scene.stpose.source == rig


@pytest.mark.parametrize(("rate", "expected"), [("RESAMPLE", (24, 47)), ("SCENE", (30, 60))])
def test_the_frame_rate_fits_the_scene_or_the_scene_fits(
    scene: bpy.types.Scene, tmp_path: Path, rate: str, expected: tuple
) -> None:
    scene.render.fps = 24
    track, _ = dance(60)
    path = write_track(tmp_path / "dance.npz", track)
    bpy.ops.stpose.import_track(filepath=str(path), rate=rate)
    assert scene.render.fps == expected[0]
    assert round(bpy.context.object.animation_data.action.frame_range[1]) == expected[1] + (rate == "RESAMPLE")


def test_one_undo_takes_an_import_back(scene: bpy.types.Scene, tmp_path: Path) -> None:
    path = write_track(tmp_path / "dance.npz", dance(10)[0])
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.stpose.import_track("EXEC_DEFAULT", True, filepath=str(path))
    assert "dance" in bpy.data.objects
    bpy.ops.ed.undo()
    assert "dance" not in bpy.data.objects
    assert "dance" not in bpy.data.armatures


def test_what_is_no_track_is_said(scene: bpy.types.Scene, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("nothing")
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.stpose.import_track(filepath=str(tmp_path / "a.npz"))
    assert not bpy.data.objects


def test_the_map_is_a_table_that_can_be_edited_saved_and_loaded(scene: bpy.types.Scene, tmp_path: Path) -> None:
    one = character("nameless", arms_down=30)
    target = make(one)
    bpy.ops.stpose.map_bones(target=target.name)
    table = {row.slot: row.bone for row in scene.stpose.target.stpose_map.rows if row.bone}
    assert table == one.named()
    assert scene.stpose.target.stpose_map.family == "structure"
    scene.stpose.target.stpose_map.rows["hand.L"].bone = "yq1"
    bpy.ops.stpose.check_map()
    assert (
        "does not hang on" in scene.stpose.target.stpose_map.rows["hand.L"].problem
        or "is used" in scene.stpose.target.stpose_map.rows["thigh.L"].problem
    )
    scene.stpose.target.stpose_map.rows["hand.L"].bone = "xq4"
    bpy.ops.stpose.save_map(filepath=str(tmp_path / "mine.json"))
    bpy.ops.stpose.map_bones(target=target.name)
    bpy.ops.stpose.load_map(filepath=str(tmp_path / "mine.json"))
    assert scene.stpose.target.stpose_map.family == "mine"
    assert {row.slot: row.bone for row in scene.stpose.target.stpose_map.rows if row.bone} == one.named()


def test_long_texts_are_broken_into_lines_and_nothing_is_lost(scene: bpy.types.Scene) -> None:
    wrapped = sys.modules[ADDON + ".text"].wrapped
    text = "constraints keep these bones from following their keys: upper_arm_fk.L; mute them or map others"
    lines = wrapped(text, 30)
    assert max(map(len, lines)) <= 30
    assert " ".join(lines) == text
    assert wrapped("", 30) == [""]
    assert wrapped("    python3 -m venv ~/stpose/.venv", 24)[1].startswith("    ")


def drop(area: str, file: Path) -> set[str]:
    """What Blender does when a file is let go over an area of its window."""
    window = bpy.context.window_manager.windows[0]
    place = next(one for one in window.screen.areas if one.type == area)
    region = next(one for one in place.regions if one.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=place, region=region):
        return bpy.ops.wm.drop_import_file(directory=str(file.parent) + os.sep, files=[{"name": file.name}])


@pytest.fixture
def layout(scene: bpy.types.Scene) -> bpy.types.Scene:
    """Blender's window as it comes, with a 3D view, an outliner and properties."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    return bpy.context.scene


@pytest.mark.parametrize(("area", "taken"), [("VIEW_3D", True), ("OUTLINER", True), ("PROPERTIES", False)])
def test_a_dropped_track_comes_in_as_a_rig(layout: bpy.types.Scene, tmp_path: Path, area: str, taken: bool) -> None:
    path = write_track(tmp_path / "dance.npz", dance(10)[0])
    assert drop(area, path) == ({"FINISHED"} if taken else {"CANCELLED"})
    assert bool(layout.stpose.source) == taken
    assert ("dance" in bpy.data.objects) == taken


@pytest.fixture
def ours_alone() -> Iterator[None]:
    """No other handler of videos: where there are several Blender asks, and without a window it takes its own."""
    others = [
        one for one in bpy.types.FileHandler.__subclasses__()
        if ".mp4" in one.bl_file_extensions and one.is_registered and not one.__name__.startswith("STPOSE")
    ]  # fmt: skip
    for one in others:
        bpy.utils.unregister_class(one)
    yield
    for one in others:
        bpy.utils.register_class(one)


@pytest.mark.parametrize("name", ["a.mp4", "a.MOV", "a.webm", "a.txt"])
def test_a_dropped_video_is_the_one_to_capture(layout: bpy.types.Scene, ours_alone: None, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    taken = not name.endswith("txt")
    assert drop("VIEW_3D", tmp_path / name) == ({"FINISHED"} if taken else {"CANCELLED"})
    assert layout.stpose.video == (str(tmp_path / name) if taken else "")
    assert drop("PROPERTIES", tmp_path / name) == {"CANCELLED"}


@pytest.fixture
def command(scene: bpy.types.Scene, tmp_path: Path) -> tuple[Path, Path]:
    """A stand-in for the stpose command, chosen in the preferences."""
    path = write_track(tmp_path / "prepared.npz", dance(60)[0])
    script, pids = fake_command(tmp_path, path)
    bpy.context.preferences.addons[ADDON].preferences.command = str(script)
    return script, pids


def test_a_capture_gives_a_rig(command: tuple, tmp_path: Path) -> None:
    (tmp_path / "good.mp4").touch()
    assert bpy.ops.stpose.capture_video(filepath=str(tmp_path / "good.mp4"), person="2") == {"FINISHED"}
    assert (tmp_path / "good.npz").is_file()
    assert bpy.context.object.type == "ARMATURE"
    assert curves_of(bpy.context.object)


def test_camera_and_fit_of_the_panel_reach_the_command(command: tuple, tmp_path: Path) -> None:
    (tmp_path / "good.mp4").touch()
    bpy.ops.stpose.capture_video(filepath=str(tmp_path / "good.mp4"))
    options = command[1].with_name("options")
    assert [json.loads(options.read_text())[name] for name in ("camera", "refine")] == ["auto", True]
    bpy.ops.stpose.capture_video(filepath=str(tmp_path / "good.mp4"), filmed="moving", refine=False)
    assert [json.loads(options.read_text())[name] for name in ("camera", "refine")] == ["moving", False]


def test_a_report_of_the_track_is_written_beside_it(command: tuple, tmp_path: Path) -> None:
    settings = bpy.context.scene.stpose
    assert not bpy.ops.stpose.show_report.poll()
    (tmp_path / "good.mp4").touch()
    settings.video = str(tmp_path / "good.mp4")
    bpy.ops.stpose.capture_video(filepath=settings.video)
    assert bpy.ops.stpose.show_report() == {"FINISHED"}
    words = (tmp_path / "good.report.html").read_text().split()
    assert words[:2] == ["view", str(tmp_path / "good.npz")]
    assert words[words.index("--video") + 1] == settings.video
    settings.track = str(tmp_path / "bad.npz")
    with pytest.raises(RuntimeError, match="there is no track"):
        bpy.ops.stpose.show_report()
    (tmp_path / "bad.npz").touch()
    with pytest.raises(RuntimeError, match="is damaged"):
        bpy.ops.stpose.show_report()
    assert not (tmp_path / "bad.report.html").exists()


def test_one_undo_takes_a_capture_back(command: tuple, tmp_path: Path) -> None:
    (tmp_path / "good.mp4").touch()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.stpose.capture_video("EXEC_DEFAULT", True, filepath=str(tmp_path / "good.mp4"))
    assert "good" in bpy.data.objects
    bpy.ops.ed.undo()
    assert not bpy.data.objects
    assert not bpy.data.actions


@pytest.mark.parametrize(
    ("name", "text"), [("bad.mp4", "nobody in the video"), ("crash.mp4", "much too long"), ("gone.mp4", "no video")]
)
def test_a_failed_capture_says_why_and_leaves_nothing(command: tuple, tmp_path: Path, name: str, text: str) -> None:
    if not name.startswith("gone"):
        (tmp_path / name).touch()
    with pytest.raises(RuntimeError, match=text):
        bpy.ops.stpose.capture_video(filepath=str(tmp_path / name))
    assert not bpy.data.objects
    assert not (tmp_path / name).with_suffix(".npz").exists()


def test_a_cancelled_capture_leaves_nothing(command: tuple, tmp_path: Path) -> None:
    capture = sys.modules[ADDON + ".operators.capture"]
    job = sys.modules[ADDON + ".job"]
    (tmp_path / "slow.mp4").touch()
    capture.current.job = job.CaptureJob(command[0], job.Capture(tmp_path / "slow.mp4"), tmp_path / "slow.npz")
    while capture.current.job.poll().stage != "detect":
        time.sleep(0.02)
    began = time.monotonic()
    assert bpy.ops.stpose.cancel_capture() == {"FINISHED"}
    figure("cancel of a capture", time.monotonic() - began, "s")
    assert time.monotonic() - began < 1.0
    time.sleep(0.1)
    assert not any(alive(int(pid)) for pid in command[1].read_text().split())
    assert not (tmp_path / "slow.npz").exists()
    assert not bpy.data.objects


def test_the_command_is_tried_out_or_missed(command: tuple, scene: bpy.types.Scene, tmp_path: Path) -> None:
    assert bpy.ops.stpose.test_command() == {"FINISHED"}
    assert "ready" in sys.modules[ADDON + ".preferences"].tested.lines
    bpy.context.preferences.addons[ADDON].preferences.command = str(tmp_path / "gone")
    (tmp_path / "good.mp4").touch()
    with pytest.raises(RuntimeError, match="not found"):
        bpy.ops.stpose.capture_video(filepath=str(tmp_path / "good.mp4"))
    with pytest.raises(RuntimeError, match="not found"):
        bpy.ops.stpose.test_command()


def test_what_needs_an_armature_is_greyed_out_without_one(scene: bpy.types.Scene) -> None:
    operators = ("retarget", "foot_lock", "adjust", "export_character", "batch")
    assert not [name for name in operators if getattr(bpy.ops.stpose, name).poll()]
    make(character("mixamo"))
    assert [name for name in operators if getattr(bpy.ops.stpose, name).poll()] == list(operators)
