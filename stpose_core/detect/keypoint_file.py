"""Joints from other programs: OpenPose's folder of JSON files, COCO results in one JSON file, and the .npz of stpose.

OpenPose: one file per frame, `people[].pose_keypoints_2d` as x, y, confidence of BODY_25, COCO-18 or 17 joints
(CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md). COCO results: a list of {image_id, category_id, keypoints, score}
(cocodataset.org, "Results format"); image_id is the frame's number from 0. Files are untrusted: sizes and types are checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from stpose_core.arrays import read_arrays
from stpose_core.data import Keypoints
from stpose_core.detect.boxes import extent
from stpose_core.detect.types import Floats
from stpose_core.errors import FormatError
from stpose_core.reading import one_line, read_bytes
from stpose_core.skeletons import H36M17, HAND21, convert
from stpose_core.track.linker import link_people
from stpose_core.track.track import Track

DEFAULT_FPS = 30.0
MOST_BYTES, MOST_FRAMES, MOST_PEOPLE, MOST_PIXELS = 100_000_000, 2_000_000, 100, 1e6
# Limits of frame rates and start times (seconds), within which the times of frames are distinct.
RATES, LATEST = (1e-3, 1e5), 1e7
_NUMBER = re.compile(r"\d+")
# COCO-18 of OpenPose (neck as joint 1, right side first) -> COCO-17: which of the 18 each of the 17 joints is.
_COCO17_OF_18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
_SKELETONS = {25: "openpose25", 26: "halpe26", 18: "coco17", 17: "coco17"}
_PERSON = 1  # COCO's category

# COCO-WholeBody: 17 joints of the body, 6 of the feet, 68 of the face, then the hands.
_WHOLE_BODY, _WHOLE_HANDS = 133, (slice(91, 112), slice(112, 133))
_AT_THE_WRIST = 0.08  # of the person's extent: how far the wrist of a hand may be from that of the body

Detection = tuple[Floats, Floats]  # xy (J, 2), score (J,)
Hands = dict[int, list[Detection]]  # hands ("hand21") by frame


class KeypointFile:
    """People from a file or folder, used instead of a detector.

    path: a folder of OpenPose JSON files, a COCO results .json file, or an .npz of `Keypoints`.
    fps, image_size: of the video it belongs to. An .npz contains its own, and start, the seconds from the video's first frame to
    its own first frame. captured: whether it is a complete capture, whose keypoints were already cleaned. Raises FormatError that
    states the problem and its place.
    """

    name = "keypoints"
    maps = None  # like a detector without heat maps

    def __init__(self, path: str | Path, fps: float | None = None, image_size: tuple[int, int] | None = None) -> None:
        self.path = Path(path)
        self.fps, self.image_size = fps, image_size
        self.start, self.captured = 0.0, False
        self._keypoints: Keypoints | None = None
        self._frames: list[tuple[int, list[Detection]]] = []
        self._hands: Hands = {}
        if self.path.is_dir():
            frames = dict(_openpose_folder(self.path, self._hands))
        elif self.path.suffix.lower() == ".json":
            frames = _coco_results(self.path, self._hands)
        elif self.path.suffix.lower() == ".npz":
            self._keypoints, self.start, self.captured = _own(self.path)
            self.fps, self.image_size = self._keypoints.fps, self._keypoints.image_size
            self.skeleton = self._keypoints.skeleton
            return
        else:
            raise FormatError(f"{self.path}: not a keypoint file; expected a folder of OpenPose JSON, a .json or a .npz")
        sizes = {len(score) for detections in frames.values() for _, score in detections}
        if len(sizes) > 1:
            raise FormatError(f"{self.path}: people have different numbers of joints ({', '.join(map(str, sorted(sizes)))})")
        self.skeleton = _SKELETONS[sizes.pop()] if sizes else "coco17"
        self._frames = sorted(frames.items())

    def people(self, fps: float | None = None, frame_times: Floats | None = None) -> list[Track]:
        """All people in the file, linked over its frames.

        fps: of the video, if the file does not contain it (default 30). frame_times: (N,) seconds, increasing, the times of the
        video's frames, to which the frame numbers of a file refer; evenly spaced by fps if not given. An .npz has a uniform grid.
        """
        fps = self.fps or fps or DEFAULT_FPS
        if self._keypoints is None:
            tracks = link_people(self._frames, fps, self.skeleton)
            return tracks if frame_times is None or not len(frame_times) else [_timed(track, frame_times, fps) for track in tracks]
        seen = np.flatnonzero(self._keypoints.seen)
        times = self.start + seen / fps
        return [Track.of(1, self.skeleton, times, seen, self._keypoints.xy[seen], self._keypoints.score[seen])] if len(seen) else []

    def check_hands(self) -> None:
        """Raises FormatError if the file has no joints of hands."""
        if not any(self._hands.values()) and not (self._keypoints is not None and self._keypoints.parts):
            raise FormatError(f"{self.path} has no joints of hands; capture without --hands, or give a file with hands")

    def with_hands(self, track: Track, keypoints: Keypoints, times: Floats) -> Keypoints:
        """The keypoints with the parts "l_hand" and "r_hand" that the file has.

        track: the person that they are made of; times: seconds of the frames, the first of which is that of the keypoints.
        Raises FormatError if the file has no hands.
        """
        grid = times[0] + np.arange(len(keypoints)) / keypoints.fps
        if self._keypoints is not None and self._keypoints.parts:
            return replace(
                keypoints, parts={name: self._part(part, grid, keypoints) for name, part in self._keypoints.parts.items()}
            )
        self.check_hands()
        points = convert(keypoints) if keypoints.skeleton != H36M17.name else keypoints
        wrists = points.xy[:, H36M17.index("l_wrist", "r_wrist")]
        xy, score = np.full((2, len(grid), 21, 2), np.nan), np.zeros((2, len(grid), 21))
        row = np.abs(track.times[:, None] - grid).argmin(axis=0) if len(track) else np.empty(0, np.int64)
        for at in np.flatnonzero(np.abs(track.times[row] - grid) < 0.5 / keypoints.fps):
            there = self._hands.get(int(track.frames[row[at]]), [])
            if not there or not np.isfinite(wrists[at]).all():
                continue
            size = extent(points.xy[at], points.score[at]).size
            # By the place of the wrists: sides may have been exchanged since the file was read.
            apart = np.linalg.norm(wrists[at][:, None] - np.stack([hand[0][0] for hand in there]), axis=-1) / max(size, 1e-6)
            apart = np.nan_to_num(apart, nan=1e3)
            for side, hand in zip(*linear_sum_assignment(apart)):
                if apart[side, hand] < _AT_THE_WRIST:
                    xy[side, at], score[side, at] = there[hand]
        make = lambda side: Keypoints(xy[side], score[side], keypoints.fps, keypoints.image_size, HAND21.name)  # noqa: E731
        return replace(keypoints, parts={"l_hand": make(0), "r_hand": make(1)})

    def _part(self, part: Keypoints, grid: Floats, keypoints: Keypoints) -> Keypoints:
        """A part of the file's own keypoints at other times: that of the nearest frame, nothing beyond the first and the last."""
        row = np.rint((grid - self.start) * part.fps).astype(int)
        there = (row >= 0) & (row < len(part))
        row = np.clip(row, 0, len(part) - 1)
        lifted = None if part.lifted is None else np.where(there[:, None, None], part.lifted[row], np.nan)
        score = np.where(there[:, None], part.score[row], 0.0)
        return Keypoints(part.xy[row], score, keypoints.fps, keypoints.image_size, part.skeleton, lifted=lifted)


def _timed(track: Track, frame_times: Floats, fps: float) -> Track:
    """The track with each detection at the time of its frame; frames after the last known one follow at `fps`."""
    last = len(frame_times) - 1
    times = frame_times[np.minimum(track.frames, last)] + np.maximum(track.frames - last, 0) / fps
    return Track.of(track.id, track.skeleton, times, track.frames, track.xy, track.score)


def _read_json(path: Path) -> Any:
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise FormatError(f"{path}: larger than {MOST_BYTES // 1_000_000} MB, the limit of a keypoint file")
    try:
        return json.loads(read_bytes(path))
    except RecursionError:
        raise FormatError(f"{path}: not a readable JSON file (nested too deeply)") from None
    except ValueError as error:
        raise FormatError(f"{path}: not a readable JSON file ({one_line(error)})") from error


def _openpose_folder(folder: Path, hands: Hands) -> Iterator[tuple[int, list[Detection]]]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json" and path.is_file())
    if not paths:
        raise FormatError(f"{folder}: contains no .json file")
    if len(paths) > MOST_FRAMES:
        raise FormatError(f"{folder}: contains more than {MOST_FRAMES} files")
    numbers = [_NUMBER.findall(path.stem) for path in paths]
    # "walk_000000000012_keypoints.json": the last number is that of the frame; without numbers, the order of the names counts.
    order = [int(found[-1]) if found else -1 for found in numbers]
    if min(order) < 0 or max(order) >= MOST_FRAMES or len(set(order)) < len(order):
        order = list(range(len(paths)))
    for number, path in zip(order, paths):
        content = _read_json(path)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list) or len(people) > MOST_PEOPLE:
            raise FormatError(f'{path}: not OpenPose output; expected a list "people" of at most {MOST_PEOPLE}')
        detections = []
        for index, person in enumerate(people):
            where = f"{path}: people[{index}]"
            if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
                raise FormatError(f"{where} has no pose_keypoints_2d")
            if person["pose_keypoints_2d"]:  # OpenPose writes an empty list for a person with only hands or a face
                detections.append(_detection(person["pose_keypoints_2d"], where, (25, 18, 17)))
            found = [person.get(f"hand_{side}_keypoints_2d") for side in ("left", "right")]
            hands.setdefault(number, []).extend(_detection(values, where, (21,)) for values in found if values)
        yield number, [detection for detection in detections if (detection[1] > 0).any()]


def _coco_results(path: Path, hands: Hands) -> dict[int, list[Detection]]:
    content = _read_json(path)
    if not isinstance(content, list):
        raise FormatError(f"{path}: not COCO results; expected a list of {{image_id, keypoints, score}}")
    frames: dict[int, list[Detection]] = {}
    for index, entry in enumerate(content):
        where = f"{path}: entry {index}"
        if not isinstance(entry, dict) or "image_id" not in entry or "keypoints" not in entry:
            raise FormatError(f"{where} has no image_id or no keypoints")
        if entry.get("category_id", _PERSON) != _PERSON:
            continue
        detections = frames.setdefault(_frame_number(entry["image_id"], where), [])
        xy, score = _detection(entry["keypoints"], where, (17, 26, _WHOLE_BODY))
        if len(score) == _WHOLE_BODY:
            hands.setdefault(_frame_number(entry["image_id"], where), []).extend((xy[part], score[part]) for part in _WHOLE_HANDS)
            xy, score = xy[:17], score[:17]
        detections.append((xy, score))
        if len(detections) > MOST_PEOPLE:
            raise FormatError(f"{where}: more than {MOST_PEOPLE} people in one frame")
    return frames


def _frame_number(image_id: object, where: str) -> int:
    # Some programs write the name of the picture ("000012.jpg") instead of its number.
    found = _NUMBER.findall(image_id.rsplit(".", 1)[0]) if isinstance(image_id, str) else None
    number = int(found[-1][-12:]) if found else image_id
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < MOST_FRAMES:
        raise FormatError(f"{where}: image_id {str(image_id)[:40]!r} is not a frame number from 0 to {MOST_FRAMES - 1}")
    return number


def _detection(values: object, where: str, counts: tuple[int, ...]) -> Detection:
    """x, y, confidence in a row; confidence 0 marks a joint that was not detected."""
    expected = " or ".join(str(3 * count) for count in counts)
    if not isinstance(values, list) or len(values) not in {3 * count for count in counts}:
        length = len(values) if isinstance(values, list) else type(values).__name__
        raise FormatError(f"{where}: keypoints are {length}, expected {expected} numbers")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST_PIXELS for value in values):
        raise FormatError(f"{where}: keypoints contain a value that is not a number within +-{MOST_PIXELS:.0f}")
    rows = np.array(values, dtype=float).reshape(-1, 3)
    if len(rows) == 18:
        rows = rows[list(_COCO17_OF_18)]
    xy, score = rows[:, :2], np.clip(rows[:, 2], 0.0, 1.0)
    xy[score == 0] = np.nan
    return xy, score


def load_keypoints(path: str | Path) -> Keypoints:
    """The keypoints in an .npz of stpose, of a complete capture or alone. Raises FormatError that states the problem."""
    return _own(Path(path))[0]


def _own_hand(content: dict[str, Any], names: dict[str, str], part: str, fps: float, size: tuple[int, int]) -> Keypoints:
    """A hand in our own .npz. Raises ValueError if something is missing or has another shape."""
    keys = {name: names[f"parts.{part}.{name}"] for name in ("xy", "score", "lifted") if f"parts.{part}.{name}" in names}
    if "score" not in keys:
        raise ValueError(f"{part} has no score")
    values = {name: np.asarray(content[key], dtype=np.float64) for name, key in keys.items()}
    xy, score, lifted = values["xy"], values["score"], values.get("lifted")
    if (np.abs(xy) > MOST_PIXELS).any() or (lifted is not None and (np.abs(lifted) > 10).any()):
        raise ValueError(f"{part} has joints that are far outside of everything")
    return Keypoints(xy, score, fps, size, HAND21.name, lifted=lifted)


def _own(path: Path) -> tuple[Keypoints, float, bool]:
    """The .npz of stpose: xy, score, fps, image_size, skeleton; in the .npz of a complete capture the names start with "keypoints".

    The second value is the time of its first frame in the video, seconds: "start" of a capture, 0 if the file has none. The third
    is whether the file is a complete capture.
    """
    content = read_arrays(path)
    names = {re.sub(r"^keypoints[^a-z0-9]", "", key): key for key in content if not key.startswith(("pose3d", "motion"))}
    missing = [name for name in ("xy", "score", "fps", "image_size", "skeleton") if name not in names]
    if missing:
        raise FormatError(f"{path}: not an .npz of keypoints; {', '.join(missing)} missing")
    try:
        xy, score = (np.asarray(content[names[name]], dtype=float) for name in ("xy", "score"))
        fps, (width, height) = float(content[names["fps"]]), content[names["image_size"]].tolist()
        skeleton, start = str(content[names["skeleton"]]), float(content.get("start", np.array(0.0)))
        if len(xy) > MOST_FRAMES:
            raise FormatError(f"{path}: more than {MOST_FRAMES} frames")
        if (np.abs(xy) > MOST_PIXELS).any():
            raise FormatError(f"{path}: joints lie outside +-{MOST_PIXELS:.0f} pixels")
        if not RATES[0] <= fps <= RATES[1]:
            raise FormatError(f"{path}: {fps:g} is not a frame rate of a video")
        if not 0 <= start <= LATEST:
            raise FormatError(f"{path}: starts at {start} s, which is not a time in a video")
        size = (int(width), int(height))
        parts = {name: _own_hand(content, names, name, fps, size) for name in ("l_hand", "r_hand") if f"parts.{name}.xy" in names}
        return Keypoints(xy, score, fps, size, skeleton, parts), start, "motion.rotations" in content
    except (ValueError, TypeError, ArithmeticError, MemoryError) as error:
        raise FormatError(f"{path}: not a readable .npz of keypoints ({one_line(error)})") from error
