"""The videos that the arguments of `stpose mocap` stand for: files, folders, patterns and lists."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from stpose_core.errors import FormatError, VideoError
from stpose_core.formats import FORMATS

_NAMES = "3gp avi flv gif m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split(" "))
"""Files in a folder that are taken for videos."""


def find_videos(given: Sequence[Path], out: str) -> tuple[list[Path], bool]:
    """The videos, each once, in the order given; and whether an argument may stand for several.

    A folder stands for the videos in it and in its sub-folders, except in the folder `out`; if there is none, it is a folder of
    pictures. Also a pattern with *, ? or [], and @LIST, a text file with one of these a line. An existing file of such a name
    takes precedence. Raises VideoError if nothing matches, FormatError for a list that cannot be read.
    """
    found: dict[str, Path] = {}
    several = False
    for path in given:
        name = str(path)
        if name.startswith("@") and not os.path.lexists(name):
            from stpose_core.reading import read_list

            several = True
            videos = [video for line in read_list(name[1:]) for video in _expanded(Path(line), out)[0]]
        else:
            videos, more = _expanded(path, out)
            several |= more
        for video in videos:
            found.setdefault(os.path.realpath(video), video)
    return list(found.values()), several


def not_a_video(path: Path) -> str | None:
    """What to say of a file of motion that is given for a video; None for other files."""
    entry = next((entry for entry in FORMATS if entry.suffix == path.suffix.lower()), None)
    if entry is None or not path.is_file():
        return None
    readable = "stpose convert writes it in another format, stpose view shows it"
    advice = readable if entry.readable else "save it as .glb in Blender to read it"
    return f"{path} is a file of motion, not a video; {advice}"


def check_video(path: Path) -> None:
    """Raise VideoError for a file of motion or a folder of videos that is given for a video."""
    if path.is_dir() and _inside(path, ""):
        raise VideoError(f"{path} is a folder of videos; give one of them")
    if (problem := not_a_video(path)) is not None:
        raise VideoError(problem)


def check_pictures(paths: Iterable[Path]) -> None:
    """Raise FormatError for a video that is given for a picture."""
    for path in paths:
        if path.suffix.lower() in VIDEO_SUFFIXES - {".gif"}:
            raise FormatError(f"{path} is a video, not a picture; stpose mocap captures it, stpose people shows who is in it")


def motion_file(_context: click.Context, _argument: click.Parameter, path: Path) -> Path:
    """The callback of an argument that names a file of motion: click calls it before it misses options. Raises FormatError for a
    video."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise FormatError(f"{path} is a video, not a file of motion; stpose mocap captures the motion in it")
    return path


def _expanded(path: Path, out: str) -> tuple[list[Path], bool]:
    name = str(path)
    if os.path.isdir(name):
        videos = _inside(path, os.path.realpath(out))
        return (videos, True) if videos else ([path], False)
    if os.path.lexists(name) or not glob.has_magic(name):
        return [path], False
    matches = sorted(glob.glob(name, recursive=True))
    if not matches:
        raise VideoError(f"no file matches {name}")
    return [video for match in matches for video in _expanded(Path(match), out)[0]], True


def _inside(folder: Path, out: str) -> list[Path]:
    """The videos in a folder and its sub-folders. Links to folders are not followed, hidden files not taken."""
    videos: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and os.path.realpath(f"{place}/{name}") != out)
        names = sorted(name for name in files if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES)
        videos += [Path(place, name) for name in names]
    return videos
