"""Rotation and zoom of a camera, estimated from the background, frame by frame.

Every frame is matched with a key frame by corners outside the people (`stpose_core.world.view_track`). While the picture hardly
moves, only every few frames are matched; the skipped ones follow if it has moved. At the end all matches are refined together
(`stpose_core.world.camera_solve`).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stpose_core.data import Array, Camera, CameraPath
from stpose_core.detect.types import Image
from stpose_core.track.cuts import is_cut
from stpose_core.world.camera_solve import Followed, solve
from stpose_core.world.key_frames import Grey, small_picture, small_step, widened
from stpose_core.world.turning import Lens
from stpose_core.world.view_track import Glance, Match, ViewTrack

SLOW = 0.5  # pixels that the small picture may move between two matched frames
LONGEST = 0.2  # seconds between two matched frames
LEAST = 48  # pixels of the shorter side of the small picture: smaller ones hold too few corners
LOST = 0.5  # seconds after which a view that matches no earlier one begins a new path


def can_follow(image_size: tuple[int, int]) -> bool:
    """Whether pictures of this size (width, height) are large and square enough to find the camera's motion in them."""
    return min(image_size) >= LEAST and min(image_size) // small_step(*image_size) >= LEAST


class CameraMotion:
    """Receives the frames of a video in order, and returns the path of the camera.

    image_size: (width, height) of the frames in pixels. camera: the camera, if its focal length is known; otherwise it is assumed,
    and measured if the camera turns far enough. decide: whether a camera that does not move is detected; its path is then exactly
    static.
    """

    def __init__(self, image_size: tuple[int, int], camera: Camera | None = None, decide: bool = True) -> None:
        self._camera, self._known, self._decide = camera or Camera.assumed(image_size), camera is not None, decide
        self._step = small_step(*image_size)
        width, height = (side // self._step for side in image_size)
        centre = np.array(self._camera.centre) / self._step - 0.5
        self._lens = Lens(self._camera.focal / self._step, centre, (width, height))
        self._paths: list[Followed] = []  # of all tracks, the current one included
        self._track: ViewTrack
        self._other: ViewTrack | None = None  # a view that matches no earlier one: a new path, or an object that passes by
        self._waiting: list[Glance] = []
        self._looked, self._wait = 0.0, 0.0
        self._thumbnail: Array | None = None
        self._count = 0
        self._draw = np.random.default_rng(0)

    def update(self, image: Image, time: float, boxes: Sequence[Sequence[float]] | Array = ()) -> None:
        """Add the next frame. image: (H, W, 3) uint8 RGB. time: seconds, rising. boxes: (B, 4) pixels x0, y0, x1, y1 around the
        joints of people, and around other moving objects."""
        people = widened((np.asarray(boxes, float).reshape(-1, 4) + 0.5) / self._step - 0.5)
        self.look(small_picture(image, self._step), time, people)

    def look(self, picture: Grey, time: float, boxes: Array) -> None:
        """Add the next frame as a small picture; boxes in its pixels, with a margin."""
        glance = Glance(self._count, time, picture, boxes)
        self._count += 1
        thumbnail = cv2.resize(picture, (32, 18), interpolation=cv2.INTER_AREA) / 255
        cut = self._thumbnail is None or is_cut(self._thumbnail, thumbnail)
        self._thumbnail = thumbnail
        if cut:
            self._catch_up()
            self._begin(ViewTrack(glance, self._lens, self._draw))
            self._looked, self._wait = time, 0.0
            return
        self._waiting.append(glance)
        if time - self._looked >= self._wait - 1e-6:
            self._catch_up()

    def path(self) -> CameraPath:
        """The path of the camera over all frames so far."""
        self._catch_up()
        return solve(self._paths, self._count, self._camera, self._lens, self._known, self._decide)

    def _begin(self, track: ViewTrack) -> None:
        """Begin a path. The track before is dropped with its key frames; its matches remain."""
        self._paths.append(Followed(track.start, track.links, track.lost))
        self._track, self._other = track, None

    def _catch_up(self) -> None:
        """Match the last waiting frame, and those before it if the picture has moved further than expected."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        track = self._track
        match = track.find(waiting[-1])
        if len(waiting) > 1 and (match is None or self._lens.apart(track.pose, match.pose)[0] > 2 * SLOW):
            for glance in waiting[:-1]:
                self._take(glance, self._track.find(glance))
            match = self._track.find(waiting[-1])
        self._take(waiting[-1], match)

    def _take(self, glance: Glance, match: Match | None) -> None:
        self._looked, self._wait = glance.time, 0.0
        track = self._track
        if match is not None:
            self._other = None
            speed = track.take(glance, match)
            self._wait = min(LONGEST, SLOW / max(speed, 1e-6))
            return
        track.lost.append(glance.number)
        if track.blind:
            track.restart(glance)
            self._wait = LONGEST / 2
        else:
            self._lose(glance)

    def _lose(self, glance: Glance) -> None:
        """Handle a frame that matches no key frame of its path: track it separately for a while."""
        found = None if self._other is None else self._other.find(glance)
        if self._other is None or found is None:
            self._other = ViewTrack(glance, self._lens, self._draw)
            return
        self._other.take(glance, found)
        if glance.time - self._other.began >= LOST:
            self._begin(self._other)
