"""A pool of local processes, each with its own networks."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

from stpose_cli.batch import Crash
from stpose_cli.progress import PAUSE, NoProgress, Progress
from stpose_cli.task import Outcome, Task, Worker
from stpose_core.watchdog import watching

_PATIENCE = 10.0  # seconds in which a worker that is terminated removes its unfinished files
_ENDING = (signal.SIGINT, signal.SIGTERM)


class Processes:
    """A pool of `count` processes, started when they are needed. hang: seconds after which a decoder counts as hung."""

    def __init__(self, count: int, hang: float) -> None:
        self.size, self._hang = count, hang
        self._workers: list[_Process] = []
        self._started = 0

    def free(self) -> bool:
        return len(self._workers) < self.size or any(worker.task is None for worker in self._workers)

    def submit(self, task: Task, progress: Progress) -> None:
        worker = next((worker for worker in self._workers if worker.task is None), None)
        if worker is None:
            with _later():
                worker = _Process(self.size, self._hang, quiet=self._started > 0)
                self._started += 1
                self._workers.append(worker)
        worker.submit(task, progress)

    def ended(self, seconds: float) -> list[tuple[Task, Outcome | Crash]]:
        found: list[tuple[Task, Outcome | Crash]] = []
        for connection in wait([worker.connection for worker in self._workers], seconds):
            worker = next(worker for worker in self._workers if worker.connection is connection)
            task = worker.task
            end = worker.receive()
            if task is not None and end is not None:
                found.append((task, end))
            if worker.gone:
                self._workers.remove(worker)
        return found

    def close(self) -> None:
        for worker in self._workers:
            worker.end()
        deadline = time.monotonic() + _PATIENCE
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))


class _Process:
    """One process, as its parent sees it. gone: it takes no further task."""

    def __init__(self, count: int, hang: float, quiet: bool) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self.task: Task | None = None
        self.gone = False
        self._progress: Progress | None = None
        self._process = spawn.Process(target=_serve, args=(theirs, hang, quiet), daemon=True)
        with _threads(max(1, (os.cpu_count() or 1) // count)):
            self._process.start()
        theirs.close()

    def submit(self, task: Task, progress: Progress) -> None:
        self.task, self._progress = task, progress
        # If the worker has died, `receive` finds it out.
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def receive(self) -> Outcome | Crash | None:
        """Handle one message. Returns the end of the task, if it has ended."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            self.gone = True
            self._process.join()
            code = self._process.exitcode or 0
            ended, self.task = self.task, None
            reason = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
            return None if ended is None else Crash(reason)
        if kind == "outcome":
            outcome: Outcome = content
            self.task, self.gone = None, outcome.leaves
            return outcome
        if self._progress is not None:
            if kind == "warning":
                self._progress.warning(content)
            else:
                self._progress(*content)
        return None

    def end(self) -> None:
        if self.task is None:
            self.connection.close()  # an idle worker ends
        else:
            self._process.terminate()

    def join(self, seconds: float) -> None:
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextlib.contextmanager
def _later() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect after the block, and in processes started in it after `_now`: one that they end while it is
    starting prints a traceback, because it has no handlers yet, or half of what its parent sends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _now() -> None:
    """End the effect of `_later` in a process that was started in its block."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes started in the block compute with so many threads, unless the user has set another number."""
    given = os.environ.get("OMP_NUM_THREADS")
    os.environ.setdefault("OMP_NUM_THREADS", str(count))
    try:
        yield
    finally:
        if given is None:
            del os.environ["OMP_NUM_THREADS"]


def _serve(connection: Connection, hang: float, quiet: bool) -> None:
    """The main function of a worker process: receive tasks, send what happens, until the parent closes the connection."""
    # Ctrl-C reaches every process of a terminal; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)
    _now()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    say = _Sender(connection)
    worker = Worker(quiet)

    def hung(path: Path) -> None:
        say.send("outcome", Outcome(error=f"{path}: the decoder hangs; it was ended after {hang:g} s", leaves=True))
        os._exit(2)

    with watching(hang, hung), contextlib.suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            say.send("outcome", worker(task, say))


class _Sender(NoProgress):
    """Progress that is sent to the parent, at most every PAUSE seconds for each stage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._stage, self._said = "", 0.0

    def send(self, kind: str, content: Any) -> None:
        with self._lock:
            self._connection.send((kind, content))

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        if stage != self._stage or now - self._said >= PAUSE or done == total:
            self._stage, self._said = stage, now
            self.send("progress", (stage, done, total))

    def warning(self, message: str) -> None:
        self.send("warning", message)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # another one must not interrupt the end
    sys.exit(143)


def _end_with_parent() -> None:
    """Terminate this process if its parent is killed. Unfinished files are then removed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)  # delivered to the main thread
