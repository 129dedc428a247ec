"""`stpose mocap`: videos in, motion files out."""

from __future__ import annotations

import re
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from stpose_cli.outputs import FORMATS, Job, check_not_input, plan_jobs
from stpose_cli.progress import Progress, Result, make_progress, warnings_to
from stpose_core.errors import DetectorError, OutputError, StposeError
from stpose_core.files import check_output

FAILED = 2


class Seconds(click.ParamType):
    """A point in a video: seconds, mm:ss or hh:mm:ss, each with or without a fraction."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        if not re.fullmatch(r"(\d+:)?(\d+:)?\d+(\.\d*)?", str(value)):
            self.fail(f"'{value}' is no time; write seconds (12.5) or mm:ss (1:12.5)", param, ctx)
        seconds = 0.0
        for part in str(value).split(":"):
            seconds = 60 * seconds + float(part)
        return seconds


class Number(click.FloatRange):
    """A number in a range; "nan" lies in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if number != number:
            self.fail(f"'{value}' is no number", param, ctx)
        return number


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, metavar="OUT", type=str, help="A file (.bvh, .csv or .npz), or a folder.")
@click.option(
    "--detector", default="auto", show_default=True, help="auto, builtin, mediapipe, rtmpose, or a file or folder of keypoints."
)
@click.option(
    "--person",
    default="largest",
    show_default=True,
    help="largest, left, right, center, all, or a number from 1 by size.",
)
@click.option("--smooth", default=0.4, show_default=True, type=Number(0, 1), help="0 as it was seen, 1 very smooth.")
@click.option("--refine/--no-refine", default=True, show_default=True, help="Fit the 3D joints to the 2D ones over the whole clip.")
@click.option("--fps", type=Number(1, 1000), help="Frame rate of the motion.  [default: the video's]")
@click.option("--start", type=Seconds(), help="Where to begin in the video: seconds or mm:ss.")
@click.option("--end", type=Seconds(), help="Where to stop.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option(
    "--weights", metavar="FILE", type=click.Path(path_type=Path), help="Lifter to use, .safetensors.  [default: the one that ships]"
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist already.")
@click.option("--units", default="cm", show_default=True, type=click.Choice(["cm", "m"]), help="Unit of lengths in .bvh.")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Format of the files in a folder.  [default: bvh]")
@click.option(
    "--progress",
    default="bar",
    show_default=True,
    type=click.Choice(["bar", "json", "none"]),
    help="How to tell of it.",
)
@click.option(
    "--preview",
    metavar="FILE.mp4",
    type=click.Path(path_type=Path),
    help="Also write the video with the joints drawn in.",
)
def mocap(
    videos: tuple[Path, ...],
    out: str,
    detector: str,
    person: str,
    smooth: float,
    refine: bool,
    fps: float | None,
    start: float | None,
    end: float | None,
    device: str,
    weights: Path | None,
    overwrite: bool,
    units: str,
    kind: str | None,
    progress: str,
    preview: Path | None,
) -> int:
    """Capture the motion of people in videos.

    OUT is a file for one person of one video. For several videos, or --person all, it is a folder.
    """
    from stpose_core.video import probe

    say = make_progress(progress)
    say.video(str(videos[0]) if len(videos) == 1 else "")
    failures = 0
    try:
        jobs = plan_jobs(videos, out, person == "all", kind, overwrite)
        _check_preview(preview, jobs, overwrite)
        check_not_input(
            [*(file for job in jobs for file in job.known()), *([preview] if preview else [])], [*videos, Path(detector)]
        )
        if len(jobs) == 1:
            # Told at once, not after the networks were loaded.
            probe(jobs[0].video)
        options = _load(detector, person, device, start, end, len(videos), weights)
        options.update(smooth=smooth, fps=fps, refine=refine)
        for job in jobs:
            say.video(str(job.video))
            try:
                with warnings_to(say):
                    say.result(_run(job, options, say, units, overwrite, preview))
            except StposeError as error:
                message = str(error)
            except Exception as error:
                if len(jobs) == 1 or isinstance(error, BrokenPipeError):
                    raise
                # A bug, which must not cost the other videos.
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                message = f"{reason} (unexpected; capture this video alone for the traceback)"
            else:
                continue
            failures += 1
            # Most errors name their file; among several videos every one has to.
            where = "" if len(jobs) == 1 or str(job.video) in message else f"{job.video}: "
            say.error(f"{where}{message}")
    except StposeError as error:
        say.error(str(error))
        failures = 1
    finally:
        say.close()
    return FAILED if failures else 0


def _load(
    detector: str, person: str, device: str, start: float | None, end: float | None, videos: int, weights: Path | None = None
) -> dict[str, Any]:
    """The options of `capture_people`, checked, with the networks loaded once for all videos."""
    from stpose_core import load_lifter
    from stpose_core.detect import KeypointFile
    from stpose_core.devices import choose_device
    from stpose_core.pipeline import check_person, check_range, open_detector

    check_person(person)
    check_range(start, end)
    place = choose_device(device)
    source = open_detector(detector, device)
    if isinstance(source, KeypointFile) and videos > 1:
        raise DetectorError(f"{detector} holds the keypoints of one video, and {videos} videos are given")
    if source.name == "builtin" and place == "cpu" and find_spec("openvino") is None:
        click.echo("stpose: the built-in detector runs in torch; pip install '.[fast]' makes it several times as fast", err=True)
    lifter = load_lifter(weights, device=place)
    return {"detector": source, "lifter": lifter, "device": place, "person": person, "start": start, "end": end}


def _run(job: Job, options: dict[str, Any], say: Progress, units: str, overwrite: bool, preview: Path | None) -> Result:
    """Do one job. Raises StposeError; then no file of it is left."""
    from stpose_core import capture_people, save

    if job.problem:
        raise OutputError(job.problem)
    began = time.monotonic()
    captures = capture_people(job.video, progress=say, **options)
    files = job.files(len(captures))
    made: list[Path] = []
    try:
        if preview:
            from stpose_core.preview import write_preview

            write_preview(captures, preview, options["start"], options["end"], say)
            made.append(preview)
        _make_folder(job.out.parent)
        for capture, file in zip(captures, files):
            save(capture if file.suffix == ".npz" else capture.motion, file, units=units, overwrite=overwrite)
            made.append(file)
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise
    return Result(
        video=str(job.video),
        files=[str(file) for file in [*files, *([preview] if preview else [])]],
        frames=len(captures[0]),
        fps=captures[0].motion.fps,
        people=len(captures),
        seen=[round(float(capture.keypoints.seen.mean()), 4) for capture in captures],
        seconds=round(time.monotonic() - began, 2),
        detector=captures[0].detector,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def _check_preview(preview: Path | None, jobs: list[Job], overwrite: bool) -> None:
    if preview is None:
        return
    if len(jobs) > 1:
        raise OutputError("--preview is for one video at a time")
    if preview.suffix.lower() != ".mp4":
        raise OutputError(f"{preview}: a preview's name ends in .mp4")
    check_output(preview, overwrite)
