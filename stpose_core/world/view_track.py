"""One path of a camera: its key frames, and the match of each frame with one of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stpose_core.data import Array, Mask
from stpose_core.world.key_frames import Grey, KeyFrame, inside
from stpose_core.world.turning import Lens, Link, Turns, consensus, errors, moved, relative, small_rotations

NEAR = 1.5  # pixels of the small picture: a corner that close to where the turn carries it agrees
FEWEST, SHARE = 10, 0.3  # corners that have to agree: in number, and of those that are in view
KEPT = 60  # corners of a frame that are kept for the last fit
WORN = 0.55  # share of the corners that agreed with a new key frame, below which the view has moved on
GROWN, ROLLED = 0.22, 0.25  # log of the zoom, and rad about the axis, since the key frame: above, patches look too different
ALIGNED = 0.03, 0.05  # rad about the axis, and log of the zoom, above which the key frame is turned before corners are tracked
KEYS = 60  # key frames of a path that are kept, to come back to
COMING_BACK = 0.8  # share of an older key frame's corners that have to be in view again
MEMORY = 0.5  # seconds for which a turn goes on as before, where frames are missing


@dataclass(frozen=True, eq=False)
class Glance:
    """A frame to be matched. number: of the frame. boxes: (B, 4) of people, widened, in pixels of the small picture."""

    number: int
    time: float
    picture: Grey
    boxes: Array


@dataclass(eq=False)
class Key:
    """A key frame in use. number: of its frame. best: corners that agreed at first, 0 before that."""

    number: int
    frame: KeyFrame
    pose: Turns
    best: int = 0

    @staticmethod
    def at(glance: Glance, pose: Turns) -> Key:
        """A frame as a key frame."""
        return Key(glance.number, KeyFrame.of(glance.picture, glance.boxes), pose)


@dataclass(frozen=True, eq=False)
class Match:
    """A frame matched with a key frame. pose: of the frame. agree: number of corners that agree. found: (N,) corners of the key
    frame that were tracked, whether they agree or not."""

    key: Key
    link: Link
    pose: Turns
    agree: int
    found: Mask


class ViewTrack:
    """Follows the view from its first frame on."""

    def __init__(self, first: Glance, lens: Lens, draw: np.random.Generator) -> None:
        self.start, self.began = first.number, first.time
        self.links: list[Link] = []
        self.lost: list[int] = []
        self._lens, self._draw = lens, draw
        self._keys = [Key.at(first, Turns.none())]
        self.last = first  # that was found
        self.pose, self._speed = Turns.none(), np.zeros(4)

    @property
    def blind(self) -> bool:
        """Whether no corners were visible so far, as in a fade-in or before a blank wall."""
        return not self.links and len(self._keys[0].frame.points) < FEWEST

    def restart(self, glance: Glance) -> None:
        """Take a later frame as the first key frame."""
        self._keys, self.last = [Key.at(glance, Turns.none())], glance

    def find(self, glance: Glance) -> Match | None:
        """Match a frame with the current key frame, or else with the frame before or an older key frame."""
        ahead = self._speed * min(glance.time - self.last.time, MEMORY)
        expected = Turns(self.pose.rotation @ small_rotations(ahead[None, :3]), self.pose.zoom + ahead[3])
        now, *older = reversed(self._keys)
        match = self._match(now, glance, expected, False) or self._match(now, glance, self.pose, True)
        if match is None and self.last.number != now.number:
            before = Key.at(self.last, self.pose)
            match = self._match(before, glance, expected, True) or self._match(before, glance, self.pose, True)
        if match is None:
            nearest = sorted(older, key=lambda key: self._lens.apart(key.pose, self.pose)[0])[:2]
            match = next((found for key in nearest if (found := self._match(key, glance, self.pose, True))), None)
        return match

    def take(self, glance: Glance, match: Match) -> float:
        """Continue from a matched frame. Returns the speed of the picture, small pixels a second."""
        key = match.key
        if key in self._keys:
            self._keys.remove(key)
        self._keys.append(key)
        self.links.append(match.link)
        passed = max(glance.time - self.last.time, 1e-3)
        speed = float(self._lens.apart(self.pose, match.pose)[0]) / passed
        turned = cv2.Rodrigues(self.pose.rotation[0].T @ match.pose.rotation[0])[0][:, 0]
        self._speed = np.append(turned, match.pose.zoom - self.pose.zoom) / passed
        self.pose, self.last = match.pose, glance
        if not key.best:
            # Corners that are not found at once are noise, or at the edge of a person.
            key.frame, key.best = key.frame.only(match.found), match.agree
        self._renew(glance, match)
        return speed

    def _renew(self, glance: Glance, match: Match) -> None:
        """Change the key frame if the view has changed: to an older one that shows it, or else to this frame."""
        turn = relative(match.key.pose, match.pose)
        if match.agree >= WORN * match.key.best and abs(turn.zoom[0]) < GROWN and abs(_roll(turn)) < ROLLED:
            return
        older = min(self._keys[:-1], key=lambda key: self._lens.apart(key.pose, match.pose)[0], default=None)
        if older is not None:
            again = self._match(older, glance, match.pose, False)
            if again is not None and again.agree >= COMING_BACK * older.best:
                self._keys.remove(older)
                self._keys.append(older)
                return
        self._keys = [*self._keys[-KEYS + 1 :], Key.at(glance, match.pose)]

    def _homography(self, turn: Turns, focal: float) -> Array:
        """(3, 3) pixels of the small picture before a turn to those after it. focal: pixels, before the turn."""
        middle = np.array([[1, 0, self._lens.centre[0]], [0, 1, self._lens.centre[1]], [0, 0, 1]])
        zoomed = focal * np.exp(turn.zoom[0])
        return middle @ np.diag([zoomed, zoomed, 1]) @ turn.rotation[0] @ np.diag([1 / focal, 1 / focal, 1]) @ np.linalg.inv(middle)

    def _match(self, key: Key, glance: Glance, expected: Turns, far: bool) -> Match | None:
        """Match a frame with a key frame; None if too few corners agree. expected: pose of the frame. far: search further."""
        focal = np.array([self._lens.focal * np.exp(key.pose.zoom[0])])
        centre, guess = self._lens.centre, relative(key.pose, expected)
        points = key.frame.points - centre
        there = moved(points[None], guess, focal)[0] + centre
        view = (there > 0).all(1) & (there < self._lens.size).all(1) & ~inside(there, glance.boxes)
        if view.sum() < FEWEST:
            return None
        frame = key.frame.only(view)
        if abs(_roll(guess)) > ALIGNED[0] or abs(guess.zoom[0]) > ALIGNED[1]:
            frame = frame.aligned(glance.picture, self._homography(guess, float(focal[0])))
        found, seen = np.zeros_like(there), np.zeros(len(view), bool)
        found[view], seen[view] = frame.track(glance.picture, there[view], far)
        seen &= ~inside(found, glance.boxes)
        if seen.sum() < FEWEST:
            return None
        points, found = points[seen], found[seen] - centre
        turn, agree = consensus(points, found, float(focal[0]), guess, NEAR, self._draw)
        share = agree.sum() / max(view.sum(), seen.sum())
        if agree.sum() < FEWEST or share < SHARE:
            return None
        # With another focal length others agree as well, so those near by are kept, too.
        near = np.flatnonzero(errors(points[None], found[None], turn, focal)[0] < 3 * NEAR)
        near = near[np.linspace(0, len(near) - 1, min(KEPT, len(near))).astype(int)]
        still = float((np.linalg.norm(points - found, axis=1) < NEAR / 2).mean())
        pair = points[near].astype(np.float32), found[near].astype(np.float32)
        link = Link(glance.number, key.number, *pair, turn, float(key.pose.zoom[0]), float(share), still)
        pose = Turns(key.pose.rotation @ turn.rotation.swapaxes(1, 2), key.pose.zoom + turn.zoom)
        return Match(key, link, pose, int(agree.sum()), seen)


def _roll(turn: Turns) -> float:
    """Rad about the camera's axis."""
    rotation = turn.rotation[0]
    return float(np.arctan2(rotation[1, 0] - rotation[0, 1], rotation[0, 0] + rotation[1, 1]))
