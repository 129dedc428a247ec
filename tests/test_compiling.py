"""Networks that OpenVINO compiled are kept, found again, made anew where they are damaged; so is the precision that is faster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import finder_of

from stpose_core.detect import cache as cache_files
from stpose_core.detect import compiling
from stpose_core.detect.sessions import OpenVINOSession
from stpose_core.precision import Timing

openvino = pytest.importorskip("openvino")
HALVES = compiling._half_of(openvino.Core()) == "bf16"  # on other processors, OpenVINO computes in f32 when asked for bf16
SIZE = (64, 64)
PICTURE = np.random.default_rng(0).random((1, 3, 64, 64), np.float32) - 0.5


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "networks"


def opened(seed: int = 1, size: tuple[int, int] = SIZE) -> OpenVINOSession:
    return OpenVINOSession(finder_of(seed), size=size, own=True)


def is_kept(session: OpenVINOSession) -> bool:
    """Whether OpenVINO read it from its cache."""
    return bool(session._request.get_compiled_model().get_property("LOADED_FROM_CACHE"))


def entries(cache: Path, suffix: str = ".network") -> list[Path]:
    return sorted(cache.glob(f"*{suffix}"))


def precision_of(session: OpenVINOSession) -> str:
    """What was chosen, and what OpenVINO says that it computes in, where the processor has both."""
    chosen = "bf16" if "bfloat16 (" in session.description else "f32"
    computed = session._request.get_compiled_model().get_property("INFERENCE_PRECISION_HINT").to_string()
    assert computed == (chosen if HALVES else "f32")
    return chosen


def same(one: OpenVINOSession, other: OpenVINOSession) -> None:
    outputs = other.run(PICTURE)
    for name, values in one.run(PICTURE).items():
        np.testing.assert_array_equal(values, outputs[name])


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Timing]:
    """As if OpenVINO took bfloat16 by itself, with a scripted measurement: it gives the last timing, and repeats it each time."""
    timings = [Timing(1.0, 1.0)]

    def measure(single: object, half: object) -> Timing:
        timings.append(timings[-1])
        return timings[-1]

    monkeypatch.setattr(compiling, "measure", measure)
    monkeypatch.setattr(compiling, "_half_of", lambda core: "bf16")
    return timings


def test_the_second_time_a_network_is_read_and_says_the_same(cache: Path) -> None:
    first = opened()
    assert not is_kept(first)
    assert len(entries(cache)) == 1
    again = opened()
    assert is_kept(again)
    same(first, again)
    assert not is_kept(opened(size=(128, 64))), "another size is another network"


def test_other_weights_are_another_network(cache: Path) -> None:
    first, other = opened(1), opened(2)
    assert len(entries(cache)) == 2
    assert not np.array_equal(first.run(PICTURE)["centre"], other.run(PICTURE)["centre"])


@pytest.mark.parametrize("damage", ["cut", "changed", "something else", "no seal", "another seal"])
def test_damaged_files_are_made_anew(cache: Path, damage: str) -> None:
    first = opened()
    (folder,) = entries(cache)
    (kept,) = folder.glob("*.blob")
    seal = folder / "seal"
    whole = kept.read_bytes()
    kept.chmod(0o644)
    if damage == "cut":
        kept.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":  # OpenVINO itself does not notice
        middle = len(whole) // 2
        kept.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    elif damage == "something else":
        kept.write_bytes(b"nothing")
    elif damage == "no seal":  # a process that was killed
        seal.unlink()
    else:
        seal.write_bytes(b"\xff0")
    again = opened()
    assert not is_kept(again)
    same(first, again)
    last = opened()
    assert is_kept(last), "kept again"
    same(first, last)


@pytest.mark.usefixtures("measured")
def test_without_a_place_for_it_networks_are_compiled_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path / "cache"))
    first = opened()
    for place in (tmp_path / "file", Path("/proc/self/none")):
        monkeypatch.setenv("STPOSE_CACHE", str(place))
        same(first, opened())

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(cache_files, "cache_folder", homeless)
    same(first, opened())


@pytest.mark.usefixtures("cache")
def test_a_folder_that_openvino_cannot_write_to_does_no_harm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(cache_files, "opened", lambda name: tmp_path / "file" / name)
    session = opened()
    assert not is_kept(session)
    assert session.run(PICTURE)["centre"].shape == (1, 8, 8)


def test_those_not_used_for_longest_go_and_nothing_else(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(1)
    (first,) = entries(cache)
    size = sum(file.stat().st_size for file in first.iterdir())
    monkeypatch.setattr(cache_files, "MOST_BYTES", int(2.5 * size))
    opened(2)
    (second,) = set(entries(cache)) - {first}
    others = cache / "films"
    others.mkdir()
    (others / "film.mp4").write_bytes(b"somebody's")
    for age, folder in ((3, first), (2, second), (1, others)):
        os.utime(folder, (age, age))
    opened(1)  # used again
    opened(3)
    assert not second.exists()
    assert first.exists()
    assert (others / "film.mp4").exists()
    assert len(entries(cache)) == 2


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("single", "half", "precision"), [(20.0, 7.0, "bf16"), (22.0, 31.0, "f32"), (10.0, 9.0, "f32")])
def test_the_precision_is_the_one_that_is_measured_to_be_faster(
    measured: list[Timing], single: float, half: float, precision: str
) -> None:
    measured[:] = [Timing(single, half)]
    first = opened()
    assert precision_of(first) == precision
    for word in (f"{single:.1f} ms", f"{half:.1f} ms", "OpenVINO", "bfloat16 (" if precision == "bf16" else "single precision ("):
        assert word in first.description
    # Kept: another network is compiled in it, and this one read back in it, without a new measurement.
    assert len(measured) == 2
    assert precision_of(opened(2)) == precision
    again = opened()
    assert (precision_of(again), again.description, is_kept(again)) == (precision, first.description, True)
    same(first, again)
    assert len(measured) == 2


@pytest.mark.parametrize("content", [b"", b"null", b"[1, 2]", b'{"single": 1}', b'{"single": "much", "half": 2}', b"NaN", None])
def test_a_damaged_choice_is_measured_again(cache: Path, measured: list[Timing], content: bytes | None) -> None:
    measured[:] = [Timing(20.0, 7.0)]
    opened()
    (folder,) = entries(cache, ".timing")
    kept = folder / "timing.json"
    whole = kept.read_bytes()
    # None: a number that was not written; else something else, sealed.
    kept.write_bytes(whole.replace(b"7.0", b"9.0") if content is None else content)
    assert kept.read_bytes() != whole
    if content is not None:
        cache_files.seal(folder)
    measured[:] = [Timing(22.0, 31.0)]
    assert precision_of(opened()) == "f32"
    assert len(measured) == 2
    assert precision_of(opened()) == "f32"
    assert len(measured) == 2, "kept again"
    # Control: a sound one is believed.
    kept.write_bytes(whole)
    cache_files.seal(folder)
    assert precision_of(opened()) == "bf16"


def test_another_machine_is_measured_anew(
    cache: Path, measured: list[Timing], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened()
    flags = tmp_path / "cpuinfo"
    flags.write_text("processor : 0\nflags : fpu avx512_bf16\n")
    monkeypatch.setattr(compiling, "_FLAGS", flags)
    opened()
    assert (len(measured), len(entries(cache, ".timing"))) == (3, 2)
    opened()
    assert len(measured) == 3


def test_a_single_precision_is_not_measured(cache: Path, measured: list[Timing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_half_of", lambda core: "f32")
    session = opened()
    assert (precision_of(session), len(measured), entries(cache, ".timing")) == ("f32", 1, [])
    assert "this processor has no other" in session.description


@pytest.mark.skipif(not HALVES, reason="this processor has no bfloat16")
def test_what_is_measured_is_the_network_in_both_precisions(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def measure(*runs: object) -> Timing:
        for run in runs:
            run()  # type: ignore[operator]
        requests = [run.func.__self__ for run in runs]  # type: ignore[attr-defined]
        hints = [request.get_compiled_model().get_property("INFERENCE_PRECISION_HINT").to_string() for request in requests]
        seen.append((hints[0], hints[1]))
        return Timing(1.0, 1.0)

    monkeypatch.setattr(compiling, "_half_of", lambda core: "bf16")
    monkeypatch.setattr(compiling, "measure", measure)
    opened()
    assert seen == [("f32", "bf16")]
    assert len(entries(cache)) == 1, "only the one that is used is kept"


def test_a_foreign_network_stays_in_single_precision_and_is_not_kept(cache: Path, measured: list[Timing]) -> None:
    session = OpenVINOSession(finder_of(1), size=SIZE)
    assert (precision_of(session), len(measured), cache.exists()) == ("f32", 1, False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the processors of each thread from /proc")
def test_no_thread_is_bound_to_a_processor(cache: Path) -> None:
    """OpenVINO binds its threads by itself: the networks of several processes would share one processor."""
    done = subprocess.run([sys.executable, "-c", BOUND], capture_output=True, text=True, timeout=120, check=True, env=environment())
    assert done.stdout.split()[-1] == "[]"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere OpenVINO gives signals no stack")
def test_ctrl_c_does_no_harm_after_networks_were_dropped() -> None:
    done = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True, timeout=120, env=environment())
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


# A thread is bound while it computes.
BOUND = f"""
import contextlib, os, threading
import numpy as np
from graphs import finder_of
from stpose_core.detect.sessions import OpenVINOSession
session, own, bound = OpenVINOSession(finder_of(1), size={SIZE}, own=True), os.sched_getaffinity(0), set()
picture = np.zeros((1, 3, {SIZE[1]}, {SIZE[0]}), np.float32)
work = threading.Thread(target=lambda: [session.run(picture) for _ in range(1500)])
work.start()
while work.is_alive():
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            if os.sched_getaffinity(int(task)) != own:
                bound.add(task)
print(sorted(bound))
"""

# As a detector that is dropped: its finder and its network of joints, in the order in which they were opened.
DROPPED = f"""
import os, signal
from graphs import finder_of
from stpose_core.detect.sessions import OpenVINOSession
sessions = [OpenVINOSession(finder_of(number), size={SIZE}) for number in (1, 2)]
while sessions:
    sessions.pop(0)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs without
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("stopped")
"""
