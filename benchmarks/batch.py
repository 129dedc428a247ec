"""Speed and memory of batches: copies of one video, captured by different numbers of worker processes.

    python benchmarks/batch.py examples/walk.mp4 --copies 8 --end 2 --jobs 1 2

Processor time includes that of the command and its workers. On a machine that others use, wall time says little; the ratio of
processor times shows what workers cost each other.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Measured:
    """Of one batch: seconds of wall and processor time; the largest memory of each worker, in MB."""

    wall: float
    processor: float
    memory: list[float]


class Memory(threading.Thread):
    """Watches the largest memory of the children of a process, by Linux's /proc."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._most = pid, dict[int, float]()

    def run(self) -> None:
        while Path(f"/proc/{self._pid}").exists():
            for child in _children(self._pid):
                self._most[child] = max(self._most.get(child, 0.0), _peak(child))
            time.sleep(0.2)

    def of_workers(self) -> list[float]:
        """MB, the largest first. Helpers of multiprocessing, which are small, are left out."""
        return sorted((most for most in self._most.values() if most > 100), reverse=True)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _peak(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def measure(videos: list[Path], jobs: int, options: list[str]) -> Measured:
    """Capture the videos in a batch of its own."""
    with tempfile.TemporaryDirectory() as out:
        words = ["mocap", *map(str, videos), "-o", f"{out}/", "--jobs", str(jobs), "--progress", "none", *options]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        process = subprocess.Popen([sys.executable, "-m", "stpose_cli.main", *words], stdout=subprocess.DEVNULL, env=environment)
        memory = Memory(process.pid)
        memory.start()
        if process.wait():
            raise SystemExit("the batch failed")
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Measured(wall, processor, memory.of_workers())


def main() -> None:
    """Print one row for each number of jobs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--end", default="2")
    parser.add_argument("--detector", default="auto")
    given = parser.parse_args()
    options = ["--end", given.end, "--detector", given.detector]
    with tempfile.TemporaryDirectory() as folder:
        videos = [Path(shutil.copy(given.video, f"{folder}/{number}{given.video.suffix}")) for number in range(given.copies)]
        measure(videos[:1], 1, options)  # compiles the networks
        print("| workers | wall, s | processor, s | memory of each worker, MB |", "|---|---|---|---|", sep="\n")
        for jobs in given.jobs:
            found = measure(videos, jobs, options)
            memory = ", ".join(f"{most:.0f}" for most in found.memory)
            print(f"| {jobs} | {found.wall:.1f} | {found.processor:.1f} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
