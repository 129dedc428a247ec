"""`stpose mocap`: videos in, motion files out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from stpose_cli.batch import Batch, Pool, ThisProcess
from stpose_cli.capture_options import Number, capture_options, chosen_options, was_given
from stpose_cli.commands import ANY, NAME
from stpose_cli.inputs import find_videos, not_a_video
from stpose_cli.looks import Looks, look_options
from stpose_cli.outputs import Job, check_not_input, is_folder, plan_jobs
from stpose_cli.progress import Progress, make_progress, warnings_to
from stpose_cli.reports import make_reports
from stpose_cli.task import load, run
from stpose_core.errors import FormatError, OptionError, OutputError, StposeError
from stpose_core.files import remove_partials
from stpose_core.formats import FORMATS
from stpose_core.options import CaptureOptions
from stpose_core.watchdog import watching

FAILED = 2
SUFFIXES = ", ".join(entry.suffix for entry in FORMATS)


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...", type=ANY)
@click.option("-o", "--out", required=True, metavar="OUT", type=NAME, help=f"A file ({SUFFIXES}), or a folder.")
@capture_options
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--jobs", metavar="N", type=click.IntRange(1, 1024), help="Capture N videos at a time, in processes of their own.")
@click.option("--ray", metavar="ADDRESS", help="Capture the videos on this Ray cluster: host:port, auto, or local.")
@click.option(
    "--chunks",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="Divide each video into N pieces for --jobs or --ray; by default where there are fewer videos than workers.",
)
@click.option(
    "--decode-timeout",
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    type=Number(1, 1e6),
    help="A decoder that takes longer for one packet is ended.",
)
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
    jobs: int | None,
    ray: str | None,
    decode_timeout: float,
    progress: str,
    **_: object,
) -> int:
    """Capture the motion of people in videos.

    VIDEO is a video file, an animated .gif or .webp, a folder of numbered pictures (.png, .jpg), or - for standard input. A folder
    of videos, a pattern such as 'takes/*.mp4', or @LIST, a text file with one of these a line, stands for many videos.
    OUT is a file for one person of one video. For several videos, or --person all, it is a folder; a .glb, .usda, .usdc, .usdz or
    .json takes all people of one video. Several videos are a batch: OUT/manifest.jsonl lists their results, and a video whose
    results are there is skipped.
    """
    say = make_progress(progress, str(videos[0]) if len(videos) == 1 else "")
    try:
        options = chosen_options(context)
        if was_given(context, "format") and not is_folder(out):
            raise OutputError(f"--format applies to a folder; the name {out} determines its own format")
        chunks: int | None = context.params["chunks"]
        if chunks is not None and jobs is None and ray is None:
            raise OptionError("--chunks needs --jobs or --ray, whose workers take the pieces")
        found, several = find_videos(videos, out)
        workers = "--jobs" if jobs is not None else "--ray" if ray is not None else None
        batch_of = "many videos" if several or len(videos) > 1 else workers
        many = batch_of is not None
        for name in (options.weights, options.skeleton) if many and ray is None else ():
            if name is not None and not os.path.exists(name):
                raise FormatError(f"there is no file {name}")
        planned = plan_jobs(found, out, options.person == "all", options.format, overwrite, batch_of)
        planned = [replace(job, problem=not_a_video(job.video) or job.problem) for job in planned]
        looks = Looks(context.params["preview"], context.params["report"])
        looks.check(many, overwrite)
        written = [*(file for job in planned for file in job.known()), *looks.files]
        check_not_input(written, [*found, Path(options.detector)])
        if not many:
            with _ended_if_hung(decode_timeout, say, written):
                return _one(planned[0], options, overwrite, looks, say)
        reports = make_reports(progress, len(planned))
        try:
            batch = Batch(planned, options, overwrite, Path(out), reports, chunks)
            if jobs is not None or ray is not None:
                return batch.run(lambda: _pool(jobs, ray, decode_timeout))
            with _ended_if_hung(decode_timeout, say, written):
                return batch.run(ThisProcess)
        finally:
            reports.close()
    except StposeError as error:
        say.error(str(error))
    finally:
        say.close()
    return FAILED


def _one(job: Job, options: CaptureOptions, overwrite: bool, looks: Looks, say: Progress) -> int:
    """Capture a single video. Raises StposeError; any other exception is a bug."""
    from stpose_core.frames import open_source

    if job.problem:
        raise OutputError(job.problem)
    # Opened first, so that its errors are reported before the networks are loaded.
    with open_source(job.video, options.picture_fps) as video, warnings_to(say):
        say.result(run(job, video, options, load(options, False, say), say, overwrite, looks))
    return 0


def _pool(jobs: int | None, ray: str | None, hang: float) -> Pool:
    if ray is None:
        from stpose_cli.processes import Processes

        return Processes(jobs or 1, hang)
    from stpose_cli.ray_pool import RayPool

    return RayPool(ray, jobs, hang)


@contextmanager
def _ended_if_hung(seconds: float, say: Progress, outputs: list[Path]) -> Iterator[None]:
    """Within the block, end this process with one line of error if a decoder hangs."""

    def hung(path: Path) -> None:
        say.error(f"{path}: the decoder hangs; it was ended after {seconds:g} s")
        for file in outputs:
            remove_partials(file, every=True)
        os._exit(FAILED)

    with watching(seconds, hung):
        yield
