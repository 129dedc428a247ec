"""`stpose convert`, `stpose info` and `stpose trim`: files of motion that exist already."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stpose_cli.capture_options import Seconds
from stpose_cli.commands import FILE
from stpose_cli.inputs import motion_file
from stpose_cli.outputs import check_not_input
from stpose_core.errors import OptionError
from stpose_core.files import check_output
from stpose_core.formats import FORMATS, UNITS, format_of, load_people, save
from stpose_core.rigs import RIGS, recognised

if TYPE_CHECKING:
    from stpose_core.data import Motion
    from stpose_core.formats.markers import Points

_SUFFIXES = ", ".join(entry.suffix for entry in FORMATS)
_SOURCE = click.argument("source", metavar="FILE", type=FILE, callback=motion_file)
_OUT = click.option("-o", "--out", required=True, metavar="OUT", type=FILE, help=f"The file to write: {_SUFFIXES}.")
_PERSON = click.option("--person", type=click.IntRange(1), metavar="N", help="Only this person of the file.  [default: all]")
_UNITS = click.option("--units", default="cm", show_default=True, type=click.Choice(UNITS), help="Unit of lengths in .bvh.")
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a file that exists already.")


@click.command()
@_SOURCE
@_OUT
@click.option("--rig", type=click.Choice(RIGS), help="Names of the joints.  [default: those of the file]")
@click.option("--skeleton", metavar="FILE", type=FILE, help="Solve the motion on the skeleton of this .bvh, .glb or USD.")
@_PERSON
@_UNITS
@_OVERWRITE
def convert(
    source: Path, out: Path, rig: str | None, skeleton: Path | None, person: int | None, units: str, overwrite: bool
) -> None:
    """Convert a file of motion to another format, to other names of the joints, or to another skeleton."""
    people = _read(source, out, person, overwrite)
    if skeleton is not None:
        from stpose_core.animate.onto import check_skeleton, onto

        target = load_people(skeleton)[0]
        check_skeleton(target, skeleton)
        people = [onto(motion, target) for motion in people]
    if rig == "stpose":
        people, skeleton = [recognised(motion) for motion in people], None
    _write(people, out, units, overwrite, rig or "stpose", skeleton)


@click.command()
@_SOURCE
@_OUT
@click.option("--start", type=Seconds(), help="Where to begin: seconds or mm:ss.")
@click.option("--end", type=Seconds(), help="Where to stop.")
@click.option("--loop", is_flag=True, help="Choose the end, and blend, so that the motion repeats smoothly.")
@_PERSON
@_UNITS
@_OVERWRITE
def trim(
    source: Path, out: Path, start: float | None, end: float | None, loop: bool, person: int | None, units: str, overwrite: bool
) -> None:
    """Keep a part of a motion, or make a loop of it."""
    from stpose_core.animate.clip import cut, looped

    if start is None and end is None and not loop:
        raise OptionError("nothing to do: give --start, --end or --loop")
    people = _read(source, out, person, overwrite)
    if loop and len(people) > 1:
        raise OptionError(f"{source} holds {len(people)} people, who do not repeat together; choose one with --person")
    people = [cut(motion, start, end) for motion in people]
    _write([looped(people[0])] if loop else people, out, units, overwrite)


@click.command()
@_SOURCE
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def info(source: Path, as_json: bool) -> None:
    """Print what a file of motion holds: people, frames, rate, skeleton and, for a whole capture, its quality."""
    from stpose_core.data import Capture
    from stpose_core.formats.npz import load_npz

    chosen = format_of(source)
    if chosen.points:
        people = [_points(chosen.read_points(source))]
    elif source.suffix.lower() == ".npz":
        thing = load_npz(source)
        motion, more = (thing.motion, _quality(thing)) if isinstance(thing, Capture) else (thing, {})
        people = [_described(motion, chosen.flags) | more]
    else:
        people = [_described(motion, chosen.flags) for motion in load_people(source)]
    if as_json:
        click.echo(json.dumps({"file": str(source), "people": people}))
        return
    for number, found in enumerate(people, 1):
        click.echo(f"person {number} of {len(people)}")
        for name, value in found.items():
            click.echo(f"  {name.replace('_', ' ') + ':':<17}{_text(name, value)}")


def _read(source: Path, out: Path, person: int | None, overwrite: bool) -> list[Motion]:
    """The people of a file. Raises StposeError before anything is read where the output cannot be written."""
    chosen = format_of(out)
    check_not_input([out], [source])
    check_output(out, overwrite)
    chosen.check_packages()
    people = list(load_people(source))
    if person is None:
        return people
    if person > len(people):
        raise OptionError(f"{source} has no person {person}; it holds {len(people)}")
    return [people[person - 1]]


def _write(
    people: Sequence[Motion], out: Path, units: str, overwrite: bool, rig: str = "stpose", character: Path | None = None
) -> None:
    save(people, out, units=units, overwrite=overwrite, rig=rig, character=character)
    which = f"{len(people)} people, " if len(people) > 1 else ""
    click.echo(f"{out}: {which}{len(people[0])} frames at {people[0].fps:g} fps")


def _described(motion: Motion, flags: bool) -> dict[str, Any]:
    """Facts about a motion, in the order of the table; numbers in the units of `_SHOWN`, None for what is not known. flags: whether
    the file says which frames are filled."""
    import numpy as np

    from stpose_core.formats.figure import rest_positions
    from stpose_core.quality import steadiness
    from stpose_core.rigs import rig_of

    slide, _, jitter = steadiness(motion)
    return {
        "frames": len(motion),
        "fps": round(motion.fps, 4),
        "seconds": round(len(motion) / motion.fps, 3),
        "skeleton": rig_of(motion) or "other",
        "joints": sum(not name.endswith("End") for name in motion.names),
        "height": _number(np.ptp(rest_positions(motion)[:, 1])),
        "face": _number(np.isfinite(list(motion.curves.values())).any(axis=0).mean()) if motion.curves and len(motion) else None,
        "filled_frames": _number(motion.filled.mean()) if flags and len(motion) else None,
        "foot_contacts": _number((motion.contacts > 0.5).any(axis=1).mean()) if motion.contacts.any() else None,
        "foot_slide": _number(slide),
        "jitter": _number(jitter),
    }


def _points(points: Points) -> dict[str, Any]:
    import numpy as np

    from stpose_core.errors import FormatError
    from stpose_core.formats.markers import joints_of

    unseen = np.isnan(points.places).any(axis=2)
    try:
        joints_of("", points)
        body = "joints of a body"
    except FormatError:
        body = "other"
    return {
        "frames": len(points.places),
        "fps": round(points.fps, 4),
        "seconds": round(len(points.places) / points.fps, 3),
        "skeleton": body,
        "markers": len(points.labels),
        "missing": _number(unseen.mean()),
    }


def _quality(capture: Any) -> dict[str, Any]:
    from stpose_core.quality import advice, quality

    found = quality(capture)
    return {
        "detector": capture.detector,
        "detected": _number(found.seen),
        "hidden": {part: _number(share) for part, share in found.hidden.items()},
        "advice": advice(found),
    }


def _number(value: Any) -> float | None:
    """A number for JSON, which has no NaN."""
    return round(float(value), 4) if math.isfinite(value) else None


# How the table shows numbers, and what it says instead of None.
_SHOWN = {
    **dict.fromkeys(("face", "filled_frames", "foot_contacts", "missing", "detected"), "{:.0%}"),
    "height": "{:.2f} m",
    "foot_slide": "{:.2f} cm a frame at 30 fps",
    "jitter": "{:.1f} m/s^2",
}
_NONE = {"face": "none", "advice": "none"}


def _text(name: str, value: Any) -> str:
    """A fact as the table shows it."""
    if isinstance(value, dict):
        return ", ".join(f"{part} {_text('detected', share)}" for part, share in value.items())
    if value is None:
        return _NONE.get(name, "not known")
    return _SHOWN[name].format(value).replace("%", " %") if name in _SHOWN else str(value)
