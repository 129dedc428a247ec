"""Files of motion: `save` writes, `load_motion` and `load_people` read; the suffix chooses the format.

A format is one module, with `write(thing, path, units)` and, where files can be read back, `read(path) -> Motion`, and one line in
FORMATS. Where a file may hold several people, `write` receives a sequence and `read` returns a tuple. Modules are imported when
they are used, so that a format may need a package that few have.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpose_core.errors import FormatError, OutputError
from stpose_core.files import written_whole

if TYPE_CHECKING:
    from stpose_core.data import Capture, Motion
    from stpose_core.formats.markers import Points

__all__ = ["FORMATS", "Format", "format_of", "load_capture", "load_motion", "load_people", "save"]

UNITS = ("cm", "m")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """A kind of file. suffix: with its dot, in lower case. title: what such a file holds. module: the one that writes and reads it.
    readable: whether a motion can be read back. several: whether a file may hold several people. points: whether it holds points
    without rotations, from which a motion is estimated. needy: whether writing needs more than stpose's own dependencies. curves:
    whether it holds those of a face. flags: whether it holds which frames are filled."""

    suffix: str
    title: str
    module: str
    readable: bool = True
    several: bool = False
    points: bool = False
    needy: bool = False
    curves: bool = False
    flags: bool = False

    def write(self, people: Sequence[Motion | Capture], path: Path, units: str) -> None:
        """Write to a path, which is replaced. people: one, unless `several`. units: "cm" or "m", in formats that have a choice."""
        self._load().write(people if self.several else people[0], path, units)

    def check_packages(self) -> None:
        """Raise OutputError if a package or program that writes such files is missing."""
        if self.needy:
            self._load().check_packages(self.suffix)

    def read(self, path: str | Path) -> tuple[Motion, ...]:
        """The motion of each person in a file. Raises FormatError if the file is damaged or something else."""
        found = self._load().read(path)
        return found if self.several else (found,)

    def read_points(self, path: str | Path) -> Points:
        """The points in a file, whether or not they are those of a body. Raises FormatError as `read` does."""
        return self._load().read_points(path)

    def _load(self) -> Any:
        return import_module(self.module)


FORMATS = (
    Format(".bvh", "animated skeleton", "stpose_core.formats.bvh"),
    Format(".glb", "skeletons with a dressed figure", "stpose_core.formats.glb", several=True),
    Format(".vrma", "animation of a VRM avatar", "stpose_core.formats.vrma", curves=True),
    Format(".usda", "skeletons with a dressed figure, as text", "stpose_core.formats.usd", several=True, needy=True),
    Format(".usdc", "skeletons with a dressed figure", "stpose_core.formats.usd", several=True, needy=True),
    Format(".usdz", "skeletons with a dressed figure, packed", "stpose_core.formats.usd", several=True, needy=True),
    Format(".fbx", "skeletons with a dressed figure", "stpose_core.formats.fbx", readable=False, several=True, needy=True),
    Format(".trc", "positions of the joints as markers", "stpose_core.formats.trc", points=True),
    Format(".c3d", "positions of the joints as markers", "stpose_core.formats.c3d", points=True, needy=True),
    Format(".csv", "positions of the joints", "stpose_core.formats.csv", points=True),
    Format(".json", "skeletons and positions of the joints", "stpose_core.formats.json", several=True, curves=True, flags=True),
    Format(".npz", "everything: 2D joints, 3D joints, motion", "stpose_core.formats.npz", curves=True, flags=True),
)


def format_of(path: str | Path) -> Format:
    """The format that a path's suffix names. Raises FormatError if there is none."""
    suffix = Path(path).suffix.lower()
    found = next((entry for entry in FORMATS if entry.suffix == suffix), None)
    if found is None:
        what = f"unknown format '{suffix}'" if suffix else "the name has no suffix, which chooses the format"
        raise FormatError(f"{path}: {what}; known: {', '.join(entry.suffix for entry in FORMATS)}")
    return found


def save(
    thing: Motion | Capture | Sequence[Motion | Capture],
    path: str | Path,
    units: str = "cm",
    overwrite: bool = False,
    rig: str = "stpose",
    character: str | Path | None = None,
) -> None:
    """Write a motion or a capture, or those of several people; the suffix chooses one of FORMATS.

    The file appears whole or not at all.
    units: "cm" or "m", of the lengths in a .bvh; other formats have fixed units. A .npz of a capture holds all its stages.
    rig: names of the joints, one of `stpose_core.rigs.RIGS`; "stpose" leaves them as they are, and so does the .npz of a capture.
    character: the .glb whose skeleton the motion was solved on; a .glb of one person with the skeleton's own names is then a copy
    of it, meshes and all, in motion.
    A format that holds no curves of a face leaves them out, with a warning in the log "stpose_core".
    Raises FormatError for an unknown suffix, or for several people in a format that holds one; OutputError if the file cannot be
    written or exists without `overwrite`.
    """
    chosen = format_of(path)
    if units not in UNITS:
        raise ValueError(f"unknown units '{units}'; known: {', '.join(UNITS)}")
    people = thing if isinstance(thing, Sequence) else (thing,)
    if not people:
        raise ValueError("there are no people to save")
    if len(people) > 1 and not chosen.several:
        many = ", ".join(entry.suffix for entry in FORMATS if entry.several)
        raise FormatError(f"{path}: a {chosen.suffix} holds one person, not {len(people)}; {many} hold several")
    if rig != "stpose":
        people = [_renamed(person, chosen, rig) for person in people]
    as_character = _is_character(character, chosen, rig) and len(people) == 1
    if not (chosen.curves or as_character) and any(motion_of(person).curves for person in people):
        _log.warning("%s", without_face(path))
    with written_whole(path, overwrite) as temporary:
        try:
            if as_character:
                from stpose_core.formats.glb_character import write_character

                write_character(motion_of(people[0]), str(character), temporary, str(path))
            else:
                chosen.write(people, temporary, units)
        except OutputError as error:
            raise OutputError(str(error).replace(str(temporary), str(path))) from error


def holds_face(path: str | Path, rig: str, character: str | Path | None) -> bool:
    """Whether the file that `save` writes for one person holds the curves of a face."""
    chosen = format_of(path)
    return chosen.curves or _is_character(character, chosen, rig)


def without_face(path: str | Path) -> str:
    """The warning that a file holds no curves of a face."""
    chosen, holding = format_of(path), ", ".join(entry.suffix for entry in FORMATS if entry.curves)
    use = f"use {holding}, or .glb with --skeleton and without --rig"
    return f"{path}: left out the face, which a {chosen.suffix} does not hold; {use}"


def _is_character(character: str | Path | None, chosen: Format, rig: str) -> bool:
    return character is not None and chosen.suffix == Path(character).suffix.lower() == ".glb" and rig == "stpose"


def _renamed(person: Motion | Capture, chosen: Format, rig: str) -> Motion | Capture:
    from stpose_core.data import Motion
    from stpose_core.rigs import renamed

    return person if chosen.suffix == ".npz" and not isinstance(person, Motion) else renamed(motion_of(person), rig)


def load_people(path: str | Path) -> tuple[Motion, ...]:
    """Read the motion of each person in a file. Raises FormatError if the file holds none, is damaged, or is something else."""
    chosen = format_of(path)
    if not chosen.readable:
        known = ", ".join(entry.suffix for entry in FORMATS if entry.readable)
        raise FormatError(f"{path}: a {chosen.suffix} is only written, not read; load one of {known}")
    return chosen.read(path)


def load_motion(path: str | Path) -> Motion:
    """Read a motion. Raises FormatError as `load_people` does, and if the file holds several people."""
    people = load_people(path)
    if len(people) > 1:
        raise FormatError(f"{path} holds {len(people)} people; load_people reads them all")
    return people[0]


def load_capture(path: str | Path) -> Capture:
    """The capture in a .npz. Raises FormatError if the file is damaged, something else, or of a newer version."""
    from stpose_core.formats.npz import load_capture as load

    return load(path)


def motion_of(thing: Motion | Capture) -> Motion:
    """The motion of a capture, or the motion itself."""
    from stpose_core.data import Capture

    return thing.motion if isinstance(thing, Capture) else thing
