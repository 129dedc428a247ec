"""A pool of workers on a Ray cluster. Every machine has stpose installed, and sees videos and outputs under the same paths."""

from __future__ import annotations

import os
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
        self.size = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        # Without restarts: a dead actor is replaced like a dead process.
        self._kind: Any = ray.remote(num_cpus=1)(_Actor)
        self._hang = hang
        self._idle: list[Any] = []
        self._calls: dict[Any, tuple[Any, Task, Progress]] = {}
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

    def close(self) -> None:
        for actor, _, _ in self._calls.values():
            self._ray.kill(actor)
        self._ray.shutdown()


class _Actor:
    """A process on the cluster."""

    def __init__(self, hang: float, quiet: bool) -> None:
        self._worker = Worker(quiet)
        self._hang = hang

    def run(self, task: Task) -> tuple[Outcome, list[str]]:
        """The outcome, and the warnings on the way to it."""
        say = _Warnings()
        with watching(self._hang, _exit):
            return self._worker(task, say), say.messages


class _Warnings(NoProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def warning(self, message: str) -> None:
        self.messages.append(message)


def _exit(path: Path) -> None:
    os._exit(2)
