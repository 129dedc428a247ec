"""The hands of a person who was followed: where each is looked for, and its joints on the grid of the person's keypoints.

A hand is looked for beyond the wrist, in the direction of the forearm. Where the frame before showed it, that place counts: the box
around the joints that were found, moved along with the wrist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from stpose_core.data import Array, Keypoints, Pose3D
from stpose_core.detect.types import Box, Floats, Image
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.skeletons import H36M17, HAND21, convert
from stpose_core.track.resample import neighbours

FOUND = 0.5  # how likely there is a hand, from which on its joints count
# Metres: side of the box around a hand, and from the wrist to the middle of a hand that continues the forearm.
_BOX, _REACH = 0.28, 0.08
_AROUND = 1.6  # side of the box against the joints' extent
_APART = 0.10  # metres from the body's wrist to that of the hand, from which on it is something else
_PALM = [0, 5, 9, 13, 17]


@dataclass(frozen=True)
class HandView:
    """The hand in a box. xy: (21, 2) pixels. lifted: (21, 3) metres from the wrist: x right, y down, z along the ray. presence:
    0..1, how likely there is a hand. right: 0..1, how likely it is a right one."""

    xy: Floats
    lifted: Floats
    presence: float
    right: float


Look = Callable[[Image, Box], HandView]


def find_hands(look: Look, keypoints: Keypoints, pose: Pose3D, times: Floats, pictures: Iterable[Image]) -> Keypoints:
    """The keypoints with the parts "l_hand" and "r_hand".

    pose: lifted from the keypoints. times: (N,) seconds of the clip's frames, the first of which is that of the keypoints;
    pictures: these frames.
    """
    grid = times[0] + np.arange(len(keypoints)) / keypoints.fps
    points = convert(keypoints) if keypoints.skeleton != H36M17.name else keypoints
    followed = {side: _Hand(side, points, pose) for side in "lr"}
    found: dict[str, list[HandView | None]] = {side: [] for side in followed}
    for time, picture in zip(times, pictures):
        row = int(np.abs(grid - time).argmin())
        for side, hand in followed.items():
            found[side].append(hand.look(look, picture, row))
    parts = {f"{side}_hand": _on_grid(views, np.asarray(times), grid, keypoints) for side, views in found.items()}
    return replace(keypoints, parts={**keypoints.parts, **parts})


class _Hand:
    """One hand while it is followed. last: the joints (21, 2) of the frame before relative to the wrist, None where it was lost."""

    def __init__(self, side: str, points: Keypoints, pose: Pose3D) -> None:
        elbow, wrist = H36M17.index(f"{side}_elbow", f"{side}_wrist")
        self.right = side == "r"
        self.wrist, self.score = points.xy[:, wrist], points.score[:, wrist]
        places = pose.xyz + pose.root[:, None]
        forearm = places[:, wrist] - places[:, elbow]
        ahead = places[:, wrist] + _REACH * forearm / np.maximum(np.linalg.norm(forearm, axis=1, keepdims=True), 1e-6)
        depth = np.maximum(places[:, wrist, 2], 0.2)
        self.pixels = pose.camera.focal / depth  # in a metre
        ends = [place[:, :2] / np.maximum(place[:, 2:], 0.2) for place in (places[:, wrist], ahead)]
        self.ahead = (ends[1] - ends[0]) * pose.camera.focal
        self.last: Floats | None = None

    def look(self, look: Look, picture: Image, row: int) -> HandView | None:
        """The hand in one frame; None where it was not found."""
        wrist, scale = self.wrist[row], self.pixels[row]
        if self.score[row] < VISIBLE_SCORE or not np.isfinite(scale):
            self.last = None
            return None
        if self.last is not None:
            view = self._checked(look(picture, box_around(self.last + wrist)), row)
            if view is not None:
                return view
        side = _BOX * scale
        middle, ahead = wrist + self.ahead[row], self.ahead[row]
        box = _square(middle, side, float(np.arctan2(ahead[0], -ahead[1])))
        first = look(picture, box)
        self.last = None
        # The forearm says roughly where the hand is; what is found there, says it well.
        return self._checked(look(picture, box_around(first.xy)), row) if first.presence > 0.1 else None

    def _checked(self, view: HandView, row: int) -> HandView | None:
        off = np.hypot(*(view.xy[0] - self.wrist[row]))
        if view.presence < FOUND or off > _APART * self.pixels[row]:
            self.last = None
            return None
        self.last = view.xy - self.wrist[row]
        if (view.right > 0.5) == self.right:
            return view
        # A left hand seen from its back looks like a right one seen from its palm: what the network took for the other hand is
        # lifted with near and far exchanged.
        return replace(view, lifted=view.lifted * np.array([1.0, 1.0, -1.0]))


def box_around(xy: Floats) -> Box:
    """The box around the joints (21, 2) of a hand, turned so that its fingers point up."""
    ahead = xy[_PALM[1:]].mean(axis=0) - xy[0]
    angle = float(np.arctan2(ahead[0], -ahead[1]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = xy @ turn
    low, high = upright.min(axis=0), upright.max(axis=0)
    return _square((low + high) / 2 @ turn.T, _AROUND * float((high - low).max()), angle)


def _square(middle: Floats, side: float, angle: float) -> Box:
    (x, y), half = middle, max(side, 1.0) / 2
    return Box(x - half, y - half, x + half, y + half, 1.0, angle)


def _on_grid(views: list[HandView | None], times: Array, grid: Array, keypoints: Keypoints) -> Keypoints:
    """The hand at the times of the keypoints: between two frames that show it interpolated, else not seen."""
    count = len(HAND21.joints)
    xy, lifted = np.full((len(grid), count, 2), np.nan), np.full((len(grid), count, 3), np.nan)
    score = np.zeros((len(grid), count))
    seen = [(time, view) for time, view in zip(times, views) if view is not None]
    if seen:
        when = np.array([time for time, _ in seen])
        places, metres = (np.stack([getattr(view, name) for _, view in seen]) for name in ("xy", "lifted"))
        sure = np.array([view.presence for _, view in seen])
        low, high, share, close = neighbours(when, grid, keypoints.fps)
        part = share[close, None, None]
        xy[close] = places[low[close]] * (1 - part) + places[high[close]] * part
        lifted[close] = metres[low[close]] * (1 - part) + metres[high[close]] * part
        score[close] = np.minimum(sure[low[close]], sure[high[close]])[:, None]
    return Keypoints(xy, score, keypoints.fps, keypoints.image_size, HAND21.name, lifted=lifted)
