"""Many videos: each is one task of a pool of workers, and one line in the manifest.

A pool is this process, local processes (`processes.py`) or a Ray cluster (`ray_pool.py`). A task whose worker dies is repeated; a
video that the manifest shows to be captured already is skipped.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from stpose_cli.manifest import Manifest
from stpose_cli.outputs import Job
from stpose_cli.progress import Progress
from stpose_cli.reports import Counts, Reports
from stpose_cli.task import Outcome, Task, Worker
from stpose_core.errors import OutputError, StposeError
from stpose_core.files import remove_partials
from stpose_core.options import CaptureOptions

FAILED, INTERRUPTED = 2, 130
TRIES = 3
"""A task is tried so often before its video is given up, because a worker may have died for another reason."""
_WAIT = 1.0  # seconds before the second try; doubled before each further one


@dataclass(frozen=True)
class Crash:
    """The end of a worker in the middle of a task."""

    reason: str


class Pool(Protocol):
    """Workers. Made with a function that returns the progress of a task."""

    def free(self) -> bool:
        """Whether a worker is idle."""
        ...

    def submit(self, task: Task, progress: Progress) -> None:
        """Give a task to an idle worker."""
        ...

    def ended(self, seconds: float) -> list[tuple[Task, Outcome | Crash]]:
        """The tasks that have ended; waits so many seconds at most. Forwards the progress of the others."""
        ...

    def close(self) -> None:
        """End all workers. Unfinished tasks leave no file."""
        ...


class ThisProcess:
    """A pool of one worker: this process."""

    def __init__(self) -> None:
        self._worker = Worker()
        self._waiting: tuple[Task, Progress] | None = None

    def free(self) -> bool:
        return self._waiting is None

    def submit(self, task: Task, progress: Progress) -> None:
        self._waiting = (task, progress)

    def ended(self, seconds: float) -> list[tuple[Task, Outcome | Crash]]:
        if self._waiting is None:
            return []
        (task, progress), self._waiting = self._waiting, None
        return [(task, self._worker(task, progress))]

    def close(self) -> None:
        """The process goes on."""


@dataclass
class _Running:
    task: Task
    progress: Progress
    tries: int


class Batch:
    """A run over the jobs. out: the folder of their outputs."""

    def __init__(self, jobs: Iterable[Job], options: CaptureOptions, overwrite: bool, out: Path, reports: Reports) -> None:
        self._jobs = list(jobs)
        self._options, self._overwrite = options, overwrite
        self._fields = json.loads(options.to_json())
        self._manifest = Manifest(out)
        self._reports = reports
        self._counts = Counts()
        self._running: dict[Path, _Running] = {}
        self._again: list[tuple[float, Task, int]] = []  # when, what, how many tries before

    def run(self, make_pool: Callable[[], Pool]) -> int:
        """Exit status. make_pool: called when there is something to do. Raises StposeError if no video can be captured."""
        began = time.monotonic()
        tasks = deque(self._open())
        with _interruptible(self._asked_to_end) as asked:
            if tasks:
                pool = make_pool()
                try:
                    self._loop(tasks, pool, asked)
                finally:
                    pool.close()
                    for running in self._running.values():
                        self._remove_partials(running.task.job)
        self._counts.left = len(tasks) + len(self._again)
        self._reports.summary(self._counts, time.monotonic() - began, self._manifest.path)
        if asked.is_set():
            return INTERRUPTED
        return FAILED if self._counts.failed else 0

    def _open(self) -> Iterator[Task]:
        """The tasks of the videos without a valid result."""
        for job in self._jobs:
            files = None if self._overwrite else self._manifest.finished(job.video, self._fields)
            if files is None:
                yield Task(job, self._options.to_json(), self._overwrite)
            else:
                self._counts.skipped += 1
                self._reports.skipped(str(job.video), files)

    def _loop(self, tasks: deque[Task], pool: Pool, asked: threading.Event) -> None:
        while True:
            while pool.free() and not asked.is_set() and (found := self._next(tasks)):
                task, tries = found
                running = _Running(task, self._reports.of(str(task.job.video)), tries)
                self._running[task.job.video] = running
                pool.submit(task, running.progress)
            if not self._running and (asked.is_set() or not (tasks or self._again)):
                return
            for task, end in pool.ended(0.2):
                running = self._running.pop(task.job.video)
                try:
                    self._ended(running, end)
                finally:
                    running.progress.close()

    def _next(self, tasks: deque[Task]) -> tuple[Task, int] | None:
        """The next task and the number of this try; None if there is none now."""
        now = time.monotonic()
        for entry in self._again:
            if entry[0] <= now:
                self._again.remove(entry)
                return entry[1], entry[2] + 1
        return (tasks.popleft(), 1) if tasks else None

    def _ended(self, running: _Running, end: Outcome | Crash) -> None:
        task, tries = running.task, running.tries
        if isinstance(end, Crash):
            self._remove_partials(task.job)
            if tries < TRIES:
                self._again.append((time.monotonic() + _WAIT * 2 ** (tries - 1), task, tries))
                running.progress.warning(f"{task.job.video}: the worker process {end.reason}; it is tried again")
                return
            end = Outcome(error=f"{task.job.video}: the worker process {end.reason}, {tries} times")
        if end.fatal:
            raise StposeError(end.error or "")
        if end.result is not None:
            self._counts.done += 1
            running.progress.result(end.result)
        else:
            self._counts.failed += 1
            running.progress.error(end.error or "")
        self._reports.settled()
        self._note(task.job, end, tries, running.progress)

    def _note(self, job: Job, end: Outcome, tries: int, progress: Progress) -> None:
        result = end.result
        fields: dict[str, object] = {"sha256": end.sha256, "options": self._fields, "seconds": end.seconds}
        if result is not None:
            fields |= {"frames": result.frames, "fps": result.fps, "people": result.people, "seen": result.seen}
            fields |= {"detector": result.detector, "quality": result.quality, "advice": result.advice}
        if job.problem or not (result or self._manifest.path.parent.is_dir()):
            return  # nothing was tried, or there is no folder yet, which an error alone does not make
        try:
            self._manifest.append(job.video, result.files if result else [], **fields, error=end.error, tries=tries)
        except OutputError as error:
            progress.warning(str(error))

    def _remove_partials(self, job: Job) -> None:
        for file in job.known():
            remove_partials(file, every=True)

    def _asked_to_end(self) -> None:
        count = len(self._running)
        what = f"{count} {'video' if count == 1 else 'videos'}"
        self._reports.note(f"finishing {what}; press Ctrl-C again to stop at once")


@contextlib.contextmanager
def _interruptible(called: Callable[[], None]) -> Iterator[threading.Event]:
    """Within the block, the first Ctrl-C sets the event and calls `called`, the second one raises KeyboardInterrupt."""
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        called()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
