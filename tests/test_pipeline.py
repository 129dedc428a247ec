"""From a video to captures: as long as the video, on an even grid, from the first frame of the range."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import SIZE, STANDING, BarDetector, film, lift_standing

import stpose_core as sp
from stpose_core.data import Capture, Keypoints, Pose3D
from stpose_core.detect.types import Box, Pose2D
from stpose_core.errors import FormatError, NoPersonError, OptionError, StposeError, VideoError
from stpose_core.pipeline import capture, capture_people, choose_device
from stpose_core.preview import write_preview
from stpose_core.video import probe, read_frames


def run(path: Path, **options: object) -> Capture:
    options = {"detector": BarDetector(), "lifter": lift_standing, "device": "cpu", **options}
    return capture(path, **options)  # type: ignore[arg-type]


def lasts(result: Capture) -> float:
    return len(result) / result.motion.fps


@pytest.mark.parametrize(("fps", "frames"), [(5, 15), (25, 50), (60, 120), (29.97, 60)])
def test_the_motion_lasts_as_long_as_the_video(tmp_path: Path, fps: float, frames: int) -> None:
    result = run(film(tmp_path / "a.mp4", fps, frames))
    assert len(result) == frames
    assert result.motion.fps == pytest.approx(fps, rel=1e-3)
    assert lasts(result) == pytest.approx(frames / fps, abs=1 / fps)
    assert result.keypoints.seen.all()


def test_joints_are_fitted_to_what_was_seen_unless_told_not_to(tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mp4", 30, 30)

    def off(take: Capture) -> float:
        """Mean distance in pixels of the 3D joints, as the camera sees them, from those that were seen."""
        pose, points = take.pose3d, sp.skeletons.convert(take.keypoints)
        places = pose.xyz + pose.root[:, None]
        xy = pose.camera.focal * places[..., :2] / places[..., 2:] + np.asarray(pose.camera.centre)
        return float(np.nanmean(np.linalg.norm(xy - points.xy, axis=-1)))

    fitted, plain = (run(path, refine=refine) for refine in (True, False))
    assert off(fitted) < 0.9 * off(plain)
    assert np.array_equal(run(path).pose3d.xyz, fitted.pose3d.xyz)


def test_a_variable_rate_keeps_its_tempo(tmp_path: Path) -> None:
    # A second at 30 fps, then two at 10 fps: 50 frames in 3 s.
    stamps = [*range(30), *range(30, 90, 3)]
    path = film(tmp_path / "vfr.mp4", 30, stamps)
    result = run(path)
    shown = probe(path)
    assert lasts(result) == pytest.approx(3.0, abs=1.5 / shown.fps)
    # The bar moves evenly in time. On an even grid it does so too; frame by frame it would not.
    x = result.keypoints.xy[:, 0, 0]
    steps = np.diff(x[result.keypoints.seen])
    assert abs(np.median(steps[: len(steps) // 3]) - np.median(steps[len(steps) // 2 :])) < 0.35 * np.median(steps)
    frame_by_frame = np.diff(50 + 40 * np.array(stamps) / stamps[-1])
    assert np.median(frame_by_frame[35:]) > 2 * np.median(frame_by_frame[:25])


@pytest.mark.parametrize("fps", [10, 50, 120])
def test_another_rate_changes_the_frames_and_not_the_length(tmp_path: Path, fps: float) -> None:
    result = run(film(tmp_path / "a.mp4", 25, 50), fps=fps)
    assert result.motion.fps == result.keypoints.fps == result.pose3d.fps == fps
    assert lasts(result) == pytest.approx(2.0, abs=1 / 25 + 1 / fps)


def test_a_person_who_comes_late_and_leaves_early_keeps_the_time(tmp_path: Path) -> None:
    result = run(film(tmp_path / "a.mp4", 25, 75, there=range(25, 60)))
    assert len(result) == 75
    seen = result.keypoints.seen
    assert not seen[:24].any()
    assert seen[27:58].all()
    assert not seen[62:].any()
    assert (result.motion.filled[:24]).all()
    assert not result.motion.filled[30:55].any()


def test_the_range_is_taken_from_the_video(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 75)
    whole, part = run(path), run(path, start=1.0, end=2.0)
    assert len(part) == 25
    np.testing.assert_allclose(part.keypoints.xy, whole.keypoints.xy[25:50], atol=1.5)
    # Negative control: another second of the video is elsewhere.
    assert np.abs(part.keypoints.xy - whole.keypoints.xy[:25]).max() > 5


def test_nobody_is_an_error(tmp_path: Path) -> None:
    path = film(tmp_path / "empty.mp4", 25, 25, there=[])
    with pytest.raises(NoPersonError):
        run(path)


def test_frames_are_seen_in_order_and_progress_ends_at_its_total(tmp_path: Path) -> None:
    told: list[tuple[str, float, float | None]] = []
    run(film(tmp_path / "a.mp4", 25, 30), progress=lambda *event: told.append(event))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages[:2] == ["detect", "lift"]
    for stage in stages:
        events = [(done, total) for name, done, total in told if name == stage]
        assert [done for done, _ in events] == sorted(done for done, _ in events)
        assert events[-1][0] == events[-1][1]


class TwoDetector(BarDetector):
    """Sees somebody small, and fidgeting, at the right edge beside the bar."""

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        return [*super().find(image), Box(132, 40, 148, 76, 1.0)]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        if box.centre[0] < 120:
            return super().pose(image, box)
        shake = np.random.default_rng(int(image[10, 10, 0])).normal(0, 0.5, (17, 2))
        return Pose2D((140, 56) + 22 * STANDING[:, :2] + shake, np.full(17, 0.9), 1.0, Box(132, 40, 148, 76, 1.0))


def test_the_largest_of_the_clip_who_was_in_the_background_at_first_is_looked_at_in_every_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 100, there=range(25))
    told: list[tuple[float, float | None]] = []
    found = run(path, detector=TwoDetector(), progress=lambda stage, *event: told.append(event) if stage == "detect" else None)
    asked = run(path, detector=TwoDetector(), person="right")
    np.testing.assert_array_equal(found.keypoints.xy, asked.keypoints.xy)
    assert found.keypoints.seen.all()
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (200, 200), "the clip was gone through twice"
    # The control: it is the bar, and looked at once, where that stays long enough.
    told.clear()
    path = film(tmp_path / "b.mp4", 25, 100)
    found = run(path, detector=TwoDetector(), progress=lambda stage, *event: told.append(event) if stage == "detect" else None)
    assert np.nanmax(found.keypoints.xy[..., 0]) < 125
    assert told[-1] == (100, 100)


def test_a_detector_is_given_by_object_and_all_are_captured(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 25)
    found = capture_people(path, detector=BarDetector(), lifter=lift_standing, device="cpu")  # type: ignore[arg-type]
    assert len(found) == 1
    assert found[0].detector == "bar"
    assert found[0].video.path == path
    with pytest.raises(ValueError, match="capture_people"):
        run(path, person="all")


def write_openpose(folder: Path, frames: range, x: float = 60) -> Path:
    """What OpenPose writes: a file a frame, here of somebody who stands with the pelvis at (x, 60)."""
    folder.mkdir()
    body = np.tile([x, 60.0, 0.9], (25, 1))
    body[:, :2] += np.random.default_rng(1).uniform(-30, 30, (25, 2))
    for frame in frames:
        people = [{"pose_keypoints_2d": body.ravel().tolist()}]
        (folder / f"a_{frame:012d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def lift_any(keypoints: Keypoints) -> Pose3D:
    """The stand-in lifter for joints of any skeleton, of which it takes only who was seen when."""
    xy = np.where(keypoints.seen[:, None, None], np.full((1, 17, 2), 60.0), np.nan)
    score = np.where(keypoints.seen[:, None], np.full((1, 17), 0.9), 0.0)
    return lift_standing(Keypoints(xy, score, keypoints.fps, keypoints.image_size, "h36m17"))


def test_joints_from_a_file_take_the_place_of_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", 10, 30)
    folder = write_openpose(tmp_path / "joints", range(5, 30))

    def refuse(*_: object) -> Iterator[None]:
        raise AssertionError("the video was decoded")
        yield

    monkeypatch.setattr("stpose_core.video.VideoFile.frames", refuse)
    result = run(path, detector=folder, lifter=lift_any)
    assert (len(result), result.motion.fps, result.detector) == (30, pytest.approx(10), "keypoints")
    assert result.keypoints.seen.tolist() == [False] * 5 + [True] * 25
    part = run(path, detector=folder, lifter=lift_any, start=0.3, end=2.0)
    assert part.keypoints.seen.tolist() == [False] * 2 + [True] * 15
    with pytest.raises(NoPersonError):
        run(path, detector=folder, lifter=lift_any, end=0.4)
    # Control: without the file the video is looked at.
    with pytest.raises(AssertionError, match="decoded"):
        run(path)


def test_a_capture_is_a_file_of_keypoints_of_its_own_video_only(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 30)
    result = run(path)
    sp.save(result, tmp_path / "a.npz")
    again = run(path, detector=tmp_path / "a.npz")
    np.testing.assert_allclose(again.keypoints.xy, result.keypoints.xy, atol=1e-3)
    np.testing.assert_allclose(again.motion.root, result.motion.root, atol=1e-3)
    keypoints = replace(result.keypoints, image_size=(640, 480))
    sp.save(replace(result, keypoints=keypoints), tmp_path / "other.npz")
    with pytest.raises(FormatError, match="640 x 480"):
        run(path, detector=tmp_path / "other.npz")


def write_walk(path: Path, xs: np.ndarray) -> Path:
    """COCO results of somebody whose joints stand `xs` (N,) pixels to the right in frame 0, 1, ..."""
    body = np.random.default_rng(1).uniform(30, 90, (17, 2))
    rows = [np.column_stack([body + [x, 0], np.full(17, 0.9)]).ravel().tolist() for x in xs]
    entries = [{"image_id": n, "category_id": 1, "keypoints": row, "score": 0.9} for n, row in enumerate(rows)]
    path.write_text(json.dumps(entries))
    return path


def test_joints_from_a_file_stand_at_the_stamps_of_their_frames(tmp_path: Path) -> None:
    # A second at 30 fps, then two at 10 fps. Who moves evenly in time does so on the even grid.
    stamps = np.array([*range(30), *range(30, 90, 3)])
    path = film(tmp_path / "vfr.mp4", 30, stamps.tolist())
    joints = write_walk(tmp_path / "walk.json", 20 * stamps / 30)
    result = run(path, detector=joints, lifter=lift_any)
    looked = run(path)
    assert len(result) == len(looked)
    assert result.keypoints.seen.all()
    x = result.keypoints.xy[:, 0, 0]
    true = 20 * np.arange(len(x)) / result.keypoints.fps
    np.testing.assert_allclose(x - x[0], true, atol=0.5)  # copied from up to a quarter of a frame beside the grid
    # Control: frame by frame it would not.
    counted = np.interp(np.arange(len(x)) / result.keypoints.fps, np.arange(50) / probe(path).fps, 20 * stamps / 30)
    assert np.abs(counted - true).max() > 5
    part = run(path, detector=joints, lifter=lift_any, start=2.0)
    assert len(part) == pytest.approx(probe(path).fps, abs=2)
    np.testing.assert_allclose(part.keypoints.xy[0, 0, 0] - x[0], 40, atol=0.5)


def test_a_capture_of_a_range_knows_where_it_lies(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 75)
    whole, part = run(path), run(path, start=1.0, end=2.0)
    assert (whole.start, part.start) == (0.0, pytest.approx(1.0))
    sp.save(part, tmp_path / "part.npz")
    again = run(path, detector=tmp_path / "part.npz")
    assert again.keypoints.seen.tolist() == [False] * 25 + [True] * 25 + [False] * 25
    np.testing.assert_allclose(again.keypoints.xy[25:50], part.keypoints.xy, atol=1e-3)
    same = run(path, detector=tmp_path / "part.npz", start=1.0, end=2.0)
    assert same.start == part.start
    np.testing.assert_allclose(same.keypoints.xy, part.keypoints.xy, atol=1e-3)
    with pytest.raises(NoPersonError):
        run(path, detector=tmp_path / "part.npz", end=1.0)


def test_a_clip_of_less_than_a_frame_a_second_is_refused(tmp_path: Path) -> None:
    detector = BarDetector()
    with pytest.raises(VideoError, match=r"0\.5 frames per second") as caught:
        run(film(tmp_path / "slow.mp4", 1, range(0, 20, 2)), detector=detector)
    assert "\n" not in str(caught.value)
    assert detector.looked == 0
    with pytest.raises(ValueError, match="fps must be"):
        run(film(tmp_path / "a.mp4"), fps=0.01)
    assert len(run(film(tmp_path / "enough.mp4", 1, 10))) == 10


@pytest.mark.parametrize("person", ["", "0", "-1", "everyone", "1.5"])
def test_an_unknown_choice_of_person_is_refused_at_once(tmp_path: Path, person: str) -> None:
    detector = BarDetector()
    with pytest.raises(StposeError, match="person: unknown choice"):
        run(film(tmp_path / "a.mp4"), person=person, detector=detector)
    assert detector.looked == 0


@pytest.mark.parametrize(("start", "end"), [(2.0, 1.0), (1.0, 1.0)])
def test_a_range_without_time_is_refused(tmp_path: Path, start: float, end: float | None) -> None:
    with pytest.raises(StposeError, match="is empty"):
        run(film(tmp_path / "a.mp4"), start=start, end=end)


def test_a_range_after_the_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError):
        run(film(tmp_path / "a.mp4"), start=100.0)


def test_devices_that_are_not_there_are_refused() -> None:
    import torch

    assert choose_device("cpu") == "cpu"
    with pytest.raises(StposeError, match="unknown device"):
        choose_device("tpu")
    if not torch.backends.mps.is_available():
        with pytest.raises(StposeError, match="no mps device"):
            choose_device("mps")


def test_lifting_takes_one_thread_and_gives_the_others_back(tmp_path: Path) -> None:
    import torch

    used: list[int] = []

    def lift(keypoints: Keypoints) -> Pose3D:
        used.append(torch.get_num_threads())
        return lift_standing(keypoints)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(film(tmp_path / "a.mp4"), lifter=lift)
        assert (used, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_the_preview_shows_the_joints_and_lasts_as_long(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 30)
    result = run(path)
    write_preview([result], tmp_path / "preview.mp4")
    frames = list(read_frames(tmp_path / "preview.mp4"))
    assert len(frames) == 30
    assert frames[0].image.shape == (SIZE[1], SIZE[0] + SIZE[1] // 2, 3)
    for number in (5, 25):
        x, y = result.keypoints.xy[number, 11].round().astype(int)  # the left shoulder, in red
        patch = frames[number].image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).astype(int).mean(0)
        assert patch[0] > patch[1] + 40
    plain = next(iter(read_frames(path))).image.astype(int)
    assert (plain[..., 0] - plain[..., 1]).max() < 40, "control: nothing in the video itself is red"


def test_importing_the_package_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, stpose_core; heavy = {'torch', 'cv2', 'av', 'scipy', 'mediapipe'} & set(sys.modules); "
        "assert not heavy, heavy; stpose_core.capture; assert 'cv2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names_are_all_there() -> None:
    for name in sp.__all__:
        assert getattr(sp, name) is not None
        assert name in dir(sp)
    with pytest.raises(AttributeError):
        _ = sp.no_such_thing


def write_people(path: Path, *people: tuple[float, float, range]) -> Path:
    """COCO results of people of whom each stands at x, and is seen with a score in a range of frames."""
    body = np.random.default_rng(1).uniform(-15, 15, (17, 2))
    entries = []
    for frame in range(30):
        for x, score, frames in people:
            if frame in frames:
                row = np.column_stack([body * (2 if x < 50 else 1) + [x, 60], np.full(17, score)]).ravel().tolist()
                entries.append({"image_id": frame, "category_id": 1, "keypoints": row, "score": score})
    path.write_text(json.dumps(entries))
    return path


def test_a_fragment_without_a_pose_costs_nobody_else_theirs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lifted by the network that ships: joints that are hardly seen give no pose."""
    path = film(tmp_path / "a.mp4", 25, 30)
    sure, fragment = (40.0, 0.9, range(30)), (100.0, 0.05, range(12, 16))
    joints = write_people(tmp_path / "a.json", sure, fragment, (140.0, 0.8, range(30)))
    found = capture_people(path, detector=joints, device="cpu")
    assert [round(float(np.nanmean(capture.keypoints.xy[..., 0])) // 50) for capture in found] == [0, 2]
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert "left out 1 of 3 people (by size: 3)" in warning.getMessage()
    assert str(path) in warning.getMessage()
    caplog.clear()
    for person in ("3", "all"):  # asked for alone, or alone in the video: an error
        chosen = joints if person == "3" else write_people(tmp_path / "b.json", fragment, (150.0, 0.05, range(4, 9)))
        with pytest.raises(NoPersonError, match="too few frames for a pose") as caught:
            capture_people(path, detector=chosen, person=person, device="cpu")
        assert str(path) in str(caught.value)
    # Control: nobody is left out, nothing is said.
    assert len(capture_people(path, detector=write_people(tmp_path / "c.json", sure), device="cpu")) == 1
    assert caplog.records == []


@pytest.mark.parametrize("call", [capture, capture_people])
def test_options_go_by_name_only(tmp_path: Path, call: object) -> None:
    with pytest.raises(TypeError, match="positional"):
        call(film(tmp_path / "a.mp4"), BarDetector())  # type: ignore[operator]
    kinds = {name: parameter.kind for name, parameter in inspect.signature(call).parameters.items()}  # type: ignore[arg-type]
    assert kinds.pop("path") == inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert kinds.pop("changes") == inspect.Parameter.VAR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(OptionError, match="unknown option smoothing"):
        call(film(tmp_path / "b.mp4"), smoothing=1)  # type: ignore[operator]
