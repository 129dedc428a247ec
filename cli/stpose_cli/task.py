"""One video of `stpose mocap`: networks are loaded, the video is captured, its files are written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpose_cli.looks import Looks
from stpose_cli.manifest import checksum
from stpose_cli.outputs import Job
from stpose_cli.progress import NoProgress, Progress, Result, warnings_to
from stpose_core.errors import DetectorError, OutputError, StposeError
from stpose_core.extras import how_to_install
from stpose_core.options import CaptureOptions

if TYPE_CHECKING:
    from stpose_core.data import Capture, Motion
    from stpose_core.frames import FrameSource
    from stpose_core.pieces import Recorded
    from stpose_core.quality import Quality


@dataclass(frozen=True)
class Task:
    """A job of a batch, as it is sent to another process. options: CaptureOptions as JSON.

    divide: only find out how many pieces the video gives, so many at most. piece: number from 0, and count: only the detections in
    this piece are recorded. recorded: those of all pieces.
    """

    job: Job
    options: str
    overwrite: bool
    divide: int | None = None
    piece: tuple[int, int] | None = None
    recorded: tuple[Recorded, ...] = ()

    @property
    def key(self) -> tuple[Path, int | None]:
        """Identifies the task in its batch."""
        return self.job.video, None if self.piece is None else self.piece[0]


@dataclass(frozen=True)
class Outcome:
    """The end of a task: a result, or an error in one line. sha256: checksum of the video.

    pieces: how many the video gives. recorded: the detections in a piece, or None if there are none. fatal: the error concerns
    every task. leaves: the process cannot take another task.
    """

    result: Result | None = None
    error: str | None = None
    sha256: str | None = None
    seconds: float = 0.0
    fatal: bool = False
    leaves: bool = False
    pieces: int = 1
    recorded: Recorded | None = None


class Worker:
    """Performs tasks one after the other. The networks are loaded for the first one and kept: all tasks have the same options.

    quiet: another worker reports what is slow about this installation.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._loaded: dict[str, Any] | None = None

    def __call__(self, task: Task, say: Progress) -> Outcome:
        """Never raises an Exception, except BrokenPipeError: a bug must not stop the other videos."""
        from stpose_core.frames import open_source

        began = time.monotonic()
        options = CaptureOptions.from_json(task.options)
        video = task.job.video
        found: str | None = None
        try:
            with warnings_to(say):
                if task.job.problem:
                    raise OutputError(task.job.problem)
                if task.divide is not None:
                    pieces = _pieces(video, task.divide, options)
                    return Outcome(seconds=time.monotonic() - began, pieces=pieces)
                if task.piece is not None:
                    recorded = self._record(task.piece, video, options, say)
                    return Outcome(seconds=time.monotonic() - began, recorded=recorded)
                loaded = self._networks(options, say)
                found = None if str(video) == "-" else checksum(video)
                with open_source(video, options.picture_fps) as source:
                    if task.recorded:
                        from stpose_core.pieces import Replayed

                        replayed = Replayed(loaded["detector"], task.recorded)
                        source, loaded = replayed.watched(source), loaded | {"detector": replayed}
                        say = _Staged(say, lambda stage: "join" if stage == "detect" else stage)
                    result = run(task.job, source, options, loaded, say, task.overwrite, Looks(None, None))
                return Outcome(result, None, found, result.seconds)
        except _Fatal as error:
            return Outcome(error=str(error), fatal=True)
        except StposeError as error:
            message = str(error)
        except BrokenPipeError:
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            message = f"{reason} (unexpected; capture this video alone for the traceback)"
        # Most errors name their file; with several videos each one must.
        where = "" if str(video) in message else f"{video}: "
        return Outcome(None, f"{where}{message}", found, round(time.monotonic() - began, 2))

    def _networks(self, options: CaptureOptions, say: Progress) -> dict[str, Any]:
        """The detector and the lifter. Raises _Fatal if they cannot be loaded, for any video."""
        if self._loaded is None:
            try:
                self._loaded = load(options, True, None if self._quiet else say)
            except StposeError as error:
                raise _Fatal(str(error)) from error
        return self._loaded

    def _record(self, piece: tuple[int, int], video: Path, options: CaptureOptions, say: Progress) -> Recorded | None:
        """The detections in a piece of a video; None if it has none."""
        from stpose_core.detect import KeypointFile
        from stpose_core.frames import open_source
        from stpose_core.pieces import piece_ranges, record_piece

        number, count = piece
        with open_source(video, options.picture_fps) as source:
            ranges = piece_ranges(source.times(), count, options.start, options.end)
            detector = self._networks(options, say)["detector"]
            if isinstance(detector, KeypointFile):
                return None
            named = _Staged(say, lambda stage: f"{stage} {number + 1}/{len(ranges)}")
            return record_piece(source, detector, ranges[number], options.person in ("largest", "1"), named)


def _pieces(video: Path, most: int, options: CaptureOptions) -> int:
    """Into how many pieces a video is divided. Raises VideoError."""
    from stpose_core.frames import open_source
    from stpose_core.pieces import piece_ranges

    with open_source(video, options.picture_fps) as source:
        return len(piece_ranges(source.times(), most, options.start, options.end))


class _Fatal(StposeError):
    """An error that concerns every task."""


class _Staged(NoProgress):
    """Progress whose stages have other names."""

    def __init__(self, progress: Progress, name: Callable[[str], str]) -> None:
        self._progress, self._name = progress, name

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        self._progress(self._name(stage), done, total)


def load(options: CaptureOptions, several: bool, say: Progress | None) -> dict[str, Any]:
    """The detector and the lifter, as `capture_people` takes them. several: they are for several videos. say: where to warn."""
    from stpose_core import load_lifter
    from stpose_core.detect import KeypointFile
    from stpose_core.detect.runtime import PACKAGES
    from stpose_core.devices import choose_device
    from stpose_core.pipeline import open_detector

    place = choose_device(options.device)
    source = open_detector(options.detector, options.device)
    if isinstance(source, KeypointFile) and several:
        raise DetectorError(f"{options.detector} holds the keypoints of one video, but several videos are given")
    if say is not None and source.name == "builtin" and place == "cpu" and not any(map(find_spec, PACKAGES)):
        say.warning(f"the built-in detector runs in torch; OpenVINO and ONNX Runtime are faster; {how_to_install('fast')}")
    return {"detector": source, "lifter": load_lifter(options.weights, device=place)}


def run(
    job: Job,
    video: FrameSource,
    options: CaptureOptions,
    loaded: dict[str, Any],
    say: Progress,
    overwrite: bool,
    looks: Looks,
) -> Result:
    """Run one job. Raises StposeError, and then leaves no file."""
    from stpose_core import capture_people, save
    from stpose_core.formats import holds_face, without_face
    from stpose_core.quality import advice, quality

    began = time.monotonic()
    target = _skeleton(options.skeleton)
    if options.face and not holds_face(job.out, options.rig, options.skeleton):
        say.warning(without_face(job.out))
        options = replace(options, face=False)  # a pass over the video that nothing would come of
    captures = capture_people(video, options=options, progress=say, **loaded)
    files = job.files(len(captures))
    made: list[Path] = []
    try:
        looks.write(captures, video, options, say, made)
        _make_folder(job.out.parent)
        for people, file in zip([[one] for one in captures] if len(files) == len(captures) else [captures], files):
            solved = _on_skeleton(people, file, target)
            save(solved, file, units=options.units, overwrite=overwrite, rig=options.rig, character=options.skeleton)
            made.append(file)
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise
    measured = [quality(capture) for capture in captures]
    return Result(
        video=str(job.video),
        files=[str(file) for file in [*files, *looks.files]],
        frames=len(captures[0]),
        fps=captures[0].motion.fps,
        people=len(captures),
        seen=[round(float(capture.keypoints.seen.mean()), 4) for capture in captures],
        seconds=round(time.monotonic() - began, 2),
        detector=captures[0].detector,
        advice=tuple(map(advice, measured)),
        quality=tuple(map(_rounded, measured)),
    )


def _skeleton(path: str | None) -> Motion | None:
    """The skeleton of a file. Raises FormatError if it cannot be used."""
    if path is None:
        return None
    from stpose_core.animate.onto import check_skeleton
    from stpose_core.formats import load_people

    target = load_people(path)[0]
    check_skeleton(target, path)
    return target


def _on_skeleton(people: list[Capture], file: Path, target: Motion | None) -> Sequence[Motion | Capture]:
    """What is written to a file; a .npz keeps the captures as they are."""
    if target is None or file.suffix.lower() == ".npz":
        return people
    from stpose_core.animate.onto import onto

    return [onto(capture.motion, target) for capture in people]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def _rounded(found: Quality) -> dict[str, Any]:
    """The figures of a capture for JSON, which has no NaN."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        return round(float(value), 4) if math.isfinite(value) else None

    return {name: plain(value) for name, value in asdict(found).items()}
