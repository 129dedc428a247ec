"""Times of frames increase for any stamps, and all functions that return them agree."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import BarDetector, lift_standing
from odd_videos import joined, video

from stpose_core.pipeline import capture
from stpose_core.stamps import STAMP_ERROR, Clock, read_stamps
from stpose_core.video import frame_times, probe, read_frames

MPEG: dict[str, Any] = {"codec": "mpeg2video", "pixels": "yuv420p", "g": "1"}
EVEN = list(range(20))
# Stamps in ticks of 1/25 s, and the time in seconds from the first to the last frame.
KINDS = {
    "one repeated": (sorted([*EVEN, 3]), 0.76),
    "one repeated twice": (sorted([*EVEN, 7, 7]), 0.76),
    "the first repeated": (sorted([*EVEN, 0]), 0.76),
    "several repeated": (sorted([*EVEN, 2, 9, 10, 11]), 0.76),
    "all equal": ([5] * 20, 0.76),
    "restarted": ([*range(40, 60), *range(20)], 1.56),
    "restarted twice": ([*range(100, 120), *range(40), *range(30)], 3.56),
    "regular": (EVEN, 0.76),
}


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
@pytest.mark.parametrize("kind", KINDS)
def test_times_increase_and_all_functions_agree(kind: str, suffix: str, tmp_path: Path) -> None:
    stamps, span = KINDS[kind]
    path = video(tmp_path / f"a.{suffix}", stamps, **(MPEG if suffix == "ts" else {}))
    frames = list(read_frames(path))
    times = np.array([frame.time for frame in frames])
    assert len(frames) == probe(path).frames == len(stamps)
    assert np.diff(times).min() >= STAMP_ERROR - 1e-9
    np.testing.assert_allclose(frame_times(path), times, atol=1e-9)
    assert times[-1] == pytest.approx(span, abs=0.03)
    assert probe(path).fps == pytest.approx(25, rel=2e-3)
    for first in (1, 4, 12, len(frames) - 1):
        part = list(read_frames(path, frames[first].time))
        assert [frame.index for frame in part] == [frame.index for frame in frames[first:]]
        np.testing.assert_allclose([frame.time for frame in part], times[first:], atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_is_tracked_through_such_a_video(kind: str, tmp_path: Path) -> None:
    stamps, span = KINDS[kind]
    result = capture(video(tmp_path / "a.mkv", stamps), detector=BarDetector(), lifter=lift_standing, device="cpu")
    assert result.keypoints.seen.all()
    assert len(result) == pytest.approx(span * 25 + 1, abs=1)


@pytest.mark.parametrize(("fps", "again"), [(24, 8), (24, 14), (25, 7), (30, 12), (50, 1), (60, 20), (15, 1)])
def test_a_repeated_stamp_on_coarse_ticks(fps: int, again: int, tmp_path: Path) -> None:
    # If the repeated frame moved a whole interval, later times would differ from good stamps only by rounding.
    path = video(tmp_path / "a.mp4", sorted([*range(30), again]), fps)
    result = capture(path, detector=BarDetector(), lifter=lift_standing, device="cpu")
    assert result.keypoints.seen.all()
    assert np.diff(frame_times(path)).min() > 0.4 / fps


def test_stamps_slightly_out_of_order_do_not_change_the_duration(tmp_path: Path) -> None:
    stamps = [0, 1, 2, 3, 9, 5, 6, 7, 8, 4, *range(10, 30)]
    times = [frame.time for frame in read_frames(video(tmp_path / "a.mkv", stamps))]
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(times[-10:], np.arange(20, 30) / 25, atol=1e-6)


def test_joined_recordings_keep_their_durations(tmp_path: Path) -> None:
    parts = [video(tmp_path / f"{number}.ts", 40, **MPEG) for number in range(3)]
    path = joined(tmp_path / "all.ts", parts)
    times = [frame.time for frame in read_frames(path)]
    assert times[-1] == pytest.approx(119 / 25, abs=0.1)
    assert probe(path).fps == pytest.approx(25, rel=1e-3)
    np.testing.assert_allclose(frame_times(path), times, atol=1e-9)


def test_frames_without_a_stamp_follow_at_the_mean_rate() -> None:
    clock = Clock(10, Fraction(1, 100), 25.0)
    assert [clock(stamp) for stamp in (10, 14, None, 22)] == pytest.approx([0, 0.04, 0.08, 0.12])
    nothing = Clock(None, Fraction(1, 100), 25.0)
    assert [nothing(stamp) for stamp in (3, 3, None)] == pytest.approx([0, 0.04, 0.08])


def test_a_repeated_stamp_in_a_burst_stays_within_the_burst() -> None:
    # 10 frames per second on average, with a burst at 100.
    clock = Clock(0, Fraction(1, 1000), 10.0)
    times = [clock(stamp) for stamp in (0, 100, 110, 110, 120, 130, 230)]
    assert times == pytest.approx([0, 0.1, 0.11, 0.115, 0.12, 0.13, 0.23])


@pytest.mark.parametrize("fps", range(13, 61))
def test_two_times_never_differ_by_a_rounding_error_only(fps: int) -> None:
    stamps = sorted([*range(100), *range(5, 95, 7), *range(5, 95, 7)])  # two half intervals after a stamp, the next good one is due
    clock = Clock(0, Fraction(1, fps), float(fps))
    assert np.diff([clock(stamp) for stamp in stamps]).min() > 0.4 / fps


def test_short_intervals_of_a_variable_rate_are_kept() -> None:
    stamps = [0, 1, 100, 101, 300, 302, 303]
    clock = Clock(0, Fraction(1, 1000), 20.0)
    assert [clock(stamp) for stamp in stamps] == pytest.approx(np.array(stamps) / 1000)


def test_the_rate_counts_distinct_times() -> None:
    def rate(found: list[int], nominal: list[float]) -> float:
        return read_stamps(np.array(found, np.int64), True, len(found), 0.04, nominal).fps

    assert rate([0, 1, 2, 2, 3], []) == pytest.approx(25)
    assert rate([*range(50), *range(50)], [17.0]) == pytest.approx(25)
    assert rate([3], []) == 30
    assert rate([3, 3], [12.5]) == 12.5
    assert rate([], [12.5]) == 12.5
    assert rate([0, 2, 4], [25.0]) == pytest.approx(12.5), "a stated rate is used only if the stamps agree"


@pytest.mark.parametrize("fps", [240, 1000, 2000])
def test_joints_that_are_never_visible_at_high_rates(fps: float) -> None:
    from stpose_core.track.jumps import leaps

    xy = np.cumsum(np.random.default_rng(0).normal(0, 0.01, (400, 17, 2)), 0)
    xy[:, 3] = xy[1:, 4] = np.nan
    wrong, path = leaps(np.arange(400) / fps, xy, np.full((400, 17), 0.8))
    assert np.isfinite(path).all()
    assert not wrong[:, 3].any()
