"""People over time: found by searches, followed from frame to frame, kept apart where they cross.

A person is searched for in the whole picture now and then, and followed in between from where they were: one pose a person and
frame. Whoever a search finds is followed backwards as well, through the frames since the last search, so nothing is missed.
A person counts only when search, pose and time agree; a stretch at whose end the pose faded is cut back to where it was sure.
Where only the largest person is asked for, people in the background are looked at in every third frame or so.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stpose_core.detect.likeness import (
    SEEN,
    colour_likeness,
    extent,
    is_cut,
    joint_likeness,
    thumbnail,
    torso_colours,
)
from stpose_core.detect.refused import REFUSED, RefusedPlaces
from stpose_core.detect.tracks import SELDOM_FRAMES, Track
from stpose_core.detect.types import Box, Detector, Floats, Image, Pose2D

if TYPE_CHECKING:
    from stpose_core.video import Frame

# Seconds between two searches of the whole picture: while somebody is followed; while nobody is; just after somebody was lost.
# At most so many frames: a search costs as much as four poses.
SEARCH_CALM, SEARCH_EMPTY, SEARCH_LOST, SEARCH_FRAMES = 1.0, 0.5, 0.2, 45
BUFFER_BYTES = 200_000_000  # frames kept for following backwards; with 4K pictures searches come more often instead
HELD, SURE = 0.5, 0.9  # presence to go on following somebody; presence to believe in somebody new
MERGING = 0.3  # where two become one pose, the hidden one is cut back to where their joints were less alike than this
SAME = 0.5  # joint likeness from which two poses in one frame are the same person
LOST_SECONDS = 2.0  # a person who was lost is taken up again within this time
LIVED_SECONDS, LIVED_FRAMES = 0.3, 3  # somebody seen for less at a stretch is a flicker
_RADIUS = 0.6  # of the joints' extent: about a metre
BACKGROUND = 0.67  # of the largest person's size, now and summed over time: whoever has less is in the background
SELDOM_SECONDS = 0.095  # whoever is there is looked at again after SELDOM_FRAMES or so long, whichever comes first
UNCONFIRMED_SECONDS = 3.0  # followed for longer than this without a search finding anybody there: not a person


@dataclass(frozen=True)
class Observation:
    """One person in one frame."""

    person: int
    pose: Pose2D


@dataclass(eq=False)
class _Person:
    pose: Pose2D
    time: float
    found: float  # time at which a search last found this person
    track: Track
    colours: Floats | None = None
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    since: int = 0  # row of the track at which the present stretch begins
    shown: float = 0.0  # size summed over the frames, pixels
    lost: bool = False
    behind_cut: bool = False  # lost because the scene changed

    def predicted(self, time: float) -> Box:
        # Constant velocity, but not for long: a jump or a turn comes sooner than half a second.
        return self.pose.box.moved(self.velocity * np.clip(time - self.time, -0.25, 0.25))

    def saw(self, pose: Pose2D, time: float) -> None:
        step = (_seen(pose).centre - _seen(self.pose).centre) / max(abs(time - self.time), 1e-3) * np.sign(time - self.time)
        self.velocity = 0.5 * self.velocity + 0.5 * step
        self.pose, self.time = pose, time


class PeopleTracker:
    """Follows everybody through a video. detector: any `Detector`. largest: only the largest person is asked for, so people in the
    background are not looked at in every frame; their tracks say so (`Track.seldom`)."""

    def __init__(self, detector: Detector, largest: bool = False) -> None:
        self._detector, self._largest = detector, largest
        self._people: list[_Person] = []
        self._ended: list[Track] = []
        self._buffer: deque[Frame] = deque()
        self._thumbnail: Floats | None = None
        self._refused = RefusedPlaces()
        self._searched: tuple[float, int] | None = None  # time and number of the frame
        self._first, self._last, self._frames, self._ids = 0.0, 0.0, 0, 0

    @property
    def tracks(self) -> list[Track]:
        """Everybody who was there long enough to be believed, by the time they came, as they were seen (see `clean_tracks`)."""
        seconds, frames = min(LIVED_SECONDS, 0.5 * (self._last - self._first)), max(1, min(LIVED_FRAMES, self._frames))
        tracks = self._ended + [person.track for person in self._people]
        lived = [t for t in tracks if len(t) >= frames and t.times[-1] - t.times[0] >= seconds]
        return sorted(lived, key=lambda track: float(track.times[0]))

    def update(self, frame: Frame) -> list[Observation]:
        """Take the next frame; give who is seen in it. Somebody new may still turn out to be nobody: `tracks` is the last word."""
        if not self._frames:
            self._first = frame.time
        self._last, self._frames = frame.time, self._frames + 1
        self._notice_cut(frame)
        for person in self._followed():
            person.shown += _seen(person.pose).size
            if self._can_wait(person, frame):
                person.track.seldom = True
            else:
                self._follow(person, frame)
        self._part(frame)
        if self._search_is_due(frame):
            # Those who were left out are looked at after all: a search has to know where everybody is.
            for person in [p for p in self._followed() if p.time < frame.time]:
                self._follow(person, frame)
            self._search(frame)
        for person in [p for p in self._people if p.lost and frame.time - p.time > LOST_SECONDS]:
            self._people.remove(person)
            self._ended.append(person.track)
        self._remember(frame)
        return [Observation(person.track.id, person.pose) for person in self._followed() if person.time == frame.time]

    def _can_wait(self, person: _Person, frame: Frame) -> bool:
        """Whether somebody in the background need not be looked at in this frame."""
        if (
            not self._largest
            or frame.index - person.track.frames[-1] >= SELDOM_FRAMES
            or frame.time - person.time >= SELDOM_SECONDS
        ):
            return False
        size = _seen(person.pose).size
        return any(
            size < BACKGROUND * _seen(other.pose).size and person.shown < BACKGROUND * other.shown for other in self._followed()
        )

    def _followed(self) -> list[_Person]:
        return [person for person in self._people if not person.lost]

    def _notice_cut(self, frame: Frame) -> None:
        small = thumbnail(frame.image)
        if self._thumbnail is not None and is_cut(self._thumbnail, small):
            for person in self._followed():
                person.behind_cut = True
                self._lose(person)
            self._buffer.clear()
            self._refused.clear()
            self._searched = None
        self._thumbnail = small

    def _follow(self, person: _Person, frame: Frame) -> None:
        pose = self._next_pose(person, frame)
        if pose is None:
            self._lose(person)
            self._searched = None  # look for them at once
            return
        person.saw(pose, frame.time)
        person.track.add(frame.time, frame.index, pose)
        alone = all(
            np.hypot(*(pose.box.centre - other.pose.box.centre)) > 0.5 * pose.box.size
            for other in self._people
            if other is not person
        )
        if alone or person.colours is None:
            colours = torso_colours(frame.image, pose.xy, pose.score, self._detector.skeleton)
            if colours is not None:
                person.colours = colours if person.colours is None else 0.9 * person.colours + 0.1 * colours

    def _next_pose(self, person: _Person, frame: Frame) -> Pose2D | None:
        """Where the person is in the next (or previous) frame; None if they cannot be told there."""
        expected = person.predicted(frame.time)
        for box in (expected, person.pose.box, expected.moved(np.zeros(2), 1.3)):
            pose = self._detector.pose(frame.image, box)
            if pose.presence >= HELD and _in_picture(pose, frame.image) and _continues(person, pose, frame.time):
                return pose
        return None

    def _lose(self, person: _Person) -> None:
        # As somebody leaves, the pose drifts off them before its presence falls: the last sure sight is where they were.
        track = person.track
        sure = np.flatnonzero(track.presence >= SURE)
        track.cut(int(sure[-1]) + 1 if len(sure) else 0)
        # Furniture looks like a person now and then, but never for long; with a cut of the scene a stretch may just be short.
        stretch = track.times[person.since :]
        if not person.behind_cut and (len(stretch) < LIVED_FRAMES or stretch[-1] - stretch[0] < LIVED_SECONDS):
            track.cut(person.since)
        person.lost = True
        if len(track):
            person.pose, person.time = track.pose(-1), float(track.times[-1])
        else:
            self._people.remove(person)

    def _part(self, frame: Frame) -> None:
        """Where two followed people have become one pose, one of them is hidden: the one who looks less like it."""
        for person in self._followed():
            for other in self._followed():
                if person.track.id >= other.track.id or person.lost or other.lost:
                    continue
                if _alike(person.pose, other.pose) < SAME:
                    continue
                hidden = self._less_like(person, other, frame)
                keeper = other if hidden is person else person
                rows = len(hidden.track)
                while rows and _alike(hidden.track.pose(rows - 1), _pose_at(keeper.track, hidden.track.frames[rows - 1])) > MERGING:
                    rows -= 1
                hidden.track.cut(rows)
                self._lose(hidden)

    def _less_like(self, a: _Person, b: _Person, frame: Frame) -> _Person:
        now = torso_colours(frame.image, a.pose.xy, a.pose.score, self._detector.skeleton)
        like_a, like_b = colour_likeness(now, a.colours), colour_likeness(now, b.colours)
        if like_a is not None and like_b is not None and abs(like_a - like_b) > 0.05:
            return a if like_a < like_b else b
        return a if len(a.track) < len(b.track) else b

    def _search_is_due(self, frame: Frame) -> bool:
        if self._searched is None:
            return True
        time, number = self._searched
        every = SEARCH_CALM if self._followed() else SEARCH_EMPTY
        if any(person.lost and frame.time - person.time < 1.0 for person in self._people):
            every = SEARCH_LOST
        return frame.time - time >= every - 1e-6 or self._frames - number >= SEARCH_FRAMES

    def _search(self, frame: Frame) -> None:
        self._searched = frame.time, self._frames
        for box in self._detector.find(frame.image):
            known = [p for p in self._followed() if _explains(p.pose, box)]
            if not known and not self._refused.holds(frame.image, box, frame.time):
                first = self._detector.pose(frame.image, box)
                if first.presence < REFUSED:
                    self._refused.add(frame.image, box, frame.time)
                pose = verified(self._detector, frame.image, first)
                if pose is None:
                    continue
                known = [p for p in self._followed() if _alike(p.pose, pose) >= SAME]
                if not known:
                    self._take_up(pose, frame)
            for person in known:
                person.found = frame.time
        for person in self._followed():
            if frame.time - person.found > UNCONFIRMED_SECONDS:
                person.track.cut(int(np.searchsorted(person.track.times, person.found, side="right")))
                self._lose(person)

    def _take_up(self, pose: Pose2D, frame: Frame) -> None:
        """Follow somebody back to where they came from, and tell whether that is somebody who was lost."""
        new = _Person(pose, frame.time, frame.time, Track(0, self._detector.skeleton))
        new.colours = torso_colours(frame.image, pose.xy, pose.score, self._detector.skeleton)
        sights = [(frame.time, frame.index, pose)]
        for past in reversed(self._buffer):
            earlier = self._next_pose(new, past)
            taken = [p for p in self._people if _alike(earlier, _pose_at(p.track, past.index)) >= SAME] if earlier else []
            if earlier is None or taken:
                break
            new.saw(earlier, past.time)
            sights.append((past.time, past.index, earlier))
        while len(sights) > 1 and sights[-1][2].presence < SURE:
            sights.pop()
        sights.reverse()
        person = self._lost_one(sights, new.colours)
        if person is None:
            self._ids += 1
            person = _Person(pose, frame.time, frame.time, Track(self._ids, self._detector.skeleton))
            self._people.append(person)
        person.since = len(person.track)
        for time, index, sight in sights:
            if not len(person.track) or time > person.track.times[-1]:
                person.track.add(time, index, sight)
        person.pose, person.time, person.found, person.velocity = pose, frame.time, frame.time, new.velocity
        person.colours = new.colours if new.colours is not None else person.colours
        person.lost = person.behind_cut = False

    def _lost_one(self, sights: list[tuple[float, int, Pose2D]], colours: Floats | None) -> _Person | None:
        """Whom of the lost people the sights show, by place, size and colours; None if nobody fits."""
        best, best_cost = None, np.inf
        for person in self._people:
            later = [sight for sight in sights if sight[0] > person.time]
            if not person.lost or not later:
                continue
            time, _, pose = later[0]
            radius, gap = person.pose.box.size / 2, time - person.time
            reach = 0.5 if person.behind_cut else 0.5 + 3.5 * gap  # radii: a radius is about a metre, and people run
            distance = float(np.hypot(*(pose.box.centre - person.predicted(time).centre))) / radius
            alike = colour_likeness(colours, person.colours)
            if alike is None:
                alike = 0.7
            ratio = pose.box.size / person.pose.box.size
            if distance > reach or not 0.55 < ratio < 1.8 or alike < (0.7 if person.behind_cut else 0.3):
                continue
            cost = distance / reach + 1 - alike
            if cost < best_cost:
                best, best_cost = person, cost
        return best

    def _remember(self, frame: Frame) -> None:
        self._buffer.append(frame)
        most = max(1, min(SEARCH_FRAMES + 1, BUFFER_BYTES // max(frame.image.nbytes, 1)))
        while len(self._buffer) > most or frame.time - self._buffer[0].time > SEARCH_CALM:
            self._buffer.popleft()


def verified(detector: Detector, image: Image, first: Pose2D, sure: float = SURE) -> Pose2D | None:
    """The pose of a second look after the first in a found box, if it is a person: sure twice, and the same from another view."""
    if first.presence < HELD:
        return None
    pose = detector.pose(image, first.box)
    if min(first.presence, pose.presence) < sure or _alike(first, pose) < SAME or not _in_picture(pose, image):
        return None
    return pose


def _seen(pose: Pose2D) -> Box:
    """Where the person was seen. The box for the next look has room for legs that were not, so it grows at once as ankles go."""
    return extent(pose.xy, pose.score)


def _alike(a: Pose2D, b: Pose2D | None) -> float:
    return 0.0 if b is None else joint_likeness(a.xy, a.score, b.xy, b.score)


def _pose_at(track: Track, frame: int | np.int64) -> Pose2D | None:
    """The sight of a frame, or the nearest one where the person was not looked at in every frame; None if there is none."""
    if not len(track):
        return None
    row = int(np.abs(track.frames - frame).argmin())
    return track.pose(row) if abs(track.frames[row] - frame) < (SELDOM_FRAMES if track.seldom else 1) else None


def _explains(pose: Pose2D, box: Box) -> bool:
    """Whether a found box is this person's: about the same place and size."""
    seen = _seen(pose)
    near = np.hypot(*(seen.centre - box.centre)) < 0.3 * seen.size
    return bool(near and 0.7 < box.size / max(seen.size, 1e-6) < 1.9)


def _in_picture(pose: Pose2D, image: Image) -> bool:
    """Whether at least four of the seen joints, and a third of them, lie in the picture."""
    height, width = image.shape[:2]
    seen = (pose.score >= SEEN) & np.isfinite(pose.xy).all(axis=1)
    inside = seen & (pose.xy >= 0).all(axis=1) & (pose.xy < (width, height)).all(axis=1)
    return bool(inside.sum() >= max(4, seen.sum() / 3))


def _continues(person: _Person, pose: Pose2D, time: float) -> bool:
    """Whether a person can have come from the last pose to this one in the time between."""
    was, now = _seen(person.pose), _seen(pose)
    radius = _RADIUS * max(was.size, 1e-6)
    distance = np.hypot(*(now.centre - was.centre - (person.predicted(time).centre - person.pose.box.centre)))
    passed = abs(time - person.time)
    # The pose's own noise, and 4 m/s (8 m/s for the limbs) for a radius of a metre.
    if distance > (0.3 + 4.0 * passed) * radius or not 0.6 < now.size / max(was.size, 1e-6) < 1.67:
        return False
    moved = np.nanmean(np.linalg.norm(pose.xy - person.pose.xy, axis=1)) if np.isfinite(pose.xy).any() else 0.0
    return bool(pose.presence >= SURE or moved <= (0.2 + 8.0 * passed) * radius)
