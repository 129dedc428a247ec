"""How people are found, followed and told from furniture on real footage.

    python benchmarks/people_footage.py --videos FOLDER [--detector mediapipe] [--speed balance/cam01.mp4]

Prints the share of empty frames with a pose, what is found of each visit, the share of detections on the right person where two
people are in the picture, and what following costs beside MediaPipe's own solution. Clips that are not in the folder are skipped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.detect import KeypointFile, load_detector
from stpose_core.skeletons import get_skeleton
from stpose_core.track.choice import choose_people
from stpose_core.track.cleaning import clean_tracks
from stpose_core.track.track import Track
from stpose_core.track.tracker import PeopleTracker
from stpose_core.video import probe, read_frames

VISITS = "intel_one_by_one.mp4"  # intel-iot-devkit/sample-videos, CC BY 4.0 (Intel Corporation)
EMPTY = ((4, 55), (207, 222), (457, 497), (709, 740), (878, 916), (1211, 1229), (1371, 1388))  # first and last frame
TWO = "sports2d_demo_two_people.mp4"  # davidpagnon/Sports2D, BSD-3-Clause
# Middle of the hips in pixels (frame, x, y), read off the pictures by eye, good to about 30 pixels; they are always 350 apart.
ACROBAT = (
    (0, 645, 265), (80, 640, 265), (104, 658, 265), (120, 718, 270), (136, 770, 290), (152, 790, 290), (160, 815, 270),
    (168, 850, 245), (176, 931, 250), (184, 1020, 500), (192, 1060, 730), (200, 1130, 760), (208, 1240, 740), (216, 1370, 725),
    (229, 1620, 700),
)  # fmt: skip
WOMAN = (
    (36, 1600, 740), (48, 1510, 735), (64, 1377, 735), (80, 1224, 735), (96, 1065, 730), (112, 905, 730), (128, 740, 720),
    (144, 590, 725), (160, 426, 730), (176, 259, 735), (192, 75, 735), (206, -40, 735),
)  # fmt: skip
NEAR = 130.0  # pixels, less than a third of either person's height
ALONE = (
    "balance/cam01.mp4", "balance/cam03.mp4", "sam2_football_juggle.mp4", "tfjs_squats.mp4",
    "derived_sports2d_walk_cropped.mp4", "intel_asl_walk_upper_body.mkv",
)  # fmt: skip


def follow(path: Path, detector: Any) -> tuple[list[Track], int, tuple[int, int]]:
    """The people in a clip, its number of frames and its (width, height)."""
    tracker, count = PeopleTracker(detector), 0
    for frame in read_frames(path):
        tracker.update(frame)
        count += 1
    info = probe(path)
    return clean_tracks(tracker.tracks), count, (info.width, info.height)


def hips(track: Track) -> np.ndarray:
    """(N, 2) pixels."""
    return track.xy[:, get_skeleton(track.skeleton).index("l_hip", "r_hip")].mean(axis=1)


def share_on(track: Track, person: tuple[tuple[int, int, int], ...]) -> float:
    """The share of a track's detections that lie on the person."""
    frame, x, y = np.array(person, dtype=float).T
    place = np.column_stack([np.interp(track.frames, frame, x), np.interp(track.frames, frame, y)])
    return float((np.linalg.norm(hips(track) - place, axis=1) < NEAR).mean())


def report_visits(path: Path, detector: Any) -> None:
    tracks, count, _ = follow(path, detector)
    empty, posed = np.zeros(count, bool), np.zeros(count, bool)
    for first, last in EMPTY:
        empty[first : last + 1] = True
    for track in tracks:
        posed[track.frames] = True
    visits = [(before + 1, after) for (_, before), (after, _) in zip(EMPTY, EMPTY[1:])]
    joined = sum(sum(((track.frames >= a) & (track.frames < b)).any() for a, b in visits) > 1 for track in tracks)
    print(
        f"{path.name}: a pose on {(posed & empty).sum()} of {empty.sum()} empty frames; {len(tracks)} people, "
        f"{joined} of them in more than one visit"
    )
    ends = [*(last for _, last in EMPTY)]
    for (_, before), (after, _) in zip(EMPTY, EMPTY[1:]):
        visit = posed[before + 1 : after]
        came = f"the first {visit.argmax()} frames after they come" if visit.any() else "none"
        print(f"  visit in frames {before + 1}-{after - 1}: a pose on {visit.mean():.1%}, {came}")
    print(f"  all frames that are not empty, from {ends[0] + 1} on: {posed[ends[0] + 1 :][~empty[ends[0] + 1 :]].mean():.1%}")


def report_two(path: Path, detector: Any) -> None:
    tracks, count, size = follow(path, detector)
    for choice, name, person, other in (("left", "acrobat", ACROBAT, WOMAN), ("right", "woman", WOMAN, ACROBAT)):
        (track,) = choose_people(tracks, choice, size, count)
        there = [frame for frame in range(count) if person[0][0] <= frame <= person[-1][0]]
        print(
            f"{path.name}: {choice}: {share_on(track, person):.1%} of its {len(track)} detections on the {name}, "
            f"{share_on(track, other):.1%} on the other; a pose on {np.isin(there, track.frames).mean():.1%} "
            f"of frames {there[0]}-{there[-1]}"
        )


def report_alone(path: Path, detector: Any) -> None:
    tracks, count, _ = follow(path, detector)
    longest = max((len(track) for track in tracks), default=0)
    print(f"{path.name}: {len(tracks)} people; the longest in {longest / count:.1%} of {count} frames")


def report_speed(path: Path, detector: Any, rounds: int = 5) -> None:
    """Rates side by side, as other work on the machine changes both; CPU time is the steadier measure."""
    import mediapipe

    images = list(read_frames(path))

    def plain() -> None:
        with mediapipe.solutions.pose.Pose() as pose:
            for frame in images:
                pose.process(frame.image)

    def ours() -> None:
        tracker = PeopleTracker(detector)
        for frame in images:
            tracker.update(frame)

    def seconds(run: Callable[[], None]) -> np.ndarray:
        start = time.perf_counter(), time.process_time()
        run()
        return np.array([time.perf_counter() - start[0], time.process_time() - start[1]])

    pairs = np.array([(seconds(plain), seconds(ours)) for _ in range(rounds)])
    rates = len(images) / np.median(pairs, axis=0)
    ratio = np.median(pairs[:, 0] / pairs[:, 1], axis=0)
    print(
        f"{path.name}: {rates[1, 0]:.0f} frames/s beside {rates[0, 0]:.0f} of MediaPipe's solution: "
        f"{ratio[0]:.2f} (CPU time {ratio[1]:.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--videos", type=Path, required=True, help="the folder with the clips")
    parser.add_argument("--detector", default="mediapipe")
    parser.add_argument("--speed", default="balance/cam01.mp4", help="the clip for the comparison of speed; empty for none")
    options = parser.parse_args()
    detector = load_detector(options.detector)
    if isinstance(detector, KeypointFile):
        parser.error("needs a detector, not a file of keypoints")
    for name, report in ((VISITS, report_visits), (TWO, report_two), *((name, report_alone) for name in ALONE)):
        path = options.videos / name
        if path.is_file():
            report(path, detector)
        else:
            print(f"{path}: not there, skipped")
    if options.speed and options.detector == "mediapipe":
        report_speed(options.videos / options.speed, detector)


if __name__ == "__main__":
    main()
