"""A pool of workers on a Ray cluster. Every machine has stpose installed, and sees videos and outputs under the same paths."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from stpose_cli.batch import Crash
from stpose_cli.progress import NoProgress, Progress
from stpose_cli.task import Outcome, Task, Worker
from stpose_core.errors import OptionError
from stpose_core.extras import how_to_install
from stpose_core.watchdog import watching

LOCAL = "local"
"""Address that starts a cluster of this machine for the time of the run."""

_PAUSE = 0.5  # seconds between two questions for progress


class RayPool:
    """A pool of `count` actors, by default one for each processor of the cluster. hang: as for `Processes`.

    address: of the cluster, "auto" for the one that this machine belongs to, or LOCAL. Raises OptionError if Ray is not installed
    or the cluster cannot be reached.
    """

    def __init__(self, address: str, count: int | None, hang: float) -> None:
        try:
            import ray
        except ImportError as error:
            raise OptionError(f"--ray needs the package ray; {how_to_install('ray')}") from error
        self._ray = ray
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the future behaviour; silences a warning
        try:
            ray.init(address, num_cpus=count if address == LOCAL else None, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise OptionError(f"cannot reach a Ray cluster at {address}: {error}") from error
        sys.stdout = self._stdout = _WithoutRay(sys.stdout)
        self.size = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        # Without restarts: a dead actor is replaced like a dead process. The second thread tells the progress of the first.
        self._kind: Any = ray.remote(num_cpus=1, max_concurrency=2)(_Actor)
        self._hang = hang
        self._idle: list[Any] = []
        self._calls: dict[Any, tuple[Any, Task, Progress]] = {}
        self._asked: dict[Any, Progress] = {}  # questions for progress
        self._next_question = 0.0
        self._started = 0

    def free(self) -> bool:
        return len(self._calls) < self.size

    def submit(self, task: Task, progress: Progress) -> None:
        if self._idle:
            actor = self._idle.pop()
        else:
            actor = self._kind.remote(self._hang, self._started > 0)
            self._started += 1
        self._calls[actor.run.remote(task)] = (actor, task, progress)

    def ended(self, seconds: float) -> list[tuple[Task, Outcome | Crash]]:
        found: list[tuple[Task, Outcome | Crash]] = []
        self._ask_for_progress()
        ready, _ = self._ray.wait(list(self._calls), timeout=seconds)
        for call in ready:
            actor, task, progress = self._calls.pop(call)
            try:
                outcome, warnings = self._ray.get(call)
            except (self._ray.exceptions.RayActorError, self._ray.exceptions.WorkerCrashedError):
                found.append((task, Crash("on the cluster died")))
                continue
            self._idle.append(actor)
            for message in warnings:
                progress.warning(message)
            found.append((task, outcome))
        return found

    def _ask_for_progress(self) -> None:
        """Forward the answers to the last questions, and ask again if it is time."""
        answers, _ = self._ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0) if self._asked else ([], [])
        running = [progress for _, _, progress in self._calls.values()]
        for answer in answers:
            progress = self._asked.pop(answer)
            with contextlib.suppress(self._ray.exceptions.RayError):  # of a worker that has died, its task tells
                stage = self._ray.get(answer)
                if stage is not None and progress in running:
                    progress(*stage)
        if time.monotonic() >= self._next_question:
            self._next_question = time.monotonic() + _PAUSE
            self._asked = {actor.progress.remote(): progress for actor, _, progress in self._calls.values()}

    def close(self) -> None:
        for actor, _, _ in self._calls.values():
            self._ray.kill(actor)
        self._ray.shutdown()
        sys.stdout = self._stdout.stream


class _WithoutRay:
    """Standard output without what Ray's threads print: it reports dead workers there, whatever its settings, between results for
    programs."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return int(self.stream.write(text))


class _Actor:
    """A process on the cluster."""

    def __init__(self, hang: float, quiet: bool) -> None:
        self._worker = Worker(quiet)
        self._hang, self._say = hang, _Kept()

    def run(self, task: Task) -> tuple[Outcome, list[str]]:
        """The outcome, and the warnings on the way to it."""
        self._say = say = _Kept()
        with watching(self._hang, _exit):
            return self._worker(task, say), say.messages

    def progress(self) -> tuple[str, float, float | None] | None:
        """Stage, done and total of the task in work; None before its first stage."""
        return self._say.latest


class _Kept(NoProgress):
    """Keeps the warnings, and where the work is."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.latest: tuple[str, float, float | None] | None = None

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        self.latest = (stage, done, total)

    def warning(self, message: str) -> None:
        self.messages.append(message)


def _exit(path: Path) -> None:
    os._exit(2)
