"""The built-in detector: a finder that searches whole pictures, and the spatial network that finds the joints of one person.

Both were trained on rendered people, the second on unlabelled real ones as well (training/stpose_training). It is
top-down: it sees one person upright in a view cut out around a box, so lying and upside-down people are turned before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.boxes import SEEN, extent
from stpose_core.detect.finder import Finder, steadied
from stpose_core.detect.heatmaps import decode, with_mirrored
from stpose_core.detect.networks import read_spatial
from stpose_core.detect.runtime import make_runner
from stpose_core.detect.search import shown_as
from stpose_core.detect.types import Box, Detector, Floats, Image, JointMaps, Pose2D
from stpose_core.detect.views import cut, seen_from, turn_by, view_of
from stpose_core.devices import choose_device
from stpose_core.errors import DetectorError
from stpose_core.networks.configs import STRIDE
from stpose_core.skeletons import H36M17
from stpose_core.weights import DETECTOR, FINDER_FILE, SPATIAL_FILE

NEAR_EDGE = 0.09  # the next box is larger than the joints' extent by this share on each side
_NECK, _PELVIS = H36M17.index("neck", "pelvis")
_ANKLES = H36M17.index("r_ankle", "l_ankle")
_LEGS = 1.9  # lengths from pelvis to neck, from the pelvis down to the ankles of one who stands


@dataclass(frozen=True)
class Calibration:
    """What a network's raw outputs mean; written into its weights file by `stpose calibrate`.

    joint: the score is the logistic function of a + b * logit of the mass near the map's summit + c * hidden logit. presence: that
    of a + b * that logit + c * hidden logit, each its mean over the surer half of the joints (half may be hidden or outside of the
    picture). The defaults are guesses for a file that was not calibrated.
    """

    joint: tuple[float, float, float] = (0.0, 1.0, -0.5)
    presence: tuple[float, float, float] = (-1.0, 1.0, -1.0)

    @staticmethod
    def of(header: dict[str, object]) -> Calibration:
        """That of a weights file's header. Raises DetectorError if it holds something else than numbers."""
        given = header.get("calibration")
        if given is None:
            return Calibration()
        try:
            joint, presence = (tuple(float(value) for value in given[name]) for name in ("joint", "presence"))  # type: ignore[index]
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise DetectorError(f"the weights' calibration is damaged: {given!r:.100}") from error
        if len(joint) != 3 or len(presence) != 3 or not np.isfinite([*joint, *presence]).all():
            raise DetectorError(f"the weights' calibration is damaged: {given!r:.100}")
        return Calibration(joint, presence)

    def score(self, mass: Floats, hidden: Floats) -> Floats:
        """(J,) 0..1, of mass near the summit (J,) and hidden logits (J,): the expected share within 0.1 torso of the truth."""
        return _logistic(self.joint[0] + np.tensordot(self.joint[1:], signs(mass, hidden), 1))

    def present(self, mass: Floats, hidden: Floats) -> float:
        """0..1 how likely there is a person, if sixteen places without people are looked at for each with somebody."""
        return float(_logistic(self.presence[0] + np.dot(self.presence[1:], surer_half(mass, hidden))))


class BuiltinDetector(Detector):
    """weights: folder with spatial.safetensors and finder.safetensors; those that ship by default. mirrored: look at each person's
    mirror image as well, at twice the cost. device: "auto", "cpu", "cuda" or "mps": where the networks run.

    runtime: what runs the networks, in which precision and why. Raises DetectorError if there are no weights, WeightsError if they
    are damaged, StposeError if this machine does not have the device.
    """

    name = "builtin"
    skeleton = "h36m17"

    def __init__(self, weights: str | Path | None = None, mirrored: bool = False, device: str = "auto") -> None:
        place = choose_device(device)
        folder = Path(weights) if weights is not None else DETECTOR
        missing = [name for name in (SPATIAL_FILE, FINDER_FILE) if not (folder / name).is_file()]
        if missing:
            what = "the built-in detector has no weights here yet" if weights is None else f"{folder} holds no built-in detector"
            raise DetectorError(
                f"{what} ({' and '.join(missing)} missing); use --detector mediapipe, rtmpose or a keypoint file, "
                "or train some (stpose train detector) and give their folder"
            )
        spatial = read_spatial(folder / SPATIAL_FILE)
        if spatial.config.joints != len(H36M17.joints):
            raise DetectorError(f"{folder / SPATIAL_FILE} finds {spatial.config.joints} joints, not {len(H36M17.joints)}")
        self.calibration = Calibration.of(spatial.header)
        self.mirrored = mirrored
        self._size = spatial.config.size
        self._spatial = make_runner(spatial, place, self._size)
        self._search = Finder(folder / FINDER_FILE, place)
        self.runtime = self._spatial.description

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """As `Finder.find`."""
        return self._search.find(image, thorough)

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The 17 joints of the person in the box."""
        sight = self.look(image, box)
        places, mass = decode(sight.maps, STRIDE)
        xy, hidden = seen_from(sight.matrix, places), sight.hidden.astype(np.float64)
        score = self.calibration.score(mass, hidden)
        return Pose2D(xy, score, self.calibration.present(mass, hidden), next_box(xy, score, box.angle))

    def look(self, image: Image, box: Box) -> JointMaps:
        """The heat maps of the person in the box, for those who want more of them than their summits."""
        rectangle = np.array([box.x0, box.y0, box.x1, box.y1])
        matrix = view_of(rectangle, self._size, angle=box.angle)
        shown = shown_as(cut(image, matrix, self._size))
        maps, hidden = self._joints(shown)
        if self.mirrored:
            maps, hidden = with_mirrored(maps, hidden, *self._joints(shown[..., ::-1]))
        return JointMaps(matrix, maps, hidden)

    def _joints(self, shown: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Maps (J, h, w) and hidden logits (J,) of a view."""
        outputs = self._spatial(shown)
        return outputs["maps"][0], outputs["hidden"][0]

    @property
    def maps(self) -> Callable[[Image, Box], JointMaps]:
        """Those of `look`."""
        return self.look


def signs(mass: Floats, hidden: Floats) -> Floats:
    """(2, ...) what a joint is judged by: the logit of the mass (...) near its summit, and its hidden logit (...), bounded."""
    share = np.clip(mass, 1e-4, 1 - 1e-4)
    return np.stack([np.log(share / (1 - share)), np.clip(hidden, -10, 10)])


def surer_half(mass: Floats, hidden: Floats) -> Floats:
    """(2,) the signs of J joints, each averaged over the half that is surer by it: the highest masses, the least hidden."""
    share, unseen = np.sort(signs(mass, hidden), axis=1)
    return np.array([share[len(share) // 2 :].mean(), unseen[: -(-len(unseen) // 2)].mean()])


def next_box(xy: Floats, score: Floats, angle: float) -> Box:
    """Where to look for a person next: around the joints (J, 2) that were seen, turned as the trunk is.

    angle: that of the last box, which stays where the trunk's direction cannot be told.
    """
    if min(score[[_NECK, _PELVIS]]) >= SEEN:
        angle = trunk_angle(xy, extent(xy, score).size, angle)
    angle = steadied(angle)
    turn = turn_by(angle)
    upright = xy @ turn.T
    around = extent(upright, score)
    if min(score[[_NECK, _PELVIS]]) >= SEEN and max(score[_ANKLES]) < SEEN:
        # Legs that cannot be seen belong to the view as well: whoever is seen as far as the waist is else taken for a small person.
        below = upright[_PELVIS] + _LEGS * (upright[_PELVIS] - upright[_NECK])
        around = extent(np.vstack([upright, below]), np.append(score, 1.0))
    middle, grow = turn.T @ around.centre, NEAR_EDGE * around.size
    half_w, half_h = max((around.x1 - around.x0) / 2 + grow, 1.0), max((around.y1 - around.y0) / 2 + grow, 1.0)
    x, y = (float(value) for value in middle)
    return Box(x - half_w, y - half_h, x + half_w, y + half_h, 1.0, angle)


def trunk_angle(xy: Floats, size: float, otherwise: float = 0.0) -> float:
    """Radians clockwise from the picture's up to the trunk's, of joints (17, 2) of a person of `size` pixels; `otherwise` where the
    trunk is seen along its length, so that its direction says nothing."""
    trunk = xy[_NECK] - xy[_PELVIS]
    return float(np.arctan2(trunk[0], -trunk[1])) if np.hypot(*trunk) > 0.2 * size else otherwise


def _logistic(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -30, 30))))
