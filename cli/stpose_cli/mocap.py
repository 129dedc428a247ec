"""`stpose mocap`: videos in, motion files out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stpose_cli.capture_options import capture_options, chosen_options, was_given
from stpose_cli.looks import Looks, look_options
from stpose_cli.outputs import Job, check_not_input, is_folder, plan_jobs
from stpose_cli.progress import Progress, Result, make_progress, warnings_to
from stpose_core.errors import DetectorError, OutputError, StposeError
from stpose_core.extras import how_to_install
from stpose_core.formats import FORMATS
from stpose_core.options import CaptureOptions

if TYPE_CHECKING:
    from stpose_core.data import Capture, Motion
    from stpose_core.frames import FrameSource

FAILED = 2
SUFFIXES = ", ".join(entry.suffix for entry in FORMATS)


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, metavar="OUT", type=str, help=f"A file ({SUFFIXES}), or a folder.")
@capture_options
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "--progress",
    default="bar",
    show_default=True,
    type=click.Choice(["bar", "json", "none"]),
    help="How progress is reported.",
)
@look_options
@click.pass_context
def mocap(
    context: click.Context,
    videos: tuple[Path, ...],
    out: str,
    overwrite: bool,
    progress: str,
    preview: Path | None,
    report: Path | None,
    **_: object,
) -> int:
    """Capture the motion of people in videos.

    VIDEO is a video file, an animated .gif or .webp, a folder of numbered pictures (.png, .jpg), or - for standard input.
    OUT is a file for one person of one video. For several videos, or --person all, it is a folder; a .glb, .usda, .usdc, .usdz or
    .json takes all people of one video.
    """
    from stpose_core.frames import open_source

    say = make_progress(progress)
    say.video(str(videos[0]) if len(videos) == 1 else "")
    failures = 0
    try:
        options = chosen_options(context)
        if was_given(context, "format") and not is_folder(out):
            raise OutputError(f"--format applies to a folder; the name {out} determines its own format")
        jobs = plan_jobs(videos, out, options.person == "all", options.format, overwrite)
        looks = Looks(preview, report)
        looks.check(len(jobs), overwrite)
        written = [*(file for job in jobs for file in job.known()), *looks.files]
        check_not_input(written, [*videos, Path(options.detector)])
        # A single video is opened now, so that its errors are reported before the networks are loaded.
        only = open_source(jobs[0].video, options.picture_fps) if len(jobs) == 1 else None
        loaded = _load(options, len(videos))
        for job in jobs:
            say.video(str(job.video))
            try:
                _check(job)
                with warnings_to(say), only or open_source(job.video, options.picture_fps) as video:
                    say.result(_run(job, video, options, loaded, say, overwrite, looks))
            except StposeError as error:
                message = str(error)
            except Exception as error:
                if len(jobs) == 1 or isinstance(error, BrokenPipeError):
                    raise
                # A bug must not stop the other videos.
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                message = f"{reason} (unexpected; capture this video alone for the traceback)"
            else:
                continue
            failures += 1
            # Most errors name their file; with several videos each one must.
            where = "" if len(jobs) == 1 or str(job.video) in message else f"{job.video}: "
            say.error(f"{where}{message}")
    except StposeError as error:
        say.error(str(error))
        failures = 1
    finally:
        say.close()
    return FAILED if failures else 0


def _load(options: CaptureOptions, videos: int) -> dict[str, Any]:
    """The detector and the lifter, loaded once for all videos, as `capture_people` takes them."""
    from stpose_core import load_lifter
    from stpose_core.detect import KeypointFile
    from stpose_core.detect.runtime import FASTEST_FIRST
    from stpose_core.devices import choose_device
    from stpose_core.pipeline import open_detector

    place = choose_device(options.device)
    source = open_detector(options.detector, options.device)
    if isinstance(source, KeypointFile) and videos > 1:
        raise DetectorError(f"{options.detector} holds the keypoints of one video, but {videos} videos are given")
    if source.name == "builtin" and place == "cpu" and not any(map(find_spec, FASTEST_FIRST)):
        slow = "the built-in detector runs in torch; OpenVINO is several times as fast"
        click.echo(f"stpose: {slow}; {how_to_install('fast')}", err=True)
    return {"detector": source, "lifter": load_lifter(options.weights, device=place)}


def _check(job: Job) -> None:
    if job.problem:
        raise OutputError(job.problem)


def _run(
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
    from stpose_core.quality import advice, quality

    began = time.monotonic()
    target = _skeleton(options.skeleton)
    captures = capture_people(video, options=options, progress=say, **loaded)
    files = job.files(len(captures))
    made: list[Path] = []
    try:
        looks.write(captures, video, options, say, made)
        _make_folder(job.out.parent)
        for people, file in zip([[one] for one in captures] if len(files) == len(captures) else [captures], files):
            save(_on_skeleton(people, file, target), file, units=options.units, overwrite=overwrite, rig=options.rig)
            made.append(file)
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise
    return Result(
        video=str(job.video),
        files=[str(file) for file in [*files, *looks.files]],
        frames=len(captures[0]),
        fps=captures[0].motion.fps,
        people=len(captures),
        seen=[round(float(capture.keypoints.seen.mean()), 4) for capture in captures],
        seconds=round(time.monotonic() - began, 2),
        detector=captures[0].detector,
        advice=tuple(advice(quality(capture)) for capture in captures),
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
