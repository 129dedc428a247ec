"""The whole way from a video to captures. The only module that knows all the rooms.

    frames -> people's tracks -> Keypoints on an even time grid -> Pose3D -> Motion

Frames are decoded in a thread a few frames ahead of the detector and dropped soon after it has seen them; what stays
are tracks and poses of a few kilobytes a frame, so that memory hardly grows with the length of the video.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from stpose_core.animate import animate
from stpose_core.data import Array, Capture, Keypoints
from stpose_core.detect import KeypointFile, load_detector
from stpose_core.detect.people import PeopleTracker
from stpose_core.detect.tracks import CHOICES, Track, choose_people, track_to_keypoints
from stpose_core.errors import FormatError, NoPersonError, StposeError, VideoError
from stpose_core.lift import load_lifter
from stpose_core.lift.refine import refine as refine_pose
from stpose_core.video import VideoInfo, frame_times, probe, read_frames

if TYPE_CHECKING:
    from stpose_core.detect import Detector
    from stpose_core.lift import Lifter
    from stpose_core.lift.heatmaps import HeatMaps

Progress = Callable[[str, float, float | None], None]
Item = TypeVar("Item")

DEVICES = ("auto", "cpu", "cuda", "mps")
# Frames per second: from one frame to the next a body can go anywhere long before it is as slow as this.
SLOWEST = 1.0
# Decoded frames that wait for the detector: enough to keep it busy, 25 MB of full HD.
AHEAD = 4


def capture(
    path: str | Path,
    detector: str | Path | Detector | KeypointFile = "auto",
    person: str = "largest",
    smooth: float = 0.4,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    lifter: Lifter | None = None,
    refine: bool = True,
) -> Capture:
    """Capture one person. The options are those of `capture_people`; person may not be "all"."""
    if person == "all":
        raise ValueError("capture() gives one person; capture_people() gives all of them")
    return capture_people(path, detector, person, smooth, fps, start, end, device, progress, lifter, refine)[0]


def capture_people(
    path: str | Path,
    detector: str | Path | Detector | KeypointFile = "auto",
    person: str = "all",
    smooth: float = 0.4,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    lifter: Lifter | None = None,
    refine: bool = True,
) -> list[Capture]:
    """Capture the chosen people of a video, each over the whole range, with gaps marked where they were not seen.

    detector: a name, a keypoint file, or a detector that is loaded already.
    person: "largest", "left", "right", "center", "all", or "1", "2", ... by size over the clip.
    smooth: 0 (none) to 1 (strong). fps: frame rate of the result; the video's own by default.
    start, end: seconds from the video's first frame. device: where the networks run.
    progress: called with (stage, done, total) as the work goes on, in frames; total is None where it is not known.
    lifter: one that is loaded already; the bundled one by default.
    refine: fit the lifted joints to the 2D ones over the whole clip (see `stpose_core.lift.refine`).
    Raises StposeError: see `stpose_core.errors` for its kinds.
    """
    report = progress or _silent
    check_person(person)
    check_range(start, end)
    if not 0 <= smooth <= 1:
        raise ValueError(f"smooth must lie in 0..1, got {smooth}")
    if fps is not None and not fps >= SLOWEST:
        raise ValueError(f"fps must be {SLOWEST:g} or more, got {fps}")
    info = probe(path)
    if info.fps < SLOWEST:
        raise VideoError(f"{info.path} has {info.fps:.3g} frames per second; movement cannot be followed below {SLOWEST:g}")
    source = open_detector(detector, device)
    lifter = lifter or load_lifter(device=choose_device(device))
    largest = person in ("largest", "1")
    seen = observe(info, source, start, end, report, largest)
    chosen = choose_people(seen.tracks, person, (info.width, info.height), len(seen.times))
    if any(track.seldom for track in chosen):
        # Whoever is the largest over the whole clip was in the background for a while, and not looked at in every frame.
        before = len(seen.times)
        seen = observe(info, source, start, end, lambda stage, done, total: report(stage, before + done, before + (total or 0)))
        chosen = choose_people(seen.tracks, person, (info.width, info.height), len(seen.times))
    captures: list[Capture] = []
    total = len(chosen) * len(seen.times)
    for number, track in enumerate(chosen):
        report("lift", number * len(seen.times), total)
        keypoints = track_to_keypoints(track, seen.times, fps or info.fps, (info.width, info.height))
        with _one_thread():
            maps = _maps_of(source, lifter, track, keypoints, seen.times, info, start, end)
            pose3d = lifter(keypoints) if maps is None else lifter(keypoints, maps=maps)
            if refine:
                pose3d = refine_pose(pose3d, keypoints)
        if not pose3d.posed.any():
            raise NoPersonError(f"{info.path}: the person is seen in too few frames for a pose")
        motion = animate(pose3d, smooth)
        # The network bridges short gaps by itself: these frames have a pose, but nobody was seen in them either.
        motion = replace(motion, filled=motion.filled | ~keypoints.seen)
        captures.append(Capture(info, source.name, keypoints, pose3d, motion, float(seen.times[0])))
    report("lift", total, total)
    return captures


def _maps_of(
    source: Detector | KeypointFile,
    lifter: Lifter,
    track: Track,
    keypoints: Keypoints,
    times: Array,
    info: VideoInfo,
    start: float | None,
    end: float | None,
) -> HeatMaps | None:
    """The detector's heat maps of a person, where it has some and the lifter reads them. Most lifters do not, so they are not kept
    while people are followed: the video is gone through once more."""
    from stpose_core.detect.maps import person_maps
    from stpose_core.lift.heatmaps import HeatMaps
    from stpose_core.lift.lifter import phases

    # Where joints are interpolated between frames, maps are not read.
    if source.maps is None or not lifter.reads_maps or phases(keypoints.fps)[1] > 1:
        return None
    pictures = (frame.image for frame in read_frames(info.path, start, end))
    return HeatMaps(*person_maps(source.maps, track, keypoints, times, pictures))


@dataclass(frozen=True)
class Observed:
    """What a detector saw. times: (N,) seconds of the video's frames in the range, rising; tracks: one a person."""

    times: Array
    tracks: list[Track]


def observe(
    info: VideoInfo,
    source: Detector | KeypointFile,
    start: float | None = None,
    end: float | None = None,
    progress: Progress | None = None,
    largest: bool = False,
) -> Observed:
    """Follow everybody in the range of a video. A keypoint file is taken as it is, without decoding the video.

    largest: only the largest person is asked for, so people in the background are not looked at in every frame (`Track.seldom`).
    """
    if isinstance(source, KeypointFile):
        return _observe_file(info, source, start, end)
    report = progress or _silent
    total = _expected_frames(info, start, end)
    tracker = PeopleTracker(source, largest)
    times: list[float] = []
    report("detect", 0, total)
    for frame in decode_ahead(read_frames(info.path, start, end)):
        tracker.update(frame)
        times.append(frame.time)
        # The length that a container states is a guess: never more done than there is to do.
        report("detect", len(times), max(total, len(times)))
    if not times:
        raise VideoError(f"{info.path}: no frame in the range asked for")
    report("detect", len(times), len(times))
    return Observed(np.array(times), list(tracker.tracks))


def decode_ahead(items: Iterable[Item], size: int = AHEAD) -> Iterator[Item]:
    """The same items, made in a thread up to `size` ahead. An error of the maker is raised here, in its place."""
    waiting: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=size)
    stopped = threading.Event()

    def put(item: Item | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            try:
                waiting.put((item, error), timeout=0.2)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item, None)
                if stopped.is_set():
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None, StopIteration())
        finally:
            # A generator is ended in the thread that ran it: its decoder belongs there.
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=work, name="decode", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


def open_detector(detector: str | Path | Detector | KeypointFile, device: str = "auto") -> Detector | KeypointFile:
    """The detector itself, loaded if it is given by name or as a keypoint file. Raises DetectorError, FormatError.

    device: "cuda" asks rtmpose for it as well, which needs an onnxruntime made for it; mediapipe runs on the processor.
    """
    if not isinstance(detector, str | Path):
        return detector
    if str(detector) == "rtmpose" and device == "cuda":
        return load_detector(detector, device=device)
    return load_detector(detector)


def choose_device(name: str) -> str:
    """ "cpu", "cuda" or "mps": the fastest at hand for "auto". Raises StposeError if the named one is not there."""
    import torch

    if name not in DEVICES:
        raise StposeError(f"unknown device '{name}'; use one of {', '.join(DEVICES)}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise StposeError(f"no {name} device on this machine; use --device cpu or auto")
    return name


def check_person(person: str) -> None:
    """Raises StposeError unless it is one of the words or a number from 1."""
    if person not in CHOICES and not (person.isascii() and person.isdigit() and int(person) > 0):
        raise StposeError(f"no such choice of person: '{person}'; use a number from 1, or {', '.join(CHOICES)}")


def check_range(start: float | None, end: float | None) -> None:
    """Raises StposeError unless 0 <= start < end, each where given."""
    if (start is not None and start < 0) or (end is not None and end <= (start or 0.0)):
        raise StposeError(f"the range from {start or 0:g} s to {end if end is not None else 'the end'} s holds no time")


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch: plenty for lifting, while several wait for each other forty times as long on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _observe_file(info: VideoInfo, file: KeypointFile, start: float | None, end: float | None) -> Observed:
    if file.image_size not in (None, (info.width, info.height)):
        size = "{} x {}".format(*file.image_size)
        raise FormatError(f"{file.path} is of a video of {size} pixels, {info.path} has {info.width} x {info.height}")
    stamps = frame_times(info.path)
    first, last = (start or 0.0) - 1e-6, (np.inf if end is None else end - 1e-6)
    times = stamps[(stamps >= first) & (stamps < last)]
    if not len(times):
        raise VideoError(f"{info.path}: no frame in the range asked for")
    parts = []
    for track in file.people(info.fps, stamps):
        rows = (track.times >= first) & (track.times < last)
        if rows.any():
            frames, xy, score = track.frames[rows], track.xy[rows], track.score[rows]
            parts.append(Track.of(track.id, track.skeleton, track.times[rows], frames, xy, score))
    return Observed(times, parts)


def _expected_frames(info: VideoInfo, start: float | None, end: float | None) -> float:
    if start is None and end is None and info.frames:
        return info.frames
    last = info.duration if end is None else min(end, info.duration)
    return max(1, round((last - (start or 0.0)) * info.fps))


def _silent(stage: str, done: float, total: float | None) -> None:
    pass
