"""Views of captured motions for the preview: skeletons on a floor with foot contacts, their paths, and the camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Array, Capture
from stpose_core.world.ground import room_from_camera

_GROUND, _LINE, _PATH, _CAMERA = (238, 241, 245), (205, 211, 220), (120, 140, 180), (70, 70, 70)
_LEFT, _RIGHT = (220, 50, 50), (40, 160, 75)
_PEOPLE = ((110, 118, 130), (40, 110, 220), (220, 140, 20), (150, 70, 190), (20, 160, 170), (190, 90, 110))
_FEET = ("LeftFoot", "LeftToeBase", "RightFoot", "RightToeBase")  # the columns of Motion.contacts
_METRES = 2.6  # that a view of one person is high
_WIDEST = 8.0  # metres; who is further away from the others may be outside
_BESIDE = 0.6  # metres to the edge of the view from a person's root
_TILT = 14.0  # degrees that a view looks down
_FLOOR = 4  # metres of floor on each side


def colour_of_person(number: int) -> tuple[int, int, int]:
    """RGB of the person with this number, from 0; six differ."""
    return _PEOPLE[number % len(_PEOPLE)]


class FigureView:
    """Draws the people of captures in the world, seen from one side; the view moves along with them, and is as wide as they need.

    size: (width, height) pixels. yaw: degrees about the vertical from the front, where the camera of a person who faces it stands.
    """

    def __init__(self, captures: Sequence[Capture], size: tuple[int, int], yaw: float) -> None:
        self._motions = [capture.motion for capture in captures]
        self._places = [forward_kinematics(motion) for motion in self._motions]
        self._cameras = [camera_place(capture) for capture in captures[:1]]
        self._size = size
        turn, tilt = np.radians(yaw), np.radians(_TILT)
        right = np.array([np.cos(turn), 0.0, -np.sin(turn)])
        away = -np.array([np.sin(turn), 0.0, np.cos(turn)])
        self._axes = np.stack([right, np.cos(tilt) * np.array([0.0, 1.0, 0.0]) + np.sin(tilt) * away])  # rows: right, up
        # On the floor, (people, T, 3), as long as the shortest motion; and their middle, (T, 3).
        frames = min(map(len, self._motions))
        roots = np.stack([places[:frames, 0] for places in self._places]) * np.array([1.0, 0.0, 1.0])
        self._middles = (roots.min(axis=0) + roots.max(axis=0)) / 2
        aside, up = np.abs((roots - self._middles) @ self._axes.T).max(axis=(0, 1))
        wide = min(2 * (aside + _BESIDE), _WIDEST)
        self._scale = min(size[1] / (_METRES + 2 * min(up, _WIDEST / 4)), size[0] / wide)

    def draw(self, frame: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        import cv2

        width, height = self._size
        image = np.full((height, width, 3), _GROUND, np.uint8)
        middle = self._middles[frame]
        self._draw_floor(image, middle)
        for place in self._cameras:
            if place is not None:
                x, y = self._pixel(place, middle)
                cv2.drawMarker(image, (x, y), _CAMERA, cv2.MARKER_TRIANGLE_UP, max(6, height // 30), 1, cv2.LINE_AA)
        for number, (motion, places) in enumerate(zip(self._motions, self._places)):
            path = places[: frame + 1, 0] * np.array([1.0, 0.0, 1.0])
            cv2.polylines(image, [np.array([self._pixel(p, middle) for p in path], np.int32)], False, _PATH, 1, cv2.LINE_AA)
            for foot, on in zip(_FEET, motion.contacts[frame]):
                if on > 0.5 and foot in motion.names:
                    spot = places[frame, motion.names.index(foot)] * np.array([1.0, 0.0, 1.0])
                    size = max(2, round(0.05 * self._scale))
                    colour = _LEFT if foot.startswith("Left") else _RIGHT
                    cv2.ellipse(image, self._pixel(spot, middle), (size, max(1, size // 3)), 0, 0, 360, colour, -1, cv2.LINE_AA)
            self._draw_bones(image, places[frame], motion.names, motion.parents, colour_of_person(number), middle)
        return image

    def _draw_bones(
        self,
        image: NDArray[np.uint8],
        places: Array,
        names: Sequence[str],
        parents: NDArray[np.int64],
        plain: tuple[int, int, int],
        middle: Array,
    ) -> None:
        import cv2

        thick = max(1, round(0.018 * self._scale))
        for joint, (name, parent) in enumerate(zip(names, parents)):
            if parent >= 0:
                colour = _LEFT if name.startswith("Left") else _RIGHT if name.startswith("Right") else plain
                ends = self._pixel(places[parent], middle), self._pixel(places[joint], middle)
                cv2.line(image, *ends, colour, thick, cv2.LINE_AA)

    def _draw_floor(self, image: NDArray[np.uint8], middle: Array) -> None:
        import cv2

        for line in np.arange(-_FLOOR, _FLOOR + 0.25, 0.5):
            # The grid lies still in the world while the view moves.
            for axis in (0, 2):
                start, end = np.zeros(3), np.zeros(3)
                start[axis] = end[axis] = np.round(middle[axis] * 2) / 2 + line
                start[2 - axis], end[2 - axis] = middle[2 - axis] - _FLOOR, middle[2 - axis] + _FLOOR
                cv2.line(image, self._pixel(start, middle), self._pixel(end, middle), _LINE, 1, cv2.LINE_AA)

    def _pixel(self, place: Array, middle: Array) -> tuple[int, int]:
        right, up = self._axes @ (place - middle) * self._scale
        limit = 4 * max(self._size)
        x, y = np.clip([self._size[0] / 2 + right, 0.82 * self._size[1] - up], -limit, limit)
        return int(x), int(y)


def camera_place(capture: Capture) -> Array | None:
    """(3,) metres: where the camera stands in the world of the motion at the capture's first pose; None without a pose."""
    pose, motion = capture.pose3d, capture.motion
    posed = np.flatnonzero(pose.posed)
    if not len(posed):
        return None
    first = int(posed[0])
    place = motion.root[first] - room_from_camera(pose.up) @ pose.root[first]
    return np.asarray(place) if np.isfinite(place).all() else None
