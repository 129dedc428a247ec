"""Judging a lifter: what it is shown, and that the measures say what was made wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_mocap import moving, write_folder
from stpose_cli.main import run as command
from stpose_training.conditions import (
    DISTANCES,
    MIXED,
    OCCLUSION,
    PLAIN,
    TEMPOS,
    Condition,
    Take,
    at_tempo,
    film_clip,
    mask,
    runs,
    takes,
)
from stpose_training.data.mocap import Clip
from stpose_training.evaluate import Report, calibration, evaluate, measure, some

from stpose_core import metrics
from stpose_core.data import Camera, Pose3D
from stpose_core.lift import load_lifter
from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.networks.temporal import TemporalNetwork
from stpose_core.weights import write_weights

CLIPS = [Clip(f"clip{n}", "s", "swing", moving(120 + 40 * n, n)) for n in range(4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TemporalConfig(latent=8, width=4, strides=(1,))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    write_weights(path, TemporalNetwork(config).state_dict(), "temporal", {"network": config.to_dict()})
    return path


def answer(take: Take, xyz: np.ndarray, sigma: np.ndarray | None = None, hidden: np.ndarray | None = None) -> Pose3D:
    frames = len(take.truth)
    root = np.where(np.isfinite(xyz[:, 0]), [0.0, 0.0, 3.0], np.nan)
    sigma = np.full((frames, 17), 0.05) if sigma is None else sigma
    hidden = np.zeros((frames, 17), bool) if hidden is None else hidden
    up = np.array([0.0, -1.0, 0.0])
    return Pose3D(xyz, root, hidden, sigma, up, 30.0, "h36m17", Camera(1000.0, (0.0, 0.0)))


def test_takes_are_the_same_each_time_and_masks_change_nothing_else() -> None:
    plain, again, masked = (film_clip(CLIPS[1], 1, c) for c in (PLAIN, PLAIN, OCCLUSION[2]))
    assert np.array_equal(plain.keypoints.score, again.keypoints.score)
    assert not np.array_equal(plain.keypoints.score, film_clip(CLIPS[1], 2, PLAIN).keypoints.score)
    assert np.array_equal(plain.truth, masked.truth)
    assert 0.2 < masked.masked.mean() < 0.4
    assert (masked.keypoints.score[masked.masked] == 0).all()
    seen = ~masked.masked
    assert np.array_equal(plain.keypoints.score[seen], masked.keypoints.score[seen])
    assert np.array_equal(plain.keypoints.xy[seen], masked.keypoints.xy[seen], equal_nan=True)
    mixed = film_clip(CLIPS[1], 1, MIXED)
    assert np.array_equal(plain.keypoints.score[~mixed.masked], mixed.keypoints.score[~mixed.masked])
    assert mixed.masked.any()


def test_pixels_show_the_truth_that_errors_are_measured_against() -> None:
    true, seen = [], []
    for number in range(12):
        take = film_clip(CLIPS[2], number, Condition("far", distance=(8.0, 12.0)))
        assert max(take.keypoints.image_size) == 1920
        flat = (take.keypoints.xy - take.keypoints.xy[:, :1]) / np.nanstd(take.keypoints.xy, axis=1).mean()
        known = np.isfinite(flat).all(-1)
        true.append(take.truth[..., :2][known])
        seen.append(flat[known])
    t, s = np.concatenate(true), np.concatenate(seen)
    assert np.corrcoef(t[:, 0], s[:, 0])[0, 1] > 0.9
    assert np.corrcoef(t[:, 1], s[:, 1])[0, 1] > 0.9
    assert abs(np.corrcoef(t[:, 0], s[:, 1])[0, 1]) < 0.5  # the control


def test_distance_and_tempo_are_those_of_the_condition() -> None:
    def size(condition: Condition) -> float:
        found = [take.keypoints for take in takes(CLIPS, condition)]
        spread = [np.nanstd(k.xy, axis=1).mean(-1) / Camera.assumed(k.image_size).focal for k in found]
        return float(np.nanmedian(np.concatenate(spread)))

    sizes = [size(replace(condition, kind="plain")) for condition in DISTANCES]
    assert sizes[0] > sizes[2] > sizes[4]
    clip = CLIPS[0].positions
    assert np.array_equal(at_tempo(clip, 1.0), clip)
    speeds = [np.abs(np.diff(at_tempo(clip, condition.tempo), axis=0)).mean() for condition in TEMPOS]
    assert speeds[0] == pytest.approx(speeds[2] / 2, rel=0.05)
    assert speeds[4] == pytest.approx(2 * speeds[2], rel=0.1)
    assert len(at_tempo(clip, 2.0)) == 60


@pytest.mark.parametrize("condition", OCCLUSION)
def test_masks_hide_what_their_names_say(condition: Condition) -> None:
    hidden = mask(condition, 900, 0)
    if condition.kind == "share":
        assert hidden.mean() == pytest.approx(condition.amount, abs=0.05)
        return
    joints = {"run": 5, "limb": 3, "person": 17}[condition.kind]
    assert set(hidden.sum(1)) == {0, joints}
    edges = np.flatnonzero(np.diff(hidden.any(1).astype(int)))
    assert set(edges[1::2] - edges[::2]) == {int(condition.amount)}
    assert not hidden[:5].any()
    assert not hidden[-5:].any()


def test_masks_of_short_clips_and_unknown_kinds() -> None:
    assert runs(39, 30, np.random.default_rng(0)) == []
    assert len(runs(40, 30, np.random.default_rng(0))) == 1
    assert not mask(PLAIN, 50, 0).any()
    with pytest.raises(ValueError, match="unknown kind"):
        mask(Condition("x", "fog"), 50, 0)


def test_measures_of_known_errors() -> None:
    found = list(takes(CLIPS, OCCLUSION[2]))
    exact = measure([(take, answer(take, take.truth)) for take in found])
    assert exact.posed == 1
    assert exact.frames == sum(len(take.truth) for take in found)
    assert max(exact.mpjpe, exact.pa_mpjpe, exact.velocity, exact.acceleration, exact.masked) < 1e-6
    shifted = measure([(take, answer(take, take.truth + [0.03, 0.04, 0.0])) for take in found])
    assert shifted.mpjpe == pytest.approx(50)
    assert shifted.masked == pytest.approx(50)
    assert shifted.pa_mpjpe < 1e-6
    assert shifted.velocity < 1e-6
    hidden = measure([(take, answer(take, take.truth + 0.1 * take.masked[..., None] * [1.0, 0, 0])) for take in found])
    assert hidden.masked == pytest.approx(100)
    assert hidden.mpjpe == pytest.approx(100 * np.concatenate([take.masked for take in found]).mean())
    assert np.isnan(measure([(take, answer(take, take.truth)) for take in takes(CLIPS, PLAIN)]).masked)


def test_frames_without_a_pose_count_as_such_and_in_no_error() -> None:
    take = film_clip(CLIPS[0], 0, PLAIN)
    xyz = take.truth + np.linspace(0, 1, len(take.truth))[:, None, None] * [0.1, 0, 0]
    whole = measure([(take, answer(take, xyz))])
    xyz[40:70] = np.nan
    gap = measure([(take, answer(take, xyz))])
    assert gap.posed == pytest.approx(90 / 120)
    assert gap.velocity == pytest.approx(whole.velocity, rel=1e-6)  # no step is taken over the gap
    assert gap.acceleration < 1e-6
    assert np.isnan(measure([(take, answer(take, np.full_like(xyz, np.nan)))]).mpjpe)


def test_calibration_tells_honest_from_careless_sigma() -> None:
    random = np.random.default_rng(0)
    cases, careless = [], []
    for take in takes(CLIPS, MIXED):
        size = random.uniform(0.01, 0.2, take.truth.shape[:2])
        size[:, 0] = 0
        wrong = take.truth + size[..., None] * [0, 0, 1.0]
        cases.append((take, answer(take, wrong, size, hidden=size > 0.15)))
        careless.append((take, answer(take, wrong, random.permutation(size.ravel()).reshape(size.shape))))
    honest = calibration(cases, bins=4)
    assert [group.share for group in honest[:4]] == pytest.approx([0.25] * 4, abs=0.01)
    assert all(group.error == pytest.approx(group.sigma, rel=0.01) for group in honest[:4])
    assert honest[0].error < honest[3].error / 2
    by_name = {group.name: group for group in honest}
    assert by_name["seen, flagged as hidden"].far_off == 1
    assert by_name["seen, not flagged"].far_off == 0
    assert by_name["not seen"].wrong == 1
    blind = calibration(careless, bins=4)
    assert blind[0].error > 0.8 * blind[3].error  # the control


def test_velocity_error_against_its_definition() -> None:
    true = np.zeros((5, 17, 3))
    drifting = np.arange(5)[:, None, None] * np.array([0.03, 0.04, 0.0]) + true
    assert metrics.velocity_error(drifting, true) == pytest.approx(0.05)
    assert metrics.velocity_error(true + 1, true) == 0


def test_some_clips_are_spread_over_all() -> None:
    assert some(CLIPS, None) == CLIPS
    assert some(CLIPS, 9) == CLIPS
    assert [clip.name for clip in some(CLIPS, 2)] == ["clip0", "clip3"]


def test_the_lifter_is_judged_as_users_call_it(folder: Path, tiny: Path) -> None:
    report = evaluate(load_lifter(tiny), folder, tables={"accuracy": (PLAIN,)})
    assert set(report.measures) == {"CMU validation", "HDM05"}
    row = report.measures["HDM05"]["accuracy"]["plain"]
    assert row.frames == 170
    assert row.posed > 0.5
    assert row.mpjpe > 100  # untaught
    assert isinstance(report, Report)


def test_a_lifter_can_be_judged_on_one_skeleton(folder: Path, tiny: Path) -> None:
    plain, alike = (evaluate(load_lifter(tiny), folder, tables={"accuracy": (PLAIN,)}, one_skeleton=one) for one in (False, True))
    rows = [report.measures["HDM05"]["accuracy"]["plain"] for report in (plain, alike)]
    assert rows[0].frames == rows[1].frames
    assert abs(rows[0].mpjpe - rows[1].mpjpe) > 1


def test_the_command_prints_tables_and_writes_figures(
    folder: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    arguments = ["evaluate", "lifter", "--data", str(folder), "--weights", str(tiny), "--clips", "1", "--json", str(out)]
    assert command(arguments) == 0
    printed = capsys.readouterr().out
    for text in (
        "CMU validation: accuracy",
        "| one limb, 30 frames |",
        "| 8-12 m away |",
        "| tempo 0.5 |",
        "| sides taken for each other |",
        "| not seen |",
    ):
        assert text in printed
    figures = json.loads(out.read_text())
    assert set(figures["measures"]["HDM05"]) == {"accuracy", "occlusion", "distance", "tempo", "confusion"}
    assert f"| plain | {figures['measures']['HDM05']['accuracy']['plain']['mpjpe']:.1f} |" in printed
    assert command(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert command(["evaluate", "lifter", "--data", str(folder), "--weights", str(tmp_path / "none.safetensors")]) == 2
    assert "no weights at" in capsys.readouterr().err
