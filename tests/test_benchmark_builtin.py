"""What the built-in detector has to show before `auto` takes it: the counting of frames, and the note in the weights."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from stpose_core.detect import has_passed


@pytest.fixture
def benchmark() -> ModuleType:
    import builtin

    return builtin


def track(*stretches: tuple[int, int]) -> SimpleNamespace:
    return SimpleNamespace(frames=np.concatenate([np.arange(first, last + 1) for first, last in stretches]))


def test_poses_on_empty_frames_and_late_starts_are_counted(benchmark: ModuleType) -> None:
    visits = [(56, 206), (223, 456), (498, 708), (741, 877), (917, 1210), (1230, 1370)]
    perfect = [track(*visits)]
    assert benchmark.empty_share(perfect, 1394) == 0
    assert benchmark.slowest_start(perfect, 1394) == 0
    ghost = [*perfect, track((10, 19))]
    assert benchmark.empty_share(ghost, 1394) == pytest.approx(10 / 217, abs=0.005)
    late = [track(*visits[:2], (505, 708), *visits[3:])]
    assert benchmark.slowest_start(late, 1394) == 7
    missed = [track(*visits[1:])]
    assert benchmark.slowest_start(missed, 1394) == 151


@pytest.mark.parametrize(("share", "code"), [(0.99, 0), (0.90, 1)])
def test_the_answer_is_noted_in_the_weights(
    benchmark: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    share: float,
    code: int,
) -> None:
    from test_builtin import write_detector

    folder = write_detector(tmp_path / "weights")
    monkeypatch.setattr(benchmark, "pck", lambda videos, detector, clip: share if "cam03" in clip else 0.97)
    monkeypatch.setattr(benchmark, "visits", lambda path, detector: (0.01, 4))
    for mark in ([], ["--mark"]):
        assert not has_passed(folder)
        monkeypatch.setattr(sys, "argv", ["builtin.py", "--videos", str(tmp_path), "--weights", str(folder), *mark])
        with pytest.raises(SystemExit) as ended:
            benchmark.main()
        assert ended.value.code == code
    assert has_passed(folder) == (code == 0)
    assert f"| PCK, balance/cam03.mp4 | {share:.3f} | at least 0.95 | {'yes' if code == 0 else 'no'} |" in capsys.readouterr().out


def test_swaps_and_jumps_against_another_detector_are_counted() -> None:
    from agreement import agreement, longest_run

    from stpose_core.detect.types import Box, Pose2D
    from stpose_core.skeletons import H36M17
    from stpose_core.track.track import Track

    def followed(change: dict[int, str], frames: range) -> Track:
        made = Track(1, "h36m17")
        for frame in frames:
            xy = np.random.default_rng(0).uniform(0, 200, (17, 2))
            xy[H36M17.index("l_shoulder", "r_shoulder", "l_hip", "r_hip")] = (80, 50), (20, 50), (70, 150), (30, 150)
            kind = change.get(frame)
            if kind == "legs":
                legs = H36M17.index("l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle")
                xy[legs] = xy[[H36M17.mirror[joint] for joint in legs]]
            elif kind == "elsewhere":
                xy = xy + 500
            made.add(frame / 30, frame, Pose2D(xy, np.ones(17), 1.0, Box(0, 0, 200, 200)))
        return made

    plain = followed({}, range(5, 40))
    assert agreement(followed({}, range(30)), plain) == agreement(plain, followed({}, range(30)))
    same = agreement(followed({}, range(30)), plain)
    assert (same.common, same.near, same.swapped, same.elsewhere) == (25, 1.0, 0, 0)
    change = dict.fromkeys((8, 9, 10, 11, 20), "legs") | dict.fromkeys((25, 26), "elsewhere")
    found = agreement(followed(change, range(30)), plain)
    assert (found.swapped, found.elsewhere) == (4, 2)
    assert found.near == pytest.approx(1 - (5 * 6 + 2 * 12) / (25 * 12), abs=0.03)
    assert longest_run(np.array([True, True, True]), np.array([1, 2, 5])) == 2
