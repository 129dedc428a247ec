"""MediaPipe's PoseLandmarker with a `.task` file from the user, for versions whose wheel contains no models.

The Tasks API hides the search, so the search and the pose of one person both run it on parts of the picture.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stpose_core.detect.mediapipe import calibrate, circle_box, quiet, square_to_image, tiles, without_repeats
from stpose_core.detect.types import Box, Detector, Floats, Image, Pose2D
from stpose_core.devices import choose_device
from stpose_core.errors import DetectorError
from stpose_core.extras import install_command

CROP = 384  # side of the square around one person, pixels: the search in it needs 224, the pose 256
SEARCHED = 5  # maximum number of people in one part of the picture
OUTLINE = 1.1  # the circle around a person is this much larger than the farthest joint from the hips


class MediaPipeTaskDetector(Detector):
    """model: a pose_landmarker .task file. device: checked as for any detector, but MediaPipe always runs on the CPU.

    Raises DetectorError if the file is missing or cannot be loaded, StposeError if this machine does not have the device.
    """

    name = "mediapipe"
    skeleton = "blazepose33"

    def __init__(self, model: str | Path, device: str = "auto") -> None:
        choose_device(device)
        path = Path(model)
        if not path.is_file():
            raise DetectorError(f"{path}: no such .task file")
        try:
            self._package = importlib.import_module("mediapipe")
            vision = importlib.import_module("mediapipe.tasks.python.vision")
            base = importlib.import_module("mediapipe.tasks.python")
        except (ImportError, OSError) as error:
            # Any version works, so this is not the extra, which requires the one that contains models.
            how = install_command("mediapipe")
            raise DetectorError(f"mediapipe cannot be imported ({error}); install it with: {how}") from error
        try:
            with quiet():
                self._landmarkers = {
                    count: vision.PoseLandmarker.create_from_options(
                        vision.PoseLandmarkerOptions(
                            base_options=base.BaseOptions(model_asset_path=str(path)),
                            num_poses=count,
                            running_mode=vision.RunningMode.IMAGE,
                        )
                    )
                    for count in (1, SEARCHED)
                }
                for count in self._landmarkers:
                    self._poses(np.zeros((CROP, CROP, 3), np.uint8), count)
        except (RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DetectorError(f"{path}: not a pose landmarker that mediapipe can load ({reason})") from error

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """Search the whole picture and the squares that cover it. score: the mean presence of shoulders and hips."""
        found: list[Box] = []
        for x, y, tile in tiles(image):
            found += [_around(rows[:, :2] + (x, y), rows[:, 3]) for rows in self._poses(tile, SEARCHED)]
        return without_repeats(found)

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The 33 joints of the person in the (rotated) square around the box's centre; presence 0 if none is found in it."""
        to_image = square_to_image(box, CROP)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        poses = self._poses(cv2.warpAffine(image, to_image, (CROP, CROP), flags=flags), 1)
        if not poses:
            return Pose2D(np.full((33, 2), np.nan), np.zeros(33), 0.0, box)
        rows = poses[0]
        xy = rows[:, :2] @ to_image[:, :2].T + to_image[:, 2]
        following = _around(xy, rows[:, 3])
        return Pose2D(xy, calibrate(rows[:, 2] * rows[:, 3]), following.score, following)

    def close(self) -> None:
        """Free the networks."""
        for landmarker in self._landmarkers.values():
            landmarker.close()

    def _poses(self, image: Image, count: int) -> list[Floats]:
        """(33, 4) for each person: x, y in pixels, visibility, presence."""
        picture = self._package.Image(image_format=self._package.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        result = self._landmarkers[count].detect(picture)
        height, width = image.shape[:2]
        people: list[Any] = result.pose_landmarks
        return [np.array([(p.x * width, p.y * height, p.visibility, p.presence) for p in person]) for person in people]


def _around(xy: Floats, presence: Floats) -> Box:
    """The circle around a person, upright along the spine. xy: (33, 2) pixels, presence: (33,)."""
    torso = [11, 12, 23, 24]  # shoulders, hips
    shoulders, hips = xy[torso[:2]].mean(axis=0), xy[torso[2:]].mean(axis=0)
    spine = shoulders - hips
    radius = OUTLINE * float(np.linalg.norm(xy - hips, axis=1).max())
    rim = hips + spine / (np.hypot(*spine) + 1e-9) * radius
    return circle_box(hips, rim, float(presence[torso].mean()))
