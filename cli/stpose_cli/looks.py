"""Files to look at that `stpose mocap` writes beside the motion: a preview video and a report page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stpose_cli.commands import ANY
from stpose_core.errors import OutputError
from stpose_core.files import check_output
from stpose_core.options import CaptureOptions

if TYPE_CHECKING:
    from stpose_cli.progress import Progress
    from stpose_core.data import Capture
    from stpose_core.frames import FrameSource

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Looks:
    """The files that were asked for; None for those that were not. preview: .mp4. report: .html."""

    preview: Path | None
    report: Path | None

    @property
    def files(self) -> list[Path]:
        """Those that were asked for."""
        return [file for file in (self.preview, self.report) if file]

    def check(self, many: bool, overwrite: bool) -> None:
        """Raises OutputError where one of them cannot be written. many: they are for a batch."""
        for file, option, suffix in ((self.preview, "--preview", ".mp4"), (self.report, "--report", ".html")):
            if file is None:
                continue
            if many:
                raise OutputError(f"{option} is for one video at a time")
            if file.suffix.lower() != suffix:
                raise OutputError(f"{file}: the name of a {option[2:]} must end in {suffix}")
            check_output(file, overwrite)

    def write(
        self, captures: Sequence[Capture], video: FrameSource, options: CaptureOptions, say: Progress, made: list[Path]
    ) -> None:
        """Writes them, and adds each to `made` when it is there."""
        if self.preview:
            from stpose_core.preview import write_preview

            write_preview(captures, self.preview, options.start, options.end, say, video=video)
            made.append(self.preview)
        if self.report:
            from stpose_core.report import write_report

            write_report(captures, self.report, video=video, start=options.start, end=options.end, progress=say)
            made.append(self.report)


def look_options(command: Command) -> Command:
    """Adds --preview and --report to a command."""
    page = "Also write a web page: the motion in 3D, the video, curves and the quality."
    command = click.option("--report", metavar="FILE.html", type=ANY, help=page)(command)
    film = "Also write a video: the joints drawn in, and the motion in 3D beside it."
    return click.option("--preview", metavar="FILE.mp4", type=ANY, help=film)(command)
