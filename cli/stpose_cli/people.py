"""`stpose people`: who is in a video, by the numbers that --person takes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stpose_cli.capture_options import Seconds
from stpose_cli.commands import ANY
from stpose_cli.inputs import check_video
from stpose_cli.outputs import check_not_input
from stpose_core.errors import OutputError
from stpose_core.files import check_output
from stpose_core.options import DEVICES, CaptureOptions

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@click.command()
@click.argument("video", metavar="VIDEO", type=ANY)
@click.option("-o", "--out", metavar="FILE.png", type=ANY, help="Write a picture with all people numbered.")
@click.option("--detector", default="auto", show_default=True, metavar="NAME", help="As of stpose mocap; also keypoints.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(DEVICES))
@click.option("--start", type=Seconds(), help="Where to begin in the video: seconds or mm:ss.")
@click.option("--end", type=Seconds(), help="Where to stop.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def people(
    video: Path, out: Path | None, detector: str, device: str, start: float | None, end: float | None, overwrite: bool
) -> None:
    """List the people in a video.

    Each line has the number that `stpose mocap --person` takes with the same detector and range (1 is the largest), from when to
    when the person is seen, in what share of the frames, and how tall in pixels.
    """
    from tqdm import tqdm

    from stpose_core.frames import open_source
    from stpose_core.overview import find_people, write_overview
    from stpose_core.pipeline import open_detector

    check_video(video)
    options = CaptureOptions(detector=detector, device=device, start=start, end=end, person="all")
    if out is not None:
        if out.suffix.lower() not in SUFFIXES:
            raise OutputError(f"{out}: the name of a picture ends in {', '.join(SUFFIXES)}")
        check_output(out, overwrite)
        check_not_input([out], [video, Path(detector)])
    with open_source(video) as source:
        bar = tqdm(unit=" frames", disable=not sys.stderr.isatty(), file=sys.stderr)

        def advance(stage: str, done: float, total: float | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        with bar:
            found = find_people(source, open_detector(options.detector, options.device), options.start, options.end, advance)
        if out is not None:
            write_overview(found, out, source, overwrite)
    for person in found:
        span = f"{_clock(person.first)} to {_clock(person.last)}"
        click.echo(f"{person.number}: {span}, seen in {person.seen:.0%} of the frames, {person.size:.0f} pixels tall")
    if out is not None:
        click.echo(out)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"
