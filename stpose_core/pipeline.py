"""The complete pipeline from a video to captures. The only module that depends on all packages.

    frames -> people's tracks -> cleaned tracks -> Keypoints on a uniform time grid -> Pose3D -> Motion

A thread decodes a few frames ahead of the detector. Frames are dropped soon after detection. Tracks and poses remain, a few
kilobytes per frame, so memory hardly grows with the length of the video.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from stpose_core.animate import animate, standpoint
from stpose_core.animate.setup import fitted_to_setup
from stpose_core.background import ahead
from stpose_core.data import Array, CameraPath, Capture, Keypoints, Pose3D
from stpose_core.detect import KeypointFile, load_detector
from stpose_core.detect.boxes import extent
from stpose_core.devices import choose_device
from stpose_core.errors import FormatError, NoPersonError, VideoError
from stpose_core.frames import Frame, FrameSource, VideoInfo, open_source
from stpose_core.options import SLOWEST, CaptureOptions, known_options
from stpose_core.track.choice import choose_people
from stpose_core.track.cleaning import clean_tracks
from stpose_core.track.resample import track_to_keypoints
from stpose_core.track.track import Track
from stpose_core.track.tracker import PeopleTracker
from stpose_core.world.camera_motion import CameraMotion, can_follow
from stpose_core.world.camera_path import on_grid

if TYPE_CHECKING:
    from stpose_core.detect import Detector
    from stpose_core.detect.faces import Look as LookAtFace
    from stpose_core.detect.hands import Look
    from stpose_core.detect.types import Image
    from stpose_core.lift import Lifter
    from stpose_core.lift.heatmaps import HeatMaps

Progress = Callable[[str, float, float | None], None]
Item = TypeVar("Item")

# Stamps that imply a higher rate are wrong; filters with windows in seconds would span thousands of frames.
FASTEST = 2000.0
# Number of decoded frames in the queue of the detector; 25 MB in full HD.
AHEAD = 4
_log = logging.getLogger(__name__)
_FACE_OFTEN = 0.5  # of the frames; a face that is seen less often is worth a warning


def capture(
    path: str | Path | FrameSource,
    *,
    options: CaptureOptions | None = None,
    lifter: Lifter | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> Capture:
    """Capture one person. The parameters are those of `capture_people`; person may not be "all", and is "largest" by default."""
    if changes.get("person", options.person if options else "largest") == "all":
        raise ValueError("capture() gives one person; capture_people() gives all of them")
    return capture_people(path, options=options or CaptureOptions(), lifter=lifter, progress=progress, **changes)[0]


def capture_people(
    path: str | Path | FrameSource,
    *,
    options: CaptureOptions | None = None,
    lifter: Lifter | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> list[Capture]:
    """Capture the chosen people of a video, each over the whole range. Frames without a detection are marked as gaps.

    path: a video file, a folder of pictures, or a source of frames, which stays open.
    options: by default all people with the default options.
    changes: fields of CaptureOptions that differ from `options`, by name: `capture_people("a.mp4", smooth=0.2)`. `detector` may
    also be a loaded detector.
    lifter: a loaded lifter, used instead of `options.weights`.
    progress: called with (stage, done, total) during the work, in frames; total is None if unknown.
    Of several people, those detected in too few frames for a pose are left out, with a warning in the log "stpose_core".
    Raises subclasses of StposeError, see `stpose_core.errors`.
    """
    report = progress or _silent
    detector = changes.pop("detector", None)
    if isinstance(detector, str | Path):
        changes["detector"], detector = str(detector), None
    options = replace(options or CaptureOptions(person="all"), **known_options(changes))
    with open_source(path, options.picture_fps) if isinstance(path, str | Path) else nullcontext(path) as video:
        return _captured(video, options, detector, lifter, report)


def _captured(
    video: FrameSource, options: CaptureOptions, detector: Detector | KeypointFile | None, lifter: Lifter | None, report: Progress
) -> list[Capture]:
    info = video.info
    if info.fps < SLOWEST:
        raise VideoError(f"{info.path} has {info.fps:.3g} frames per second; movement cannot be followed below {SLOWEST:g}")
    if info.fps > FASTEST:
        raise VideoError(f"{info.path} has {info.fps:.3g} frames per second according to its time stamps; the limit is {FASTEST:g}")
    size, start, end = (info.width, info.height), options.start, options.end
    source = detector or open_detector(options.detector, options.device)
    look = _hand_network(source) if options.hands else None
    face_network = _face_network() if options.face else None
    if lifter is None:
        from stpose_core.lift import load_lifter

        lifter = load_lifter(options.weights, device=choose_device(options.device))
    camera = options.camera_of(size)
    largest = options.person in ("largest", "1")
    watch = CameraMotion(size, camera, decide=options.camera == "auto") if options.camera != "static" and can_follow(size) else None
    seen = observe(video, source, start, end, report, largest, watch)
    chosen = choose_people(seen.tracks, options.person, size, len(seen.times))
    if any(track.seldom for track in chosen):
        # The largest person of the clip was in the background for a while, and was not detected in every frame.
        before = len(seen.times)
        more: Progress = lambda stage, done, total: report(stage, before + done, before + (total or 0))  # noqa: E731
        seen = replace(observe(video, source, start, end, more), camera=seen.camera)
        chosen = choose_people(seen.tracks, options.person, size, len(seen.times))
    lifted: list[tuple[Keypoints, Pose3D, dict[str, Array] | None]] = []
    unposed: list[int] = []
    passes = 1 + (look is not None) + (face_network is not None)
    lifting = _Lifting(video, options, report, passes * len(chosen) * len(seen.times))
    for number, track in enumerate(chosen):
        lifting.reached(number * passes * len(seen.times))
        keypoints, pose3d = _lift(track, seen.times, lifting, source, lifter, look)
        lifting.done += len(seen.times)
        if pose3d.posed.any():
            curves = None
            if face_network is not None:
                who = f"person {number + 1}: " if len(chosen) > 1 else ""
                curves = _face_curves(face_network, keypoints, pose3d, seen.times, lifting, who)
            lifted.append((keypoints, pose3d, curves))
        else:
            unposed.append(number + 1)
    captures: list[Capture] = []
    origin: tuple[float, float] | None = None
    for (keypoints, _, curves), pose3d in zip(lifted, _upright_alike([pose3d for _, pose3d, _ in lifted])):
        path = _camera_at(seen, keypoints)
        pose3d = fitted_to_setup(pose3d, options, path)
        if len(lifted) > 1 and origin is None:
            origin = standpoint(pose3d, path)
        motion = animate(pose3d, options.smooth, camera=path, origin=origin, keypoints=keypoints)
        if curves is not None:
            motion = replace(motion, curves=curves)
        captures.append(Capture(info, source.name, keypoints, pose3d, motion, float(seen.times[0])))
    report("lift", lifting.total, lifting.total)
    if not captures:
        who = "the person is" if len(chosen) == 1 else f"each of the {len(chosen)} people is"
        raise NoPersonError(f"{info.path}: {who} detected in too few frames for a pose")
    if unposed:
        which = f"{len(unposed)} of {len(chosen)} people (by size: {', '.join(map(str, unposed))})"
        _log.warning("%s: left out %s, detected in too few frames for a pose", info.path, which)
    return captures


@dataclass
class _Lifting:
    """The stage after detection, which counts the frames of its passes. total: of all people and passes."""

    video: FrameSource
    options: CaptureOptions
    report: Progress
    total: int
    done: int = 0

    def reached(self, frames: int) -> None:
        """So many frames are done; the last report, of all, is left to the end of the stage."""
        self.done = frames
        if frames < self.total:
            self.report("lift", frames, self.total)

    def pictures(self) -> Generator[Image, None, None]:
        """The pictures of the clip again, decoded ahead; each is counted when it is asked for."""
        with closing(ahead(self.video.frames(self.options.start, self.options.end), AHEAD)) as frames:
            for frame in frames:
                self.reached(self.done + 1)
                yield frame.image


def _lift(
    track: Track, times: Array, lifting: _Lifting, source: Detector | KeypointFile, lifter: Lifter, look: Look | None
) -> tuple[Keypoints, Pose3D]:
    """The joints of one person at a constant rate, 2D and 3D; with hands if the options ask for them."""
    from stpose_core.lift.parts import with_parts
    from stpose_core.lift.refine import refine
    from stpose_core.lift.visibility import without_flicker
    from stpose_core.threads import one_thread

    video, options = lifting.video, lifting.options
    size = (video.info.width, video.info.height)
    camera = options.camera_of(size)
    keypoints = without_flicker(track_to_keypoints(track, times, options.fps or video.info.fps, size))
    with one_thread():
        maps = _maps_of(source, lifter, track, keypoints, times, video.frames(options.start, options.end))
        # Any function of keypoints is a lifter, so it gets no more than is known.
        known: dict[str, Any] = {"camera": camera, "maps": maps}
        pose3d = lifter(keypoints, **{name: value for name, value in known.items() if value is not None})
        if options.refine:
            pose3d = refine(pose3d, keypoints)
        if options.hands:
            if isinstance(source, KeypointFile):
                keypoints = source.with_hands(track, keypoints, times)
            elif look is not None and pose3d.posed.any():
                from stpose_core.detect.hands import find_hands

                # A second pass over the frames: only the hands of people who were chosen are looked at.
                with closing(lifting.pictures()) as pictures:
                    keypoints = find_hands(look, keypoints, pose3d, times, pictures)
        return keypoints, with_parts(pose3d, keypoints)


def _upright_alike(poses: list[Pose3D]) -> list[Pose3D]:
    """The poses of people whom one camera saw: with one direction upwards, the mean of what each of them tells, by their frames."""
    up = sum((pose.up * pose.posed.sum() for pose in poses), np.zeros(3))
    length = float(np.linalg.norm(up))
    if len(poses) < 2 or not np.isfinite(length) or length < 1e-6:
        return poses
    return [replace(pose, up=up / length) for pose in poses]


def _maps_of(
    source: Detector | KeypointFile,
    lifter: Lifter,
    track: Track,
    keypoints: Keypoints,
    times: Array,
    frames: Iterator[Frame],
) -> HeatMaps | None:
    """The detector's heat maps of a person; None if the detector has none or the lifter does not read them.

    Most lifters do not, so the maps are not kept while people are tracked; the video is read again. frames: those at `times`.
    """
    from stpose_core.lift.lifter import phases

    # Maps are not read if joints are interpolated between frames.
    if source.maps is None or not lifter.reads_maps or phases(keypoints.fps)[1] > 1:
        return None
    from stpose_core.detect.maps import person_maps
    from stpose_core.lift.heatmaps import HeatMaps

    pictures = (frame.image for frame in frames)
    return HeatMaps(*person_maps(source.maps, track, keypoints, times, pictures))


def _hand_network(source: Detector | KeypointFile) -> Look | None:
    """The network that finds the hands of people; None if the keypoint file contains them. Raises FormatError if it does not, and
    DetectorError if there is no network."""
    if isinstance(source, KeypointFile):
        source.check_hands()
        return None
    from stpose_core.detect.mediapipe_hands import MediaPipeHands

    return MediaPipeHands()


def _face_network() -> LookAtFace:
    """The network that finds landmarks of faces. Raises DetectorError if there is none."""
    from stpose_core.detect.mediapipe_face import MediaPipeFace

    return MediaPipeFace()


def _face_curves(
    look: LookAtFace, keypoints: Keypoints, pose: Pose3D, times: Array, lifting: _Lifting, who: str
) -> dict[str, Array]:
    """The curves of a person's face, from another pass over the frames. who: the person, at the beginning of a warning."""
    from stpose_core.detect.faces import find_faces
    from stpose_core.lift.face import LANDMARKS, face_curves

    with closing(lifting.pictures()) as pictures:
        points = find_faces(look, keypoints, pose, times, pictures, LANDMARKS)
    curves = face_curves(points, keypoints.fps, lifting.options.smooth)
    if len(keypoints):
        _warn_of_unseen(float(np.isfinite(list(curves.values())).any(axis=0).mean()), lifting.video.info.path, who)
    return curves


def _warn_of_unseen(share: float, path: Path, who: str) -> None:
    if share < _FACE_OFTEN:
        where = f"only in {100 * share:.0f} % of the frames" if share else "in any frame"
        seen = "a face was seen" if share else "no face was seen"
        _log.warning("%s: %s%s %s; film closer or from the front", path, who, seen, where)


@dataclass(frozen=True)
class Observed:
    """The detections in a video. times: (N,) seconds of the frames in the range, increasing. tracks: one per person, cleaned.
    camera: its path over these frames, if it was estimated."""

    times: Array
    tracks: list[Track]
    camera: CameraPath | None = None


def observe(
    video: FrameSource,
    source: Detector | KeypointFile,
    start: float | None = None,
    end: float | None = None,
    progress: Progress | None = None,
    largest: bool = False,
    watch: CameraMotion | None = None,
) -> Observed:
    """Track all people in the range of a video, and clean their tracks. With a keypoint file, the video is not decoded.

    largest: only the largest person is needed, so people in the background are not detected in every frame (`Track.seldom`).
    watch: receives every frame, with boxes around the people in it.
    """
    if isinstance(source, KeypointFile):
        times, tracks = _tracks_of_file(video, source, start, end)
        return Observed(times, tracks if source.captured else clean_tracks(tracks))
    report = progress or _silent
    total = _expected_frames(video.info, start, end)
    tracker = PeopleTracker(source, largest)
    stamps: list[float] = []
    report("detect", 0, total)
    # Closed immediately if the detector fails: the thread must end before the source is closed.
    with closing(ahead(video.frames(start, end), AHEAD)) as frames:
        for frame in frames:
            people = tracker.update(frame)
            if watch is not None:
                boxes = [extent(person.pose.xy, person.pose.score) for person in people]
                watch.update(frame.image, frame.time, [(box.x0, box.y0, box.x1, box.y1) for box in boxes])
            stamps.append(frame.time)
            # The length that a container states is an estimate; `done` must not exceed the total.
            report("detect", len(stamps), max(total, len(stamps)))
    if not stamps:
        raise VideoError(f"{video.info.path}: no frame in the range asked for")
    report("detect", len(stamps), len(stamps))
    return Observed(np.array(stamps), clean_tracks(tracker.tracks), None if watch is None else watch.path())


def _camera_at(seen: Observed, keypoints: Keypoints) -> CameraPath | None:
    """The path of the camera at the frames of the keypoints, which begin at the first of the times; None if unknown."""
    if seen.camera is None:
        return None
    return on_grid(seen.camera, seen.times, seen.times[0] + np.arange(len(keypoints)) / keypoints.fps)


def open_detector(detector: str | Path | Detector | KeypointFile, device: str = "auto") -> Detector | KeypointFile:
    """The given detector, or the one loaded by name or path for the device. Raises the errors of `load_detector`."""
    return load_detector(detector, device) if isinstance(detector, str | Path) else detector


def _tracks_of_file(video: FrameSource, file: KeypointFile, start: float | None, end: float | None) -> tuple[Array, list[Track]]:
    info = video.info
    if file.image_size not in (None, (info.width, info.height)):
        size = "{} x {}".format(*file.image_size)
        raise FormatError(f"{file.path} belongs to a video of {size} pixels, but {info.path} has {info.width} x {info.height}")
    stamps = video.times()
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
    return times, parts


def _expected_frames(info: VideoInfo, start: float | None, end: float | None) -> float:
    if start is None and end is None and info.frames:
        return info.frames
    last = info.duration if end is None else min(end, info.duration)
    return max(1, round((last - (start or 0.0)) * info.fps))


def _silent(stage: str, done: float, total: float | None) -> None:
    pass
