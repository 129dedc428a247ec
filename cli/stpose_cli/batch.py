"""Many videos: each is one task of a pool of workers, and one line in the manifest.

A pool is this process, local processes (`processes.py`) or a Ray cluster (`ray_pool.py`). A task whose worker dies is repeated; a
video that the manifest shows to be captured already is skipped. Where there are fewer videos than workers, each video is divided:
a first task finds out how many pieces it gives, the pieces are tasks of their own, and a last task makes the result from what they
have recorded (`stpose_core.pieces`).
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from stpose_cli.manifest import Manifest, inputs_of
from stpose_cli.outputs import Job
from stpose_cli.progress import Progress
from stpose_cli.reports import Counts, Reports
from stpose_cli.task import Outcome, Task, Worker
from stpose_core.errors import OutputError, StposeError
from stpose_core.files import remove_partials
from stpose_core.options import CaptureOptions

if TYPE_CHECKING:
    from stpose_core.pieces import Recorded

FAILED, INTERRUPTED = 2, 130
TRIES = 3
"""A task is tried so often before its video is given up, because a worker may have died for another reason."""
_WAIT = 1.0  # seconds before the second try; doubled before each further one


@dataclass(frozen=True)
class Crash:
    """The end of a worker in the middle of a task."""

    reason: str


class Pool(Protocol):
    """Workers. size: their number."""

    size: int

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

    size = 1

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


@dataclass
class _Divided:
    """A video of which pieces are recorded. left: pieces that have not ended."""

    left: int
    seconds: float = 0.0
    recorded: list[Recorded] = field(default_factory=list)


class Batch:
    """A run over the jobs. out: the folder of their outputs. chunks: the number of pieces of each video; None: as many as there are
    workers for."""

    def __init__(
        self, jobs: Iterable[Job], options: CaptureOptions, overwrite: bool, out: Path, reports: Reports, chunks: int | None = None
    ) -> None:
        self._jobs, self._chunks = list(jobs), chunks
        self._options, self._overwrite = options, overwrite
        self._fields, self._inputs = json.loads(options.to_json()), inputs_of(options)
        self._manifest = Manifest(out)
        self._unwritten: list[tuple[Path, list[str], dict[str, Any]]] = []  # entries of errors before there was a folder
        self._reports = reports
        self._counts = Counts()
        self._running: dict[tuple[Path, int | None], _Running] = {}
        self._divided: dict[Path, _Divided] = {}
        self._begun: set[Path] = set()  # videos of which a worker has received a task
        self._again: list[tuple[float, Task, int]] = []  # when, what, how many tries before

    def run(self, make_pool: Callable[[], Pool]) -> int:
        """Exit status. make_pool: called when there is something to do. Raises StposeError if no video can be captured."""
        began = time.monotonic()
        tasks = deque(self._open())
        with _interruptible(self._asked_to_end) as asked:
            if tasks:
                pool = make_pool()
                try:
                    tasks = deque(self._divide(tasks, pool.size))
                    self._loop(tasks, pool, asked)
                finally:
                    pool.close()
                    for running in self._running.values():
                        self._remove_partials(running.task.job)
        self._counts.left = len({task.job.video for task in [*tasks, *(entry[1] for entry in self._again)]})
        self._reports.summary(self._counts, time.monotonic() - began, self._manifest.path)
        if asked.is_set():
            return INTERRUPTED
        return FAILED if self._counts.failed else 0

    def _open(self) -> Iterator[Task]:
        """The tasks of the videos without a valid result."""
        for job in self._jobs:
            files = None if self._overwrite else self._manifest.finished(job.video, self._fields, self._inputs)
            if files is None:
                yield Task(self._explained(job), self._options.to_json(), self._overwrite)
            else:
                self._counts.skipped += 1
                self._reports.skipped(str(job.video), files)

    def _explained(self, job: Job) -> Job:
        """The job; if its output exists from an earlier capture, its problem names what has changed since."""
        if job.existing is None or not job.problem:
            return job
        changed = self._manifest.difference(job.video, job.existing, self._fields, self._inputs)
        if changed is None:
            return job
        return replace(job, problem=f"{job.existing} exists already, but {changed}; --overwrite captures it again")

    def _divide(self, tasks: deque[Task], workers: int) -> Iterator[Task]:
        """The tasks, or those that begin with dividing their videos."""
        count = self._chunks or workers // len(tasks)
        for task in tasks:
            whole = count < 2 or task.job.problem or str(task.job.video) == "-"
            yield task if whole else replace(task, divide=count)

    def _loop(self, tasks: deque[Task], pool: Pool, asked: threading.Event) -> None:
        while True:
            while pool.free() and (found := self._next(tasks, asked.is_set())):
                task, tries = found
                running = _Running(task, self._reports.of(str(task.job.video)), tries)
                self._running[task.key] = running
                pool.submit(task, running.progress)
            if not self._running and (asked.is_set() or not (tasks or self._again)):
                return
            for task, end in pool.ended(0.2):
                running = self._running.pop(task.key)
                try:
                    self._ended(running, end, tasks)
                finally:
                    running.progress.close()

    def _next(self, tasks: deque[Task], ending: bool) -> tuple[Task, int] | None:
        """The next task and the number of this try; None if there is none now. ending: only videos in work are finished."""
        now = time.monotonic()
        for entry in self._again:
            if entry[0] <= now and not ending:
                self._again.remove(entry)
                return entry[1], entry[2] + 1
        if not tasks or (ending and tasks[0].job.video not in self._begun):
            return None
        self._begun.add(tasks[0].job.video)
        return tasks.popleft(), 1

    def _ended(self, running: _Running, end: Outcome | Crash, tasks: deque[Task]) -> None:
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
        if task.divide is not None and end.error is None:
            tasks.extendleft(self._pieces(task, end))
            return
        if task.piece is not None:
            self._piece_ended(task, end, tasks)
            return
        if end.result is not None:
            self._counts.done += 1
            running.progress.result(end.result)
        else:
            self._counts.failed += 1
            running.progress.error(end.error or "")
        self._reports.settled()
        self._note(task.job, end, tries, running.progress)

    def _pieces(self, task: Task, end: Outcome) -> list[Task]:
        """The tasks of the pieces of a video, the last one first; the whole video where it gives one piece."""
        task = replace(task, divide=None)
        if end.pieces < 2:
            return [task]
        self._divided[task.job.video] = _Divided(end.pieces, seconds=end.seconds)
        return [replace(task, piece=(number, end.pieces)) for number in reversed(range(end.pieces))]

    def _piece_ended(self, task: Task, end: Outcome, tasks: deque[Task]) -> None:
        """After the last piece, the video is next. What a piece lacks because of an error, the last task detects itself."""
        divided = self._divided[task.job.video]
        divided.left, divided.seconds = divided.left - 1, divided.seconds + end.seconds
        if end.recorded is not None:
            divided.recorded.append(end.recorded)
        if not divided.left:
            tasks.appendleft(replace(task, piece=None, recorded=tuple(divided.recorded)))
            divided.recorded.clear()

    def _note(self, job: Job, end: Outcome, tries: int, progress: Progress) -> None:
        result = end.result
        divided = self._divided.get(job.video)
        seconds = round(end.seconds + (divided.seconds if divided else 0), 2)
        fields: dict[str, object] = {"sha256": end.sha256, "options": self._fields, "inputs": self._inputs, "seconds": seconds}
        if result is not None:
            fields |= {"frames": result.frames, "fps": result.fps, "people": result.people, "seen": result.seen}
            fields |= {"detector": result.detector, "quality": result.quality, "advice": result.advice}
        if job.problem:
            return  # nothing was tried
        self._unwritten.append((job.video, result.files if result else [], {**fields, "error": end.error, "tries": tries}))
        if not (result or self._manifest.path.parent.is_dir()):
            return  # there is no folder yet, which an error alone does not make
        try:
            for video, files, entry in self._unwritten:
                self._manifest.append(video, files, **entry)
        except OutputError as error:
            progress.warning(str(error))
        self._unwritten.clear()

    def _remove_partials(self, job: Job) -> None:
        for file in job.known():
            remove_partials(file, every=True)

    def _asked_to_end(self) -> None:
        count = len({video for video, _ in self._running})
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
