"""Reports of a batch: a live table on a terminal, plain lines elsewhere, or JSON lines.

JSON lines are those of `stpose_cli.progress`, and of these two kinds:
    {"event": "skipped", "video": "a.mp4", "files": ["out/a.bvh"]}
    {"event": "summary", "video": "", "done": 7, "failed": 1, "skipped": 2, "left": 0, "seconds": 80.2, "manifest": "..."}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from stpose_cli.progress import NoProgress, Progress, Result, make_progress


@dataclass
class Counts:
    """Numbers of videos: captured, failed, skipped because their outputs exist, and left because of an interruption."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    left: int = 0

    def __str__(self) -> str:
        parts = [(self.done, "captured"), (self.failed, "failed"), (self.skipped, "skipped (done before)"), (self.left, "left")]
        return ", ".join(f"{count} {what}" for count, what in parts if count or what == "captured")


class Reports:
    """Plain lines: results and the summary on standard output, warnings and errors on standard error."""

    def of(self, video: str) -> Progress:
        """The progress of one video, which ends when it is closed."""
        progress = NoProgress()
        progress.video(video)
        return progress

    def skipped(self, video: str, files: Sequence[Path]) -> None:
        """A video whose outputs exist."""

    def settled(self) -> None:
        """Another video has been captured or has failed."""

    def note(self, message: str) -> None:
        """A line about the batch."""
        print("stpose:", message, file=sys.stderr, flush=True)

    def summary(self, counts: Counts, seconds: float, manifest: Path) -> None:
        """The end of the batch."""
        where = f"; {manifest}" if manifest.is_file() else ""
        print(f"{counts} in {seconds:.0f} s{where}", flush=True)

    def close(self) -> None:
        """Called once, also after an error."""


class JsonReports(Reports):
    """JSON lines on standard output."""

    def of(self, video: str) -> Progress:
        return make_progress("json", video)

    def skipped(self, video: str, files: Sequence[Path]) -> None:
        _say(event="skipped", video=video, files=[str(file) for file in files])

    def summary(self, counts: Counts, seconds: float, manifest: Path) -> None:
        _say(
            event="summary",
            video="",
            **asdict(counts),
            seconds=round(seconds, 2),
            manifest=str(manifest) if manifest.is_file() else "",
        )


class TableReports(Reports):
    """On a terminal: a row for the batch, and below it one for each video in work. Lines appear above."""

    def __init__(self, videos: int) -> None:
        self._total = tqdm(total=videos, desc="videos", unit="", position=0, file=sys.stderr, leave=False)
        self._taken: set[int] = set()

    def of(self, video: str) -> Progress:
        place = next(number for number in range(1, len(self._taken) + 2) if number not in self._taken)
        self._taken.add(place)
        return _Row(self, video, place)

    def skipped(self, video: str, files: Sequence[Path]) -> None:
        self._total.update()

    def settled(self) -> None:
        self._total.update()

    def note(self, message: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            super().note(message)

    def close(self) -> None:
        self._total.close()

    def ended(self, place: int) -> None:
        """A row is free."""
        self._taken.discard(place)


class _Row(NoProgress):
    def __init__(self, table: TableReports, video: str, place: int) -> None:
        self._table, self._place, self._name = table, place, Path(video).name
        layout = "{desc}: {percentage:3.0f} %|{bar}| {n_fmt}/{total_fmt} [{remaining}]"
        self._bar = tqdm(desc=self._name, total=1, position=place, file=sys.stderr, leave=False, bar_format=layout)
        self._stage = ""

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        if stage != self._stage:
            self._stage = stage
            self._bar.reset(total)
            self._bar.set_description_str(f"{self._name} {stage}", refresh=False)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def result(self, result: Result) -> None:
        with tqdm.external_write_mode(file=sys.stdout):
            super().result(result)

    def _print(self, message: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            super()._print(message)

    def close(self) -> None:
        self._bar.close()
        self._table.ended(self._place)


def make_reports(kind: str, videos: int) -> Reports:
    """kind: as for `make_progress`. videos: their number."""
    if kind == "json":
        return JsonReports()
    return TableReports(videos) if kind == "bar" and sys.stderr.isatty() else Reports()


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)
