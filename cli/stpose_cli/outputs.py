"""The output file of each video, chosen and checked before any long work starts."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stpose_core.errors import OutputError
from stpose_core.files import check_folder, check_output
from stpose_core.formats import FORMATS, format_of


@dataclass(frozen=True)
class Job:
    """One video and the output of its captures.

    everyone: several people, one numbered file each. problem: why the job cannot run. existing: the output that is in the way.
    """

    video: Path
    out: Path
    everyone: bool
    problem: str | None = None
    existing: Path | None = None

    def files(self, people: int) -> list[Path]:
        """The output of each of `people` captures."""
        if not self.everyone:
            return [self.out]
        return [self.out.with_name(f"{self.out.stem}_person{number}{self.out.suffix}") for number in range(1, people + 1)]

    def known(self) -> list[Path]:
        """The outputs that are certain, and existing outputs of further people."""
        files = self.files(1)
        if self.everyone and self.out.parent.is_dir():
            numbered = re.compile(re.escape(f"{self.out.stem}_person") + r"[1-9][0-9]*" + re.escape(self.out.suffix))
            near = self.out.parent.glob(f"{glob.escape(self.out.stem)}_person*")
            files += sorted(path for path in near if numbered.fullmatch(path.name) and path not in files)
        return files


def is_folder(out: str) -> bool:
    """Whether an output is a folder: one that exists, or a name without a suffix or with a / at its end."""
    return os.path.isdir(out) or not Path(out).suffix or out.endswith(("/", os.sep))


def plan_jobs(videos: Sequence[Path], out: str, everyone: bool, kind: str, overwrite: bool, batch: str | None = None) -> list[Job]:
    """A job for each video. out: a file for one person of one video, or for all of them in a format that
    holds several people; else a folder, which need not exist yet.

    kind: the format of the files in a folder, a suffix without its dot. batch: what makes the videos a batch, which needs a folder;
    None if they are none. An existing file is a problem of its own job only. Raises OutputError if no job could write anything.
    """
    path = Path(out)
    if out == "-":
        raise OutputError("a motion is not written to standard output; give the name of a file")
    if not is_folder(out):
        known = [entry.suffix for entry in FORMATS]
        if path.suffix.lower() not in known:
            raise OutputError(f"{out}: the name of a file must end in {', '.join(known)}, that of a folder in /")
        what = batch or ("--person all" if everyone and not format_of(path).several else None)
        if what:
            raise OutputError(f"{out} is one file; for {what} give a folder (its name ending in /)")
        check_output(path, overwrite)
        format_of(path).check_packages()
        return [Job(videos[0], path, False)]
    _check_folder(path)
    format_of(f"a.{kind}").check_packages()
    jobs = [Job(video, path / f"{name}.{kind}", everyone) for video, name in zip(videos, unique_names(videos))]
    return [_checked(job, overwrite) for job in jobs]


def unique_names(videos: Sequence[Path]) -> list[str]:
    """A name without suffix for the outputs of each video, no two alike, also where case does not count.

    It is the name of the video. Namesakes are preceded by the names of as many of their folders as it takes (a_walk, b_walk), or in
    one folder followed by their suffixes (walk_mp4, walk_mov). Where that is not enough, numbers follow.
    """
    names = [_stem(video) for video in videos]
    for group in _alike(names):
        folders = [Path(os.path.abspath(videos[n])).parts[1:-1] for n in group]
        stems = [_stem(videos[n]) for n in group]
        full = [f"{_stem(videos[n])}_{videos[n].suffix[1:]}" for n in group]
        depths = range(1, max(map(len, folders)) + 1)
        longer = [["_".join([*parts[-depth:], name]) for parts, name in zip(folders, stems)] for depth in depths]
        longer += [full, *(["_".join([*parts[-depth:], name]) for parts, name in zip(folders, full)] for depth in depths)]
        chosen = next((names for names in longer if not _alike(names)), full)
        for n, name in zip(group, chosen):
            names[n] = name
    while groups := _alike(names):
        for group in groups:
            for count, n in enumerate(group[1:], 2):
                names[n] = f"{names[n]}_{count}"
    return names


def _alike(names: Sequence[str]) -> list[list[int]]:
    """The places of names that occur more than once."""
    places = defaultdict(list)
    for number, name in enumerate(names):
        places[name.casefold()].append(number)
    return [group for group in places.values() if len(group) > 1]


def check_not_input(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raise OutputError if an output would replace an input."""
    # Not Path.resolve, which fails on circular links.
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if os.path.realpath(path) in taken:
            raise OutputError(f"{path} is an input; choose another name for the output")


def _stem(video: Path) -> str:
    """What the files of a video are called; "-" is standard input."""
    return "stdin" if str(video) == "-" else video.stem


def _checked(job: Job, overwrite: bool) -> Job:
    """The job, with its problem if there is one."""
    for file in job.known() if job.out.parent.is_dir() else []:
        try:
            check_output(file, overwrite)
        except OutputError as error:
            return replace(job, problem=str(error), existing=file if file.is_file() else None)
    return job


def _check_folder(folder: Path) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise OutputError(f"cannot make the folder {folder}: {there} is a file")
    try:
        check_folder(there)
    except OutputError as error:
        raise OutputError(f"cannot write into {folder}: {error}") from error
