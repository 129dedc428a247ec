"""`stpose view`: a captured motion as a web page that needs no network."""

from __future__ import annotations

import tempfile
import webbrowser
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import click

from stpose_cli.commands import ANY
from stpose_cli.inputs import motion_file
from stpose_core.errors import OutputError
from stpose_core.files import check_output


@click.command()
@click.argument("file", metavar="FILE", type=ANY, callback=motion_file)
@click.option("-o", "--out", metavar="FILE.html", type=ANY, help="Write the page here and do not open it.")
@click.option("--video", metavar="FILE", type=ANY, help="Show this video, from which a .npz was captured.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def view(file: Path, out: Path | None, video: Path | None, overwrite: bool) -> None:
    """Show a motion in the web browser.

    FILE is a motion that stpose can read, such as .bvh, or a capture (.npz), for which the page also shows curves and the quality.
    """
    from stpose_core.data import Capture, Motion
    from stpose_core.formats import load_people
    from stpose_core.formats.npz import load_npz
    from stpose_core.frames import open_source
    from stpose_core.report import write_report

    if out:
        if out.suffix.lower() != ".html":
            raise OutputError(f"{out}: the name of a page must end in .html")
        check_output(out, overwrite)
    people: Sequence[Motion | Capture] = [load_npz(file)] if file.suffix.lower() == ".npz" else load_people(file)
    capture = people[0] if isinstance(people[0], Capture) else None
    if video and capture is None:
        raise OutputError(f"{file}: --video is for a capture (.npz), which holds 2D joints; this file holds none")
    place = out or Path(tempfile.mkdtemp(prefix="stpose-")) / f"{file.stem}.html"
    with open_source(video) if video else nullcontext() as source:
        if source and capture:
            size, filmed = (source.info.width, source.info.height), tuple(capture.keypoints.image_size)
            if size != filmed:
                raise OutputError("{} has {} x {} pixels, the captured video {} x {}".format(video, *size, *filmed))
        write_report(people, place, title=file.name, video=source, start=(capture.start or None) if capture else None)
    click.echo(str(place))
    if not out:
        webbrowser.open(place.resolve().as_uri())
