"""Adapting a lifter to footage: what it reads off the clips, what it writes, what it refuses, and what it says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import BarDetector, film, lift_standing
from small_footage import footage, tiny_lifter, write_keypoints, write_tiny
from small_mocap import write_folder
from stpose_cli.main import run as command
from stpose_training import adapt as module
from stpose_training.adapt import Adaptation, adapt, keep_apart, learn, read_clips
from stpose_training.data.bodies import Random
from stpose_training.data.footage import Window, usable
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import NO_FAULTS, Batch
from stpose_training.quality import quality, table
from stpose_training.replay import Look, draw_like, lifted_motions, look_of, looks_of
from stpose_training.validation import held_out

import stpose_core.lift
import stpose_core.pipeline
from stpose_core.data import Camera, Pose3D
from stpose_core.errors import DetectorError, TrainingError
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift.torch_network import TorchNetwork, torch_lifter
from stpose_core.metrics import bone_lengths
from stpose_core.networks.lifting import LiftingNetwork
from stpose_core.skeletons import H36M17
from stpose_core.weights import read_weights

QUICK = Adaptation(steps=3, batch=4, frames=16, warmup=1, rate=1e-2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Weights to start from, and three clips."""
    clips = [str(write_keypoints(tmp_path / f"{seed}.npz", footage(seed))) for seed in range(3)]
    return ["--weights", str(write_tiny(tmp_path / "tiny.safetensors")), *clips]


def same(a: LiftingNetwork, b: LiftingNetwork) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("with_mocap", [True, False])
def test_it_writes_weights_that_lift_and_says_what_changed(
    folder: Path, paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], with_mocap: bool
) -> None:
    out = tmp_path / "my.safetensors"
    options = [
        "--steps",
        "2",
        "--batch",
        "4",
        "--rate",
        "1e-6",
        "--device",
        "cpu",
        *(["--data", str(folder)] if with_mocap else []),
    ]
    assert command(["train", "adapt", *paths, "-o", str(out), *options]) == 0
    said = capsys.readouterr().out
    for measure in ("reprojection error", "bone-length drift", "foot slide", "jitter", "before", "after"):
        assert measure in said
    assert ("MPJPE" in said) == with_mocap
    assert ("not checked on marker mocap: that needs --data" in said) != with_mocap
    header = read_weights(out, "temporal")[1]
    assert header["adapted_from"] == "tiny.safetensors"
    assert load_lifter(out)(footage(4)).posed.any()


def test_a_seed_gives_the_same_weights_and_the_lifter_itself_stays(folder: Path) -> None:
    lifter, untouched = tiny_lifter(), tiny_lifter()
    clips = [footage(seed) for seed in range(2)]
    first, again = (learn(lifter, clips, QUICK, folder, lambda line: None) for _ in range(2))
    assert same(first, again)
    assert same(lifter.network.module, untouched.network.module)
    for other in (replace(QUICK, seed=1), replace(QUICK, reprojection=0.0), replace(QUICK, steps=2)):
        assert not same(first, learn(lifter, clips, other, folder, lambda line: None))
    assert not same(first, learn(lifter, clips, QUICK, None, lambda line: None))
    norms = {name: value for name, value in first.state_dict().items() if "running" in name}
    assert norms
    assert all(torch.equal(value, lifter.network.module.state_dict()[name].half().float()) for name, value in norms.items())


def test_a_rate_of_zero_changes_nothing(folder: Path, tmp_path: Path) -> None:
    lifter = torch_lifter(write_tiny(tmp_path / "tiny.safetensors"))
    kept = learn(lifter, [footage(0)], replace(QUICK, rate=0.0), folder, lambda line: None)
    assert same(kept, lifter.network.module)


def test_learning_lowers_the_reprojection_error() -> None:
    lifter = tiny_lifter()
    clips = [footage(seed, 90) for seed in range(3)]
    plan = Adaptation(steps=20, batch=8, frames=16, rate=2e-2, reprojection=1.0, masked=0.0)
    before, after = (
        quality(what, clips) for what in (lifter, Lifter(TorchNetwork(learn(lifter, clips, plan, None, lambda line: None))))
    )
    assert after.reprojection < 0.8 * before.reprojection
    # The control: at a rate of zero it stays.
    still = Lifter(TorchNetwork(learn(lifter, clips, replace(plan, rate=0.0), None, lambda line: None)))
    assert quality(still, clips).reprojection == pytest.approx(before.reprojection, rel=0.02)


@pytest.mark.parametrize(("now", "status"), [(81.5, 0), (81.7, 2), (float("nan"), 2)])
def test_a_lifter_that_got_worse_on_marker_mocap_is_not_written(
    folder: Path,
    paths: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    now: float,
    status: int,
) -> None:
    monkeypatch.setattr(module, "check", lambda old, new, sets: {"cmu_validation": (80.0, 79.0), "hdm05": (80.0, now)})
    out = tmp_path / "my.safetensors"
    options = ["--steps", "1", "--batch", "4", "--device", "cpu", "--data", str(folder)]
    assert command(["train", "adapt", *paths, "-o", str(out), *options]) == status
    assert out.exists() == (status == 0)
    if status:
        error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("stpose: ")]
        assert len(error) == 1
        assert "worse by more than 2 % on held-out marker mocap (hdm05)" in error[0]


def test_the_check_is_of_the_error_on_people_that_were_not_learned_from(folder: Path) -> None:
    lifter, spoilt = tiny_lifter(), tiny_lifter()
    with torch.no_grad():
        spoilt.network.module.heads.bias[: 17 * 3] += torch.randn(17 * 3, generator=torch.Generator().manual_seed(0))
    checked = module.check(lifter, spoilt, held_out(folder, lifter.network.config, "cpu"))
    assert set(checked) == {"cmu_validation", "hdm05"}
    assert all(now > 1.02 * was > 100 for was, now in checked.values())
    assert not spoilt.network.module.training


def test_what_a_user_gets_wrong_is_said_in_one_line(
    folder: Path, paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "my.safetensors"
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.npz").write_text("no arrays")
    (tmp_path / "there.safetensors").write_text("")
    (unchecked := tmp_path / "unchecked").mkdir()
    rows = [line for line in (folder / "index.csv").read_text().splitlines() if "by-sa" not in line]
    (unchecked / "index.csv").write_text("\n".join(rows))
    for file in folder.glob("free_*.npz"):
        (unchecked / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(module, "learn", lambda *_: pytest.fail("learned before it was known that the result cannot be checked"))
    for arguments, message in (
        ([str(tmp_path / "none.npz"), "-o", str(out)], "there is no file"),
        ([str(tmp_path / "text.npz"), "-o", str(out)], "cannot be read as .npz"),
        ([str(tmp_path / "text.mp4"), "-o", str(out)], "text.mp4"),
        ([str(folder / "none.mp4"), "-o", str(out)], "none.mp4"),
        ([*paths, "-o", str(out), "--data", str(tmp_path)], "expected an index.csv"),
        ([*paths, "-o", str(out), "--data", str(unchecked)], "no clip with part 'by-sa'"),
        ([*paths, "-o", str(tmp_path / "there.safetensors")], "exists already"),
        ([*paths, "-o", str(out), "--person", "all"], "one person of each video"),
        ([*paths[2:], "-o", str(out), "--weights", str(tmp_path / "no.safetensors")], "no weights at"),
        (["-o", str(out)], "Missing argument"),
    ):
        assert command(["train", "adapt", *arguments, *([] if "-o" == arguments[0] else ["--device", "cpu"])]) == 2
        error = capsys.readouterr().err
        assert error.startswith("stpose: ")
        assert error.count("\n") == 1
        assert message in error
        assert not out.exists()


def test_videos_are_captured_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift_standing)
    video = film(tmp_path / "walk.mp4", 25, 30)
    said: list[str] = []
    npz = write_keypoints(tmp_path / "a.npz", footage(0))
    detector = BarDetector()
    monkeypatch.setattr(stpose_core.pipeline, "load_detector", lambda name, device: detector)
    clips = read_clips([video, npz], detector="auto", person="largest", device="cpu", say=said.append)
    assert [(len(clip), clip.fps) for clip in clips] == [(30, 25.0), (60, 30.0)]
    assert said == [f"capturing {video}"]
    assert detector.looked


def test_a_clip_given_twice_is_read_once(tmp_path: Path) -> None:
    """One of both would be kept apart to measure on, and the other learned from."""
    folder = tmp_path / "captures"
    folder.mkdir()
    first, second = (write_keypoints(folder / f"{seed}.npz", footage(seed)) for seed in (0, 1))
    said: list[str] = []
    clips = read_clips([first, folder, second], say=said.append)
    assert [clip.xy.tobytes() for clip in clips] == [clip.xy.tobytes() for clip in read_clips([first, second], say=said.append)]
    assert said == ["left out 2 clips that are given more than once"]


def test_keypoints_of_one_video_are_not_taken_for_those_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift_standing)
    videos = [film(tmp_path / name, 25, 30) for name in ("a.mp4", "b.mp4")]
    seen = footage(0, 30, 25.0)
    joints = str(write_keypoints(tmp_path / "a.npz", replace(seen, xy=seen.xy / 12, image_size=(160, 120))))
    assert len(read_clips(videos[:1], detector=joints, device="cpu")) == 1
    with pytest.raises(DetectorError, match="of one video"):
        read_clips(videos, detector=joints, device="cpu")


def test_some_clips_are_kept_apart() -> None:
    clips = [footage(seed, 30 + seed) for seed in range(7)]
    for count, apart in ((2, 1), (4, 1), (6, 2), (7, 2)):
        learned, judged = keep_apart(clips[:count])
        assert len(judged) == apart
        assert sorted(map(len, learned + judged)) == [30 + number for number in range(count)]
    learned, judged = keep_apart([footage(0, 100)])
    assert [len(learned[0]), len(judged[0])] == [80, 20]
    assert np.array_equal(judged[0].xy[0], footage(0, 100).xy[80], equal_nan=True)


def test_one_short_clip_leaves_nothing_to_judge_on(tmp_path: Path) -> None:
    weights = write_tiny(tmp_path / "tiny.safetensors")
    long = footage(0, 200)
    # A person comes in after four fifths, or leaves before.
    ends = (np.arange(200) >= 160)[:, None]
    late, early = (replace(long, score=np.where(shown, long.score, 0.0)) for shown in (ends, ~ends))
    for clip, frames in ((footage(0, 40), 40), (late, 200), (early, 200)):
        with pytest.raises(TrainingError, match=f"one clip of {frames} frames is too short"):
            adapt([usable(clip, "a")], output=tmp_path / "a.safetensors", weights=weights, plan=QUICK)


def tilted(above: float, roll: float, distance: float, fps: float) -> Pose3D:
    """A standing figure seen by a camera that stands so."""
    camera = Camera.assumed((640, 480))
    x = lift_standing(footage(0))
    # up = against gravity in camera axes, person in the middle of the picture.
    up = np.array([math.sin(roll) * math.cos(above), -math.cos(roll) * math.cos(above), -math.sin(above)])
    frames = len(x.xyz)
    root = np.tile([0.0, 0.0, distance], (frames, 1))
    return Pose3D(np.nan_to_num(x.xyz), root, x.hidden, x.sigma, up, fps, "h36m17", camera)


def test_a_look_says_how_the_camera_stands() -> None:
    look = look_of(tilted(-0.3, 0.4, 2.5, 12.0))
    assert look is not None
    assert look.above == pytest.approx(-0.3, abs=1e-6)
    assert look.roll == pytest.approx(0.4, abs=1e-6)
    assert math.exp(look.log_distance) == pytest.approx(2.5)
    assert (look.fps, look.between) == (24.0, 2)


def test_replayed_motion_is_filmed_by_such_cameras(folder: Path) -> None:
    bank = MotionBank(load_mocap(folder))
    low = Look(-0.3, 0.45, math.log(2.5), 24.0, 2, 50)

    def drawn(look: Look) -> Batch:
        return draw_like(bank, [look], batch=64, window=Window(frames=16, reach=16), random=Random(0), faults=NO_FAULTS, sure=True)

    batch = drawn(low)
    up = batch.up[:, 8]
    rolls = torch.atan2(up[:, 0], -up[:, 1])
    assert float(rolls.abs().mean()) == pytest.approx(0.45, abs=0.1)
    assert 10 < int((rolls > 0).sum()) < 54  # to both sides: lifting looks at the mirror image, too
    assert float(torch.asin(-up[:, 2]).median()) == pytest.approx(-0.3, abs=0.1)
    # The control: a level camera's pictures.
    level = drawn(replace(low, roll=0.0))
    assert float(torch.atan2(level.up[:, 8, 0], -level.up[:, 8, 1]).abs().mean()) < 0.2
    # Every second frame is interpolated: the third lies half-way between its neighbours, in the rays that the view turns.
    other = drawn(replace(low, between=1))
    assert batch.joints[..., :2].diff(n=2, dim=1).norm() < 0.8 * other.joints[..., :2].diff(n=2, dim=1).norm()


def test_what_was_lifted_is_motion_to_film_again() -> None:
    lifter = tiny_lifter()
    clips = [footage(0, 50), footage(1, 40, 60.0)]
    motions = lifted_motions(lifter, clips)
    assert [len(clip.positions) for clip in motions] == [50, 20]
    pose = lifter(clips[0])
    assert np.allclose(bone_lengths(motions[0].positions, H36M17.parents), bone_lengths(pose.xyz, H36M17.parents), atol=1e-4)
    # z is up: against gravity by as much as the camera says.
    moved = (pose.xyz[:, 10] - pose.xyz[:, 3]) @ pose.up
    assert np.allclose(motions[0].positions[:, 10, 2] - motions[0].positions[:, 3, 2], moved, atol=1e-3)
    assert len(looks_of(lifter, clips)) == 2


def test_the_measures_are_in_the_units_that_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = footage(0, 40)
    pose = lift_standing(replace(clip, xy=np.nan_to_num(clip.xy, nan=100.0), score=np.maximum(clip.score, 0.2)))
    camera = Camera.assumed(clip.image_size)
    points = pose.xyz + pose.root[:, None]
    exact = replace(clip, xy=camera.focal * points[..., :2] / points[..., 2:] + np.asarray(camera.centre), score=np.ones((40, 17)))
    good = quality(lambda keypoints: pose, [exact])  # type: ignore[arg-type]
    assert good.reprojection == pytest.approx(0, abs=1e-6)
    assert good.bones == pytest.approx(0, abs=1e-9)
    assert good.jitter == pytest.approx(0, abs=1e-9)
    corner = float(np.linalg.norm(exact.xy[0].max(0) - exact.xy[0].min(0)))
    off = replace(exact, xy=exact.xy + np.array([0.1 * corner, 0]))
    assert quality(lambda keypoints: pose, [off]).reprojection == pytest.approx(10, rel=0.05)  # type: ignore[arg-type]
    growing = replace(pose, xyz=pose.xyz * np.where(np.arange(40) % 2, 1.1, 0.9)[:, None, None])
    shaken = quality(lambda keypoints: growing, [exact])  # type: ignore[arg-type]
    assert shaken.bones == pytest.approx(100 * bone_lengths(pose.xyz[0], H36M17.parents).mean(), rel=1e-6)
    assert shaken.jitter > 10
    sliding = replace(pose, root=np.stack([0.3 * np.arange(40) / 30, np.zeros(40), np.full(40, 4.0)], -1))
    assert quality(lambda keypoints: sliding, [exact]).slide == pytest.approx(30, rel=0.01)  # type: ignore[arg-type]
    assert "bone-length drift, mm" in table(good, shaken)
