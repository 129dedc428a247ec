"""The state of a tracked person, and the criteria by which two detections are the same person."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.boxes import SEEN, extent
from stpose_core.detect.types import Box, Detector, Floats, Image, Pose2D
from stpose_core.skeletons import get_skeleton
from stpose_core.track.similarity import colour_similarity, joint_similarity
from stpose_core.track.track import SELDOM_SECONDS, Track
from stpose_core.track.turned import BETTER, CERTAIN, UNLIKELY, Looks, best_turned, certainty, second

HELD, SURE = 0.5, 0.9  # presence needed to keep tracking a person; presence needed to accept a new one
SAME = 0.5  # joint similarity from which two poses in one frame are the same person
RADIUS = 0.6  # share of the joints' extent: about a metre
_LONGEST_PREDICTION = 0.25  # seconds; a jump or a turn takes less than half a second
# Seconds of a track that tell its direction, and the heights of the body; the shortest that tell any; how long a path is valid.
_PATH_SECONDS, _LEVEL_SECONDS, _PATH_LEAST, _PATH_HOLDS = 0.5, 1.0, 0.15, 2.0
_MOST = 16  # detections that a path is estimated from
_GROUND_SECONDS = 0.5  # over which it is judged who stands nearer to the camera
_NEAR, _LEVEL = 0.15, 0.1  # torsos off the expected place, and height in the picture, that cost 1 at once
_APART = 0.8  # torsos between people who are clearly beside each other
_LOOSER = 0.3  # s after which they are twice as large
_UNKNOWN = 2.0  # what an unknown place counts
_VAGUE = 1.5  # what a place counts that is expected e times as loosely
_JOINTS, _RECENT = 3.0, 0.15  # what other joints count at most, and seconds after which they are unknown
_USUAL = 0.8  # similarity of colours from which a person looks as before
_FARTHEST, _COLOURS = 4.0, 6.0  # what a place or height counts at most, and what other colours count at most


@dataclass(eq=False)
class Person:
    """A person who is tracked, or was lost recently.

    pose, time: the last detection. found: time of the last search that confirmed the person. colours: of the torso.
    velocity: (2,) pixels per second. since: row of the track at which the current stretch begins. shown: size in pixels summed over
    the frames. lost: not tracked at present. behind_cut: lost because of a shot cut. clear: number of detections up to the last one
    that was clear of other people. looked: time when a lost person was last looked for near others.
    """

    pose: Pose2D
    time: float
    found: float
    track: Track
    colours: Floats | None = None
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    since: int = 0
    shown: float = 0.0
    lost: bool = False
    behind_cut: bool = False
    clear: int = 0
    looked: float = -np.inf

    def expected(self, time: float) -> tuple[Floats, Floats, float] | None:
        """Where the person was last and should be by now, as `places` gives it, and the seconds since then; None where that was too
        long ago, or the trunk was not seen."""
        end = int(np.searchsorted(self.track.times, time))
        times = self.track.times[:end]
        if not end or time - times[-1] > _PATH_HOLDS:
            return None
        rows = np.flatnonzero(times >= times[-1] - _LEVEL_SECONDS)
        known = places(self.track.xy[rows].astype(float), self.track.skeleton)
        seen = np.isfinite(known).all(axis=1)
        if not seen.any():
            return None
        rows, known, since = rows[seen], known[seen], times[rows[seen]] - times[-1]
        # While a person was not seen for long they may have moved otherwise: the present stretch counts.
        here = rows >= (self.since if rows[-1] >= self.since else 0)
        if not here.all() and since[here][0] - since[~here][-1] > _RECENT:
            known, since, here = known[here], since[here], here[here]
        late = since >= -_PATH_SECONDS
        gap = float(time - times[-1])
        place, levels = _continued(since[late], known[late, :2], here[late], gap), _continued(since, known[:, 2:], here, gap)
        return np.concatenate([place[0], levels[0]]), np.concatenate([place[1], levels[1]]), gap

    def unlike(self, pose: Pose2D, colours: Floats | None, time: float) -> float:
        """How little a pose at a time looks like this person: by its place, and the heights of shoulders, hips and feet, against
        the path so far, by its joints, and by the colours of its torso. Unknown colours count nothing, an unknown place as a
        doubtful one."""
        cost, expected = _UNKNOWN, self.expected(time)
        there = places(pose.xy[None].astype(float), self.track.skeleton)[0]
        if expected is not None and np.isfinite(there).all():
            last, now, gap = expected
            # A hidden person may have stopped: anywhere between the last place and the one where the path leads is expected.
            step = now[:2] - last[:2]
            share = np.clip((there[:2] - last[:2]) @ step / max(step @ step, 1e-9), 0, 1)
            off = np.hypot(*(there[:2] - last[:2] - share * step))
            levels = np.maximum(np.minimum(last, now) - there, there - np.maximum(last, now))[2:].clip(0)
            torso = max(there[3] - there[2], 0.2 * seen_box(pose).size, 1.0)
            loose = 1 + gap / _LOOSER
            cost = min(float(off) / (_NEAR * torso * loose), _FARTHEST) + _VAGUE * float(np.log(loose))
            cost += 0.5 * float(np.minimum(levels / (_LEVEL * torso * loose), _FARTHEST).sum())
            # From one frame to the next the joints move little; for a hidden person they are unknown.
            moved = self.moved(time)
            cost += _JOINTS * (1 - (0.5 if moved is None else similarity(pose, moved)))
        alike = colour_similarity(colours, self.colours)
        return cost if alike is None else cost + _COLOURS * max(0.0, _USUAL - alike)

    def predicted(self, time: float) -> Box:
        """The box at another time, extrapolated at constant velocity for a limited time."""
        return self.pose.box.moved(self.velocity * np.clip(time - self.time, -_LONGEST_PREDICTION, _LONGEST_PREDICTION))

    def moved(self, time: float) -> Pose2D | None:
        """The last pose, moved along the path; None where it is not known any more how the joints have moved."""
        expected = self.expected(time)
        if expected is None or expected[2] > _RECENT:
            return None
        return replace(self.pose, xy=self.pose.xy + expected[1][:2] - expected[0][:2])

    def places_to_look(self, time: float) -> list[Box]:
        """The boxes in which a hidden person may appear: where the path leads, and the last one."""
        expected, last = self.expected(time), self.pose.box
        if expected is None:
            return [last]
        step = expected[1][:2] - expected[0][:2]
        return [last.moved(step), last] if np.hypot(*step) > 0.1 * last.size else [last.moved(step)]

    def ground(self) -> float:
        """How low in the picture the person stands, pixels: the median of the lower ankle, or the lower end of the box. Of two
        people on one floor the lower one is nearer."""
        rows = self.track.times >= self.time - _GROUND_SECONDS
        if not rows.any():
            return seen_box(self.pose).y1
        ankles = get_skeleton(self.track.skeleton).index("l_ankle", "r_ankle")
        xy, score = self.track.xy[rows][:, ankles, 1].astype(float), self.track.score[rows][:, ankles]
        seen = (score >= SEEN) & np.isfinite(xy)
        low = np.where(seen, xy, -np.inf).max(1)[seen.any(1)]
        return float(np.median(low)) if len(low) else seen_box(self.pose).y1

    def moved_to(self, pose: Pose2D, time: float) -> None:
        """Add a detection that is later, or earlier if a person is tracked backwards."""
        step = (seen_box(pose).centre - seen_box(self.pose).centre) / max(abs(time - self.time), 1e-3) * np.sign(time - self.time)
        self.velocity = 0.5 * self.velocity + 0.5 * step
        self.pose, self.time = pose, time

    def can_continue_as(self, pose: Pose2D, time: float) -> bool:
        """Whether the person can have moved from the last pose to this one in the time between."""
        was, now = seen_box(self.pose), seen_box(pose)
        radius = RADIUS * max(was.size, 1e-6)
        distance = np.hypot(*(now.centre - was.centre - (self.predicted(time).centre - self.pose.box.centre)))
        passed = abs(time - self.time)
        # The noise of the pose, plus 4 m/s (8 m/s for the limbs) for a radius of a metre.
        if distance > (0.3 + 4.0 * passed) * radius or not 0.6 < now.size / max(was.size, 1e-6) < 1.67:
            return False
        moved = np.nanmean(np.linalg.norm(pose.xy - self.pose.xy, axis=1)) if np.isfinite(pose.xy).any() else 0.0
        return bool(pose.presence >= SURE or moved <= (0.2 + 8.0 * passed) * radius)


def verified(
    detector: Detector, image: Image, box: Box, *, first: Pose2D | None = None, sure: float = SURE, turning: bool = False
) -> Pose2D | None:
    """The pose of the person in a box, if two looks are confident and agree on the joints; else None.

    first: the pose in the box, if that is known. sure: presence that both must have. turning: where the joints are uncertain,
    turned views are looked at as well, and accepted with SURE presence: four views resemble a person more often than one.
    """

    def sound(looks: Looks, least: float = SURE) -> bool:
        one, other = looks
        return min(one.presence, other.presence) >= least and similarity(one, other) >= SAME and is_in_picture(other, image)

    first = first or detector.pose(image, box)
    if first.presence <= UNLIKELY or (not turning and first.presence < HELD):
        return None
    upright = second(detector, image, first)
    accepted = sound(upright, sure)
    if turning and certainty(upright) < CERTAIN:
        turned = best_turned(detector, image, box, sound)
        if turned is not None and (not accepted or certainty(turned) > certainty(upright) + BETTER):
            return turned[1]
    return upright[1] if accepted else None


def seen_box(pose: Pose2D) -> Box:
    """The box around the visible joints. The detector's next box has a margin for hidden legs, so it grows when ankles vanish."""
    return extent(pose.xy, pose.score)


def places(xy: Floats, skeleton: str) -> Floats:
    """(T, 5) pixels of joints (T, J, 2): x and y of the middle of the trunk, and y of shoulders, hips and the lower ankle."""
    at = get_skeleton(skeleton).index("l_shoulder", "r_shoulder", "l_hip", "r_hip", "l_ankle", "r_ankle")
    corners = xy[:, at]
    levels = [corners[:, :2, 1].mean(1), corners[:, 2:4, 1].mean(1), corners[:, 4:, 1].max(1)]
    return np.column_stack([corners[:, :4].mean(1), *levels])


def _continued(times: Floats, known: Floats, here: NDArray[np.bool_], gap: float) -> tuple[Floats, Floats]:
    """The values at 0 and at the time `gap` on a straight line that a few wrong values do not bend (Theil 1950, Sen 1968).

    known: (N, K) values at times (N,), the last of which is 0. here: (N,) those from which the height of the line is estimated, and
    not only its slope.
    """
    some = np.unique(np.linspace(0, len(times) - 1, _MOST).astype(int))
    times, known, here = times[some], known[some], here[some]
    first, second = np.triu_indices(len(times), 1)
    slope = np.zeros(known.shape[1])
    if times[-1] - times[0] > _PATH_LEAST:
        slope = np.median((known[second] - known[first]) / (times[second] - times[first])[:, None], axis=0)
    last = np.median((known - slope * times[:, None])[here], axis=0)
    return last, last + slope * gap


def apart(a: Pose2D, b: Pose2D, skeleton: str) -> bool:
    """Whether two people are clearly beside each other: the middles of their trunks are nearly a torso apart."""
    one, other = (places(pose.xy[None].astype(float), skeleton)[0] for pose in (a, b))
    torso = max(one[3] - one[2], other[3] - other[2], 0.2 * seen_box(a).size)
    return not np.hypot(*(one[:2] - other[:2])) < _APART * torso


def similarity(a: Pose2D, b: Pose2D | None) -> float:
    """Joint similarity of two poses in one frame, 0..1; 0 if there is no other pose."""
    return 0.0 if b is None else joint_similarity(a.xy, a.score, b.xy, b.score)


def pose_at(track: Track, frame: int, time: float) -> Pose2D | None:
    """The detection of a frame, or the nearest one if the person was not detected in every frame; None if there is none."""
    if not len(track):
        return None
    row = int(np.abs(track.times - time).argmin())
    there = track.frames[row] == frame or (track.seldom and abs(track.times[row] - time) < SELDOM_SECONDS)
    return track.pose(row) if there else None


def explains(pose: Pose2D, box: Box) -> bool:
    """Whether a found box belongs to this pose: about the same place and size."""
    seen = seen_box(pose)
    near = np.hypot(*(seen.centre - box.centre)) < 0.3 * seen.size
    return bool(near and 0.7 < box.size / max(seen.size, 1e-6) < 1.9)


def is_in_picture(pose: Pose2D, image: Image) -> bool:
    """Whether at least four of the visible joints, and a third of them, are inside the picture."""
    height, width = image.shape[:2]
    seen = (pose.score >= SEEN) & np.isfinite(pose.xy).all(axis=1)
    inside = seen & (pose.xy >= 0).all(axis=1) & (pose.xy < (width, height)).all(axis=1)
    return bool(inside.sum() >= max(4, seen.sum() / 3))
