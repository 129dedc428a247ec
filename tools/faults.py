"""What `stpose mocap` does when something fails: a table of faults, each of which has to end in results or in lines of error.

    python tools/faults.py                # all of them, a few minutes
    python tools/faults.py "disk" "kill"  # those whose names contain one of the words

A hang is a command that does not end within 180 s. A partial file is one that no reader accepts, or a temporary file, after the
command was run again where it was killed. A traceback is one on standard error. Each must be 0. The lines of error themselves go to
standard error. The detector is the stand-in of the tests; everything else is the command itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fakes import film  # noqa: E402
from odd_videos import video as odd_video  # noqa: E402

from stpose_core.errors import StposeError  # noqa: E402
from stpose_core.formats import load_motion  # noqa: E402

LONGEST = 180.0
MAIN = "from stpose_cli.main import main; main()"
# Kills the process where a whole file lies under its temporary name.
BEFORE_RENAME = "import os; os.replace = lambda *names: os.kill(os.getpid(), 9); " + MAIN
# A decoder that never returns from its second packet.
HANGING = """
import time
import stpose_core.video

class Hanging:
    def __init__(self, stream):
        self.stream, self.packets = stream, 0

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def decode(self, packet):
        self.packets += 1
        return time.sleep(1e6) if self.packets > 5 else self.stream.decode(packet)

decode = stpose_core.video.decode
stpose_core.video.decode = lambda container, stream, packets: decode(container, Hanging(stream), packets)
"""


@dataclass
class Run:
    """A command that has ended. status: None if it was killed after LONGEST seconds."""

    status: int | None
    out: str
    err: str


@dataclass
class Fault:
    """A row of the table. end: what the command did."""

    name: str
    end: str
    hangs: int
    partial: int
    tracebacks: int

    @property
    def good(self) -> bool:
        return not (self.hangs or self.partial or self.tracebacks)


class Bench:
    """A folder with a video, in which commands are run. folder/in: inputs; folder/out: outputs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        (folder / "in").mkdir()
        self.out.mkdir()
        self.runs: list[Run] = []

    def film(self, frames: int = 40, name: str = "a.mp4") -> Path:
        return film(self.folder / "in" / name, 25, frames)

    def start(
        self, *words: object, code: str = MAIN, most: int | None = None, detector: str = "fakes:BarDetector"
    ) -> subprocess.Popen[str]:
        """most: the largest file that the process may write, in bytes."""
        path = os.pathsep.join([*map(str, (ROOT, ROOT / "cli", ROOT / "tests", self.folder)), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path}
        options = ("--detector", detector, "--device", "cpu", "--camera", "static")
        command = [sys.executable, "-c", code, "mocap", *options, *map(str, words)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)
        if most is not None:
            import resource

            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        return process

    def wait(self, process: subprocess.Popen[str]) -> Run:
        try:
            out, err = process.communicate(timeout=LONGEST)
            run = Run(process.returncode, out, err)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            run = Run(None, out, err)
        self.runs.append(run)
        return run

    def run(self, *words: object, **how: Any) -> Run:
        return self.wait(self.start(*words, **how))

    def partial(self) -> int:
        """The number of files among the outputs that are not whole."""
        return sum(not _whole(file) for file in self.out.rglob("*") if file.is_file())

    def until(self, process: subprocess.Popen[str], stage: str) -> None:
        """Read JSON lines up to the first of a stage."""
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == stage:
                return


def _whole(file: Path) -> bool:
    if ".partial" in file.name:
        return False
    try:
        if file.suffix == ".bvh":
            load_motion(file)
        elif file.suffix == ".jsonl":
            for line in file.read_text().splitlines():
                json.loads(line)
    except (StposeError, ValueError):
        return False
    return True


def killed_at(stage: str) -> Callable[[Bench], str]:
    def fault(bench: Bench) -> str:
        words = (bench.film(600), "-o", bench.out / "a.bvh", "--progress", "json")
        process = bench.start(*words)
        bench.until(process, stage)
        process.kill()
        bench.wait(process)
        return f"killed; again: {_told(bench.run(*words))}"

    return fault


def killed_before_rename(bench: Bench) -> str:
    words = (bench.film(), "-o", bench.out / "a.bvh", "--progress", "none")
    bench.run(*words, code=BEFORE_RENAME)
    left = bench.partial()
    return f"killed, {left} temporary file left; again: {_told(bench.run(*words))}"


def killed_in_a_batch(bench: Bench) -> str:
    for name in "abc":
        bench.film(300, f"{name}.mp4")
    words = (bench.folder / "in", "-o", bench.out, "--jobs", "2", "--progress", "json")
    process = bench.start(*words)
    bench.until(process, "lift")
    process.kill()
    bench.wait(process)
    return f"killed; again: {_told(bench.run(*words[:-1], 'none'))}"


def full_disk(bench: Bench) -> str:
    return _told(bench.run(bench.film(), "-o", bench.out / "a.bvh", "--progress", "none", most=20_000))


def full_disk_preview(bench: Bench) -> str:
    words = ("-o", bench.out / "a.bvh", "--preview", bench.out / "a.mp4", "--progress", "none")
    return _told(bench.run(bench.film(), *words, most=20_000))


def full_disk_batch(bench: Bench) -> str:
    bench.film(3, "short.mp4")
    bench.film(200, "long.mp4")
    words = (bench.folder / "in", "-o", bench.out, "--jobs", "1", "--progress", "none")
    first = _told(bench.run(*words, most=20_000))
    return f"{first}; again: {_told(bench.run(*words))}"


def full_tmpfs(bench: Bench) -> str:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(bench.out)], capture_output=True)
    if mounted.returncode:
        return "not tested: needs the right to mount"
    try:
        told = _told(bench.run(bench.film(200), bench.film(3, "b.mp4"), "-o", bench.out, "--progress", "none"))
        return f"{told}, {bench.partial()} partial"
    finally:
        subprocess.run(["umount", str(bench.out)], check=True)


def unwritable_folder(bench: Bench) -> str:
    # Also for root, who may write everywhere else.
    return _told(bench.run(bench.film(), "-o", "/proc/stpose/", "--progress", "none"))


def vanishing(what: str) -> Callable[[Bench], str]:
    def fault(bench: Bench) -> str:
        video = bench.film(600)
        process = bench.start(video, "-o", bench.out / "a.bvh", "--progress", "json")
        bench.until(process, "detect")
        if what == "video":
            video.unlink()
        else:
            shutil.rmtree(bench.out)
        return _told(bench.wait(process))

    return fault


def growing(bench: Bench) -> str:
    video = odd_video(bench.folder / "in" / "a.mkv", 600)
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    process = bench.start(video, "-o", bench.out / "a.bvh", "--progress", "json")
    bench.until(process, "detect")
    with video.open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    return _told(bench.wait(process))


def hanging(*words: str) -> Callable[[Bench], str]:
    def fault(bench: Bench) -> str:
        # As a detector, the patch reaches worker processes as well.
        (bench.folder / "hanging.py").write_text(f"{HANGING}\nfrom fakes import BarDetector as Bar\n")
        limit = ("--decode-timeout", "3", "--progress", "none")
        return _told(bench.run(bench.film(), "-o", f"{bench.out}/", *limit, *words, detector="hanging:Bar"))

    return fault


def odd_videos(bench: Bench) -> str:
    """All kinds of videos of tests/test_odd_videos.py in one batch."""
    from test_odd_videos import KINDS

    videos, wrong = [], 0
    for number, (name, make, _) in enumerate(KINDS.values()):
        folder = bench.folder / "in" / str(number)
        folder.mkdir()
        make(folder / name)
        videos.append(folder / name)
    run = bench.run("-o", bench.out, "--jobs", "1", "--progress", "json", "--", *videos)
    events = [json.loads(line) for line in run.out.splitlines()]
    ends = {event["video"]: event["event"] for event in events if event["event"] in ("result", "error")}
    for path, (kind, (_, _, words)) in zip(videos, KINDS.items()):
        if ends.get(str(path)) != ("result" if words is None else "error"):
            wrong += 1
            print(f"{kind}: {ends.get(str(path))}", file=sys.stderr)
    return f"{len(ends)} videos: {list(ends.values()).count('result')} results, {list(ends.values()).count('error')} errors"


FAULTS: dict[str, Callable[[Bench], str]] = {
    "kill -9 in detect": killed_at("detect"),
    "kill -9 in lift": killed_at("lift"),
    "kill -9 in write, before the file is renamed": killed_before_rename,
    "kill -9 of a batch of two workers": killed_in_a_batch,
    "full disk, motion": full_disk,
    "full disk, preview": full_disk_preview,
    "full disk, batch": full_disk_batch,
    "full disk, tmpfs of 16 KB": full_tmpfs,
    "folder that cannot be written": unwritable_folder,
    "output folder vanishes": vanishing("folder"),
    "video vanishes": vanishing("video"),
    "video grows": growing,
    "decoder hangs": hanging(),
    "decoder hangs in a worker": hanging("--jobs", "1"),
    "odd and damaged videos": odd_videos,
}


def _told(run: Run) -> str:
    """What a command said, in a few words."""
    if run.status is None:
        return "hangs"
    lines = [line for line in run.err.splitlines() if line.startswith("stpose:")]
    return "result" if run.status == 0 else f"status {run.status}, {len(lines)} line{'s' if len(lines) != 1 else ''}"


@contextmanager
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="stpose-faults-") as folder:
        yield Bench(Path(folder))


def measure(name: str) -> Fault:
    """Cause one fault."""
    with bench() as place:
        end = FAULTS[name](place)
        hangs = sum(run.status is None for run in place.runs)
        tracebacks = sum("Traceback" in run.err for run in place.runs)
        for run in place.runs:
            print(run.err, end="", file=sys.stderr)
        return Fault(name, end, hangs, place.partial(), tracebacks)


def main(words: list[str]) -> int:
    """Print the table. Exit status: 1 if a figure is not 0."""
    print("| fault | ends in | hangs | partial files | tracebacks | s |", "|---|---|---|---|---|---|", sep="\n")
    good = True
    for name in FAULTS:
        if words and not any(word in name for word in words):
            continue
        began = time.monotonic()
        found = measure(name)
        good = good and found.good
        seconds = time.monotonic() - began
        print(f"| {name} | {found.end} | {found.hangs} | {found.partial} | {found.tracebacks} | {seconds:.0f} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
