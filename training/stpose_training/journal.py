"""The output of a training run: lines of progress, a JSON line for each validation, and TensorBoard if it is installed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_EVERY = 50  # steps between two lines


class Journal:
    """Records each step and each validation. Losses in lines and files are running means over about fifty steps.

    folder: of log.jsonl and tensorboard/. first: step at which the run resumes; entries of later steps are dropped.
    """

    def __init__(self, folder: Path, first: int, say: Callable[[str], None]) -> None:
        self.folder, self.first, self.say = folder, first, say
        self.losses: dict[str, float] = {}
        self._log = folder / "log.jsonl"
        self._began = time.monotonic()
        self._board: Any = None
        if self._log.is_file():
            rows = [row for row in self._log.read_text().splitlines() if _step(row) <= first]
            part = self._log.with_suffix(".part")
            part.write_text("".join(f"{row}\n" for row in rows))
            os.replace(part, self._log)
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first)

    def step(self, done: int, total: int, losses: Mapping[str, float], rate: float) -> None:
        """Called after each step. done: steps so far; total: steps of the whole run, as far as is known."""
        for name, value in losses.items():
            self.losses[name] = 0.98 * self.losses.get(name, value) + 0.02 * value
        if done % _EVERY:
            return
        left = (time.monotonic() - self._began) / (done - self.first) * max(0, total - done)
        text = " ".join(f"{name} {value:.4f}" for name, value in self.losses.items())
        self.say(f"step {done}/{total} {text} eta {left / 60:.0f} min")
        if self._board is not None:
            for name, value in {**self.losses, "rate": rate}.items():
                self._board.add_scalar(f"train/{name}", value, done)

    def measured(self, done: int, seconds: float, measures: Mapping[str, Mapping[str, float]]) -> None:
        """Called after each validation. measures: of each set."""
        row = {"step": done, "seconds": round(seconds), "train": self.losses, **measures}
        with self._log.open("a") as handle:
            handle.write(json.dumps(row) + "\n")
        self.say(f"step {done} {json.dumps(measures)}")
        if self._board is not None:
            for group, values in measures.items():
                for name, value in values.items():
                    self._board.add_scalar(f"{group}/{name}", value, done)
            self._board.flush()

    def close(self) -> None:
        """Closes the TensorBoard file."""
        if self._board is not None:
            self._board.close()


def _step(row: str) -> float:
    """Step of a log line; infinity for a line that a killed run left incomplete."""
    try:
        return float(json.loads(row)["step"])
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        return float("inf")
