"""Tracking of people in a video: searches find them, frame-to-frame tracking follows them, and crossings are resolved.

The policy, in the order of `PeopleTracker.update`:

1. A shot cut loses everybody.
2. Each followed person is looked at where they should be now: one pose a person and frame. Where only the largest person is asked
   for, people in the background are looked at, and looked for, ten times a second.
3. People who touch are looked for from front to back, with the others painted out. A person who is not found is hidden, and looked
   for in every frame (one in the background: see 2), where the path leads and at the last place.
4. From time to time the whole picture is searched, and the surroundings of people with these people painted out. A new person must
   be seen twice in the same way, and is then followed backwards through the frames since the last search.
5. A person who stays lost for too long ends; one who returns by then is the same person, by place, size and colours. After two
   seconds, only one who returns near the same place in the same clothes is.

A person is accepted only if search, pose and time agree. If the pose fades at the end of a stretch, the uncertain part is removed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stpose_core.detect.types import Detector, Floats, Pose2D
from stpose_core.track.behind import find_behind
from stpose_core.track.cuts import is_cut, thumbnail
from stpose_core.track.meeting import HIDDEN_SECONDS, beside, claimed, groups, meet, next_pose, touch
from stpose_core.track.person import (
    SAME,
    SURE,
    Person,
    explains,
    places,
    pose_at,
    seen_box,
    similarity,
    verified,
)
from stpose_core.track.rejected import REJECTED, RejectedPlaces
from stpose_core.track.similarity import colour_similarity, torso_colours
from stpose_core.track.track import SELDOM_SECONDS, Track
from stpose_core.track.turned import UNLIKELY

if TYPE_CHECKING:
    from stpose_core.video import Frame

# Seconds between two searches of the whole picture: while a person is tracked; without people; with several; just after a person
# was lost. Maximum number of frames between two searches: a search costs as much as four poses.
SEARCH_CALM, SEARCH_EMPTY, SEARCH_SEVERAL, SEARCH_LOST, SEARCH_FRAMES = 1.0, 0.5, 0.5, 0.2, 45
BEHIND_SEARCHES = 3  # every so many searches, a person who is apart from others is painted out to find one who is behind
BUFFER_BYTES = 200_000_000  # frames kept for following backwards; with 4K pictures searches come more often instead
USUAL = 0.8  # similarity of colours from which a person looks as before
LOST_SECONDS = 2.0  # a person who was lost may return within this time, anywhere within reach
ALIKE = 0.7  # similarity of colours needed for that
AWAY_SECONDS, AWAY_ALIKE, AWAY_RADII = 10.0, 0.92, 3.0  # or within this time near the same place, in clothes that are so similar
LIVED_SECONDS, LIVED_FRAMES = 0.3, 3  # a shorter stretch is a flicker
BACKGROUND = 0.67  # of the largest person's size, now and summed over time: people below it are in the background
UNCONFIRMED_SECONDS = 3.0  # followed for longer than this without a search that finds a person there: not a person


@dataclass(frozen=True)
class Observation:
    """One person in one frame."""

    person: int
    pose: Pose2D


class PeopleTracker:
    """Tracks all people through a video, frame by frame.

    detector: any `Detector`. largest: only the largest person is needed, so people in the background are not detected in every
    frame; their tracks are marked as `Track.seldom`.
    """

    def __init__(self, detector: Detector, largest: bool = False) -> None:
        self._detector, self._largest = detector, largest
        self._people: list[Person] = []
        self._ended: list[Track] = []
        self._buffer: deque[Frame] = deque()
        self._thumbnail: Floats | None = None
        self._rejected, self._not_turned, self._nobody_behind = RejectedPlaces(), RejectedPlaces(), RejectedPlaces()
        self._searched: tuple[float, int] | None = None  # time and number of the frame
        self._first, self._last, self._frames, self._searches, self._ids = 0.0, 0.0, 0, 0, 0

    @property
    def tracks(self) -> list[Track]:
        """All people who were present for long enough, in the order of appearance, as detected (`clean_tracks` follows)."""
        seconds, frames = min(LIVED_SECONDS, 0.5 * (self._last - self._first)), max(1, min(LIVED_FRAMES, self._frames))
        tracks = self._ended + [person.track for person in self._people]
        lived = [t for t in tracks if len(t) >= frames and t.times[-1] - t.times[0] >= seconds]
        return sorted(lived, key=lambda track: float(track.times[0]))

    def update(self, frame: Frame) -> list[Observation]:
        """Process the next frame and return the people in it. A new person may be rejected later; `tracks` is final."""
        if not self._frames:
            self._first = frame.time
        self._last, self._frames = frame.time, self._frames + 1
        self._lose_all_at_a_cut(frame)
        self._follow_all(frame)
        if self._search_is_due(frame):
            # Skipped people are detected now: a search needs the place of every person.
            for person in [p for p in self._followed() if p.time < frame.time]:
                self._follow(person, frame)
            self._search(frame)
        self._end_the_lost(frame)
        self._remember(frame)
        return [Observation(person.track.id, person.pose) for person in self._followed() if person.time == frame.time]

    def _followed(self) -> list[Person]:
        return [person for person in self._people if not person.lost]

    # 1. Shot cuts

    def _lose_all_at_a_cut(self, frame: Frame) -> None:
        small = thumbnail(frame.image)
        if self._thumbnail is not None and is_cut(self._thumbnail, small):
            for person in self._followed():
                person.behind_cut = True
                self._lose(person)
            self._buffer.clear()
            self._rejected.clear()
            self._not_turned.clear()
            self._nobody_behind.clear()
            self._searched = None
        self._thumbnail = small

    # 2. Following

    def _follow_all(self, frame: Frame) -> None:
        """Follow everybody, and look for people who were lost near others."""
        for person in self._followed():
            person.shown += seen_box(person.pose).size
        for group in groups(self._followed(), frame.time):
            lost = [p for p in self._people if p.lost and not p.behind_cut and any(touch(o, p, frame.time) for o in group)]
            hidden = [p for p in lost if not self._can_wait(p, frame)]
            if len(group) + len(hidden) > 1:
                self._follow_meeting(group, hidden, frame)
            elif self._can_wait(group[0], frame):
                group[0].track.seldom = True
            else:
                self._follow(group[0], frame)

    def _can_wait(self, person: Person, frame: Frame) -> bool:
        """Whether a person in the background can be skipped in this frame."""
        looked = person.looked if person.lost else person.time
        return self._in_background(person) and frame.time - looked < SELDOM_SECONDS

    def _in_background(self, person: Person) -> bool:
        """Whether only the largest person is needed, which this is not."""
        size = seen_box(person.pose).size
        return self._largest and any(
            size < BACKGROUND * seen_box(other.pose).size and person.shown < BACKGROUND * other.shown for other in self._followed()
        )

    def _follow(self, person: Person, frame: Frame) -> None:
        pose = next_pose(self._detector, person, frame)
        if pose is None:
            self._lose(person)
            self._searched = None  # search immediately
            return
        self._seen(person, pose, frame)
        self._look_at_clothes(person, frame)

    def _seen(self, person: Person, pose: Pose2D, frame: Frame) -> None:
        person.moved_to(pose, frame.time)
        person.track.add(frame.time, frame.index, pose)

    def _look_at_clothes(self, person: Person, frame: Frame) -> None:
        """Learn the colours of a person who is apart from others, and whether they look as usual."""
        pose = person.pose
        others = [o for o in self._people if o is not person and frame.time - o.time <= HIDDEN_SECONDS]
        if person.colours is not None and any(
            np.hypot(*(pose.box.centre - other.pose.box.centre)) <= 0.5 * pose.box.size for other in others
        ):
            return
        colours = torso_colours(frame.image, pose.xy, pose.score, self._detector.skeleton)
        alike = colour_similarity(colours, person.colours)
        usual = alike is None or alike >= USUAL or frame.time - person.track.times[max(person.clear - 1, 0)] > UNCONFIRMED_SECONDS
        if colours is not None and usual:
            person.colours = colours if person.colours is None else 0.9 * person.colours + 0.1 * colours
        if usual:
            if all(not touch(person, other, frame.time) or beside(person, other) for other in others):
                person.clear = len(person.track)
        elif person.clear == len(person.track) - 1:
            self._searched = None  # the pose may have gone over to another person: see who is where

    def _lose(self, person: Person) -> None:
        # When a person leaves, the pose drifts before its presence falls: the last confident detection is the last place.
        track = person.track
        sure = np.flatnonzero(track.presence >= SURE)
        track.cut(int(sure[-1]) + 1 if len(sure) else 0)
        # Furniture resembles a person only briefly; a stretch that a shot cut ends may be short.
        stretch = track.times[person.since :]
        if not person.behind_cut and (len(stretch) < LIVED_FRAMES or stretch[-1] - stretch[0] < LIVED_SECONDS):
            track.cut(person.since)
        person.lost, person.clear = True, min(person.clear, len(track))
        if len(track):
            person.pose, person.time = track.pose(-1), float(track.times[-1])
        else:
            self._people.remove(person)

    # 3. People who meet

    def _follow_meeting(self, group: list[Person], hidden: list[Person], frame: Frame) -> None:
        """Follow people who touch one another, and look for people who were lost near them."""
        for person in hidden:
            person.looked = frame.time
        found = meet([*group, *hidden], self._detector, frame)
        for person, pose in found.items():
            if person.lost:
                person.lost, person.since, person.found = False, len(person.track), frame.time
            self._seen(person, pose, frame)
        for person in group:
            if person not in found:
                self._lose(person)
        for person in found:
            self._look_at_clothes(person, frame)

    # 4. Searching

    def _search_is_due(self, frame: Frame) -> bool:
        if self._searched is None:
            return True
        time, number = self._searched
        every = SEARCH_CALM if self._followed() else SEARCH_EMPTY
        if len(self._followed()) > 1:
            every = SEARCH_SEVERAL
        if any(person.lost and frame.time - person.time < 1.0 for person in self._people):
            every = SEARCH_LOST
        return frame.time - time >= every - 1e-6 or self._frames - number >= SEARCH_FRAMES

    def _search(self, frame: Frame) -> None:
        self._searched = frame.time, self._frames
        turns = True  # one place is looked at in turned views, and not again for some time if in vain
        for box in self._detector.find(frame.image):
            known = [p for p in self._followed() if explains(p.pose, box)]
            if not known and not self._rejected.holds(frame.image, box, frame.time):
                first = self._detector.pose(frame.image, box)
                if first.presence < REJECTED:
                    self._rejected.add(frame.image, box, frame.time)
                # A first look may lead to a followed person: only new people need a second one.
                known = self._same(first) if first.presence >= SURE else []
                turning = turns and first.presence > UNLIKELY and not self._not_turned.holds(frame.image, box, frame.time)
                pose = None if known else verified(self._detector, frame.image, box, first=first, turning=turning)
                if pose is None and turning and not known:
                    self._not_turned.add(frame.image, box, frame.time)
                    turns = False
                if pose is not None:
                    known = self._same(pose)
                    if not known:
                        self._begin(pose, frame)
            for person in known:
                person.found = frame.time
        self._searches += 1
        for group in groups(self._followed(), frame.time):
            if len(group) == 1 and self._searches % BEHIND_SEARCHES != 1:
                continue
            if all(map(self._in_background, group)):
                continue  # people behind them are in the background as well
            for pose in find_behind(self._detector, group, frame, self._followed(), self._nobody_behind):
                if not self._same(pose):
                    self._begin(pose, frame)
        for person in self._followed():
            if frame.time - person.found > UNCONFIRMED_SECONDS:
                person.track.cut(int(np.searchsorted(person.track.times, person.found, side="right")))
                self._lose(person)

    def _same(self, pose: Pose2D) -> list[Person]:
        """The people who are followed and have this pose."""
        return [person for person in self._followed() if similarity(person.pose, pose) >= SAME]

    def _begin(self, pose: Pose2D, frame: Frame) -> None:
        """Track a new person back through the buffered frames, and continue the track of a lost person if it is the same one."""
        new = Person(pose, frame.time, frame.time, Track(0, self._detector.skeleton))
        new.colours = torso_colours(frame.image, pose.xy, pose.score, self._detector.skeleton)
        followed = [person for person in self._followed() if person.time == frame.time]
        stretch = claimed(self._followed_back(new, pose, frame), followed, (*self._buffer, frame))
        pose = stretch[-1][2]
        new.colours = torso_colours(frame.image, pose.xy, pose.score, self._detector.skeleton)
        person = self._returned(stretch, new.colours)
        if person is None:
            self._ids += 1
            person = Person(pose, frame.time, frame.time, Track(self._ids, self._detector.skeleton))
            self._people.append(person)
        person.since = len(person.track)
        for time, index, detection in stretch:
            if not len(person.track) or time > person.track.times[-1]:
                person.track.add(time, index, detection)
        person.pose, person.time, person.found, person.velocity = pose, frame.time, frame.time, new.velocity
        person.colours = new.colours if new.colours is not None else person.colours
        person.lost = person.behind_cut = False

    def _followed_back(self, new: Person, pose: Pose2D, frame: Frame) -> list[tuple[float, int, Pose2D]]:
        """(time, frame, pose) of a new person, from where it is distinct from others, by time. `new` ends at the first one."""
        stretch = [(frame.time, frame.index, pose)]
        for past in reversed(self._buffer):
            earlier = next_pose(self._detector, new, past)
            if earlier is None:
                break
            if any(similarity(earlier, pose_at(person.track, past.index, past.time)) >= SAME for person in self._people):
                break
            new.moved_to(earlier, past.time)
            stretch.append((past.time, past.index, earlier))
        while len(stretch) > 1 and stretch[-1][2].presence < SURE:
            stretch.pop()
        return stretch[::-1]

    # 5. People who return

    def _returned(self, stretch: list[tuple[float, int, Pose2D]], colours: Floats | None) -> Person | None:
        """The lost person that matches a new stretch by place, size and colours; None if there is none."""
        best, best_cost = None, np.inf
        for person in self._people:
            later = [detection for detection in stretch if detection[0] > person.time]
            if not person.lost or not later:
                continue
            time, _, pose = later[0]
            radius, gap = person.pose.box.size / 2, time - person.time
            reach = 0.5 if person.behind_cut else 0.5 + 3.5 * gap  # radii; a radius is about a metre, and people may run
            distance = float(np.hypot(*(pose.box.centre - person.predicted(time).centre))) / radius
            expected = person.expected(time)
            if expected is not None:
                # Behind others a person goes on for longer than a prediction from the last step holds.
                middle = places(pose.xy[None].astype(float), self._detector.skeleton)[0, :2]
                distance = min(distance, float(np.nan_to_num(np.hypot(*(middle - expected[1][:2])), nan=np.inf)) / radius)
            alike = colour_similarity(colours, person.colours)
            if alike is None:
                alike = ALIKE
            ratio = pose.box.size / person.pose.box.size
            if distance > reach or not 0.55 < ratio < 1.8 or alike < ALIKE:
                continue
            if gap > LOST_SECONDS and (person.behind_cut or distance > AWAY_RADII or alike < AWAY_ALIKE or not 0.75 < ratio < 1.33):
                continue
            cost = distance / reach + 1 - alike
            if cost < best_cost:
                best, best_cost = person, cost
        return best

    def _end_the_lost(self, frame: Frame) -> None:
        for person in [p for p in self._people if p.lost and frame.time - p.time > AWAY_SECONDS]:
            self._people.remove(person)
            self._ended.append(person.track)

    def _remember(self, frame: Frame) -> None:
        self._buffer.append(frame)
        most = max(1, min(SEARCH_FRAMES + 1, BUFFER_BYTES // max(frame.image.nbytes, 1)))
        while len(self._buffer) > most or frame.time - self._buffer[0].time > SEARCH_CALM:
            self._buffer.popleft()
