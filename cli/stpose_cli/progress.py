"""Reports of progress: bars for people, JSON lines for programs, or none.

JSON lines go to standard output, one object a line, each with "event" and "video":
    {"event": "progress", "video": "a.mp4", "stage": "detect", "done": 12, "total": 300, "eta": 9.6}
    {"event": "result", "video": "a.mp4", "files": ["a.bvh"], "frames": 300, "fps": 30.0, "people": 1, "seen": [0.98],
     "seconds": 11.2, "detector": "mediapipe", "advice": [null], "quality": [{...}]}  (on one line)
    {"event": "warning", "video": "a.mp4", "message": "a.mp4: left out 1 of 3 people ..."}
    {"event": "error", "video": "b.mp4", "message": "there is no file b.mp4"}
total and eta (seconds) are null if unknown. Warnings and errors also go to standard error.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

# Minimum seconds between two JSON lines of the same stage.
PAUSE = 0.2


@dataclass(frozen=True)
class Result:
    """The result of one video. seen: share of the frames in which each person was detected. seconds: processing time.
    detector: its name. advice: for each person, how to improve the capture, or None. quality: for each person, the figures of
    `stpose_core.quality.Quality`; None where there is nothing to measure."""

    video: str
    files: list[str]
    frames: int
    fps: float
    people: int
    seen: list[float]
    seconds: float
    detector: str = ""
    advice: tuple[str | None, ...] = ()
    quality: tuple[dict[str, Any], ...] = ()

    def __str__(self) -> str:
        shares = ", ".join(f"{100 * share:.0f} %" for share in self.seen)
        who = "a person" if self.people == 1 else f"{self.people} people"
        frames = f"{self.frames} {'frame' if self.frames == 1 else 'frames'} at {self.fps:g} fps"
        by = f" by {self.detector}" if self.detector else ""
        line = f"{self.video}: {frames}, {who} detected in {shares} of them{by} -> {', '.join(self.files)}"
        if not any(self.advice):
            return line
        one = self.people == 1
        return "\n".join([line, *(f"  {'' if one else f'person {n}: '}{a}" for n, a in enumerate(self.advice, 1) if a)])


class Progress(Protocol):
    """The progress of one run of a command. `video` sets the video that the following calls refer to."""

    def video(self, name: str) -> None: ...
    def __call__(self, stage: str, done: float, total: float | None) -> None: ...
    def result(self, result: Result) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...
    def close(self) -> None: ...


class NoProgress:
    """Reports only results, warnings and errors, one line each."""

    def video(self, name: str) -> None:
        """Nothing is reported before the result."""

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        """Nothing is reported before the result."""

    def result(self, result: Result) -> None:
        try:
            print(result, flush=True)
        except UnicodeEncodeError:
            # The encoding of the terminal lacks a character of the name. The result is printed with an escape.
            encoding = sys.stdout.encoding
            print(str(result).encode(encoding, "backslashreplace").decode(encoding), flush=True)

    def warning(self, message: str) -> None:
        self._print(message)

    def error(self, message: str) -> None:
        self._print(message)

    def _print(self, message: str) -> None:
        print("stpose:", " ".join(message.split()), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class BarProgress(NoProgress):
    """A bar for each stage, on standard error."""

    def __init__(self) -> None:
        self._name = ""
        self._stage = ""
        self._bar: tqdm | None = None

    def video(self, name: str) -> None:
        self.close()
        self._name = name

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            self._stage = stage
            # A terminal shows a moving bar; a log file receives a line every ten seconds.
            pause = 0.1 if sys.stderr.isatty() else 10.0
            title = f"{Path(self._name).name} {stage}"
            self._bar = tqdm(total=total, desc=title, unit=" frames", mininterval=pause, file=sys.stderr)
        if self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def result(self, result: Result) -> None:
        self.close()
        super().result(result)

    def _print(self, message: str) -> None:
        self.close()
        super()._print(message)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


class JsonProgress(NoProgress):
    """One JSON object per line on standard output, for programs that run the command."""

    def __init__(self) -> None:
        self._name = ""
        self._stage = ""
        self._began = self._said = 0.0

    def video(self, name: str) -> None:
        self._name, self._stage = name, ""

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began = stage, now
        elif now - self._said < PAUSE and done != total:
            return
        self._said = now
        known = total is not None and done > 0
        eta = round((now - self._began) / done * (total - done), 2) if known and total is not None else None
        self._say("progress", stage=stage, done=done, total=total, eta=eta)

    def result(self, result: Result) -> None:
        self._say("result", **{key: value for key, value in asdict(result).items() if key != "video"})

    def warning(self, message: str) -> None:
        self._say("warning", message=message)
        super().warning(message)

    def error(self, message: str) -> None:
        self._say("error", message=message)
        super().error(message)

    def _say(self, event: str, **fields: object) -> None:
        print(json.dumps({"event": event, "video": self._name, **fields}), flush=True)


def make_progress(kind: str, video: str) -> Progress:
    """kind: "bar", "json" or "none". video: what the calls refer to."""
    progress: Progress = {"bar": BarProgress, "json": JsonProgress, "none": NoProgress}[kind]()
    progress.video(video)
    return progress


@contextmanager
def warnings_to(progress: Progress) -> Iterator[None]:
    """Within the block, warnings in the library's log are reported through `progress`."""
    handler = _Warnings(progress)
    log = logging.getLogger("stpose_core")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Warnings(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.warning(record.getMessage())
