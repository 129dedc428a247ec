"""From the landmarks of a face to curves named as ARKit's blend shapes.

1. The landmarks of each frame are scaled, turned and moved so that those that no expression moves fit a mean face. What is left is
   the shape of the face, whatever way the head is turned.
2. A few distances of this shape are measured, such as that between the lids. Their values at rest come from the clip itself: the
   median over the frames in which the head faces the camera and the lips are together.
3. How each blend shape changes the distances, and what a turn of the head adds to them, was measured on rendered heads
   (`benchmarks/face_responses.py`, kept in face.json). The strengths in 0..1 whose changes together come nearest to those of the
   clip are the curves: least squares with a price for each strength, so that few of them explain much.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.animate.smooth import bridge, cutoff, speed_of, whittaker
from stpose_core.data import Array, Mask
from stpose_core.retarget.curves import ARKIT

# Landmarks of MediaPipe's face mesh, of the right side and the left, in pairs; then those in the middle.
PAIRS = (
    (33, 263), (133, 362), (160, 387), (159, 386), (158, 385), (144, 373), (145, 374), (153, 380), (468, 473), (70, 300), (63, 293),
    (53, 283), (107, 336), (55, 285), (66, 296), (65, 295), (61, 291), (78, 308), (37, 267), (39, 269), (84, 314), (181, 405),
    (81, 311), (82, 312), (178, 402), (87, 317), (129, 358), (49, 279), (50, 280), (205, 425), (101, 330), (148, 377), (98, 327),
    (127, 356), (234, 454), (162, 389), (21, 251), (54, 284), (193, 417), (122, 351), (196, 419),
)  # fmt: skip
MIDDLE = (168, 6, 197, 195, 5, 4, 1, 2, 10, 151, 0, 13, 14, 17, 152, 199, 200)
RIGID = (33, 263, 133, 362, 129, 358, 98, 327, 127, 356, 234, 454, 162, 389, 21, 251, 54, 284, 193, 417, 122, 351, 196, 419,
          168, 6, 197, 195, 5, 4, 1, 2, 10, 151)  # fmt: skip
LANDMARKS = sorted({*RIGID, *MIDDLE, *(index for pair in PAIRS for index in pair)})
"""The landmarks of the mesh that are used."""

# Distances: axis (x to the person's left, y up, z forward), and the landmarks between whose means they are. Those of the left side
# are mirrored.
_EYE = (263, 362)
_SIDES = {
    "lids": (1, (387, 386, 385), (373, 374, 380)),
    "lower_lid": (1, (373, 374, 380), _EYE),
    "iris_out": (0, (473,), _EYE),
    "iris_up": (1, (473,), _EYE),
    "inner_brow": (1, (336, 285, 296, 295), _EYE),
    "outer_brow": (1, (300, 293, 283), _EYE),
    "brow_out": (0, (336, 285), (168,)),
    "corner_up": (1, (291, 308), (1, 2)),
    "corner_out": (0, (291, 308), (1, 2)),
    "corner_forward": (2, (291, 308), (1, 2)),
    "upper_lip": (1, (267, 269), (1, 2)),
    "lower_lip": (1, (314, 405), (1, 2)),
    "side_gap": (1, (311, 312), (402, 317)),
    "nostril": (1, (358, 279), (168, 6)),
    "cheek": (1, (280, 425, 330), (168, 6)),
}
_CENTRE = {
    "jaw": (1, (152, 148, 377), (1, 2)),
    "jaw_left": (0, (152, 148, 377), (1, 2)),
    "jaw_forward": (2, (152, 148, 377), (1, 2)),
    "chin": (1, (199, 200), (1, 2)),
    "gap": (1, (13, 82, 312), (14, 87, 317)),
    "mouth_left": (0, (0, 13, 14, 17), (1, 2)),
    "upper_roll": (1, (0, 37, 267), (13, 82, 312)),
    "lower_roll": (1, (14, 87, 317), (17, 84, 314)),
    "upper_forward": (2, (0, 13), (1, 2)),
    "lower_forward": (2, (14, 17), (1, 2)),
}
DISTANCES = (*(f"{name}_{side}" for side in "lr" for name in _SIDES), *_CENTRE)
_AT = {name: number for number, name in enumerate(DISTANCES)}
# Of each eye: the distances of the lids, and those of the iris.
_EYES = [([_AT[f"{name}_{side}"] for name in ("lids", "lower_lid")], [_AT[f"iris_{way}_{side}"] for way in ("out", "up")])
         for side in "lr"]  # fmt: skip
_ASIDE = [_AT[name] for name in ("jaw_left", "mouth_left", "corner_out_l", "corner_out_r")]

_FRONT = np.radians(20.0)  # the head faces the camera if it is turned no further
_CLOSED = 0.2  # of the distance of open lids: what is left between closed ones
_SHUT = 0.6  # of a blink, from which on the iris is hidden
_LEAST_LIDS = 0.03  # of the distance of the outer corners of the eyes
_TOGETHER = 0.03  # lips that are further apart at rest: the mouth is never closed in the clip
_PRICE, _RIDGE = 2.0, 4.0  # of a strength, in standard deviations of the distances: linear and square
_LEAST_SHARE = 0.4  # what the price leaves of a shape is not enlarged any further
_ROUNDS = 40
_PROFILE = np.radians(60.0)  # a head that is turned further hides half of its face
_DOUBT = np.radians(45.0)  # turned so far, twice as much counts as error as from the front
_LARGE = 50.0  # pixels between the outer corners of the eyes; in smaller faces errors are larger, and blinks alike
_NEARLY = 0.1  # a face that is larger by this share has blinks of its own in each eye
_DEPTH = 0.08  # error of the depth of mouth and chin, in distances of the outer corners of the eyes
_CALM = 40.0  # standard deviations a second: distances that change so fast are smoothed half as strongly


def face_curves(points: NDArray[np.float32], fps: float, smooth: float = 0.4) -> dict[str, Array]:
    """The 52 curves (T,) in 0..1 of the landmarks LANDMARKS (T, N, 3): x, y in pixels, z in pixels away from the camera.

    Frames in which the face is not seen, or in profile, are NaN. Blend shapes that landmarks do not show (`shown`) are 0 where the
    face is seen. smooth: as of `stpose_core.animate.animate`.
    """
    points = points.astype(np.float64)
    seen = np.isfinite(points).all(axis=(1, 2))
    turns = np.tile(np.eye(3), (len(points), 1, 1))
    turns[seen] = face_shapes(points[seen])[1]
    yaw = np.abs(of_turn(turns)[:, 0])
    seen &= yaw < _PROFILE
    curves = {name: np.where(seen, 0.0, np.nan) for name in ARKIT}
    if seen.any():
        known = _known()
        shapes, turns = face_shapes(points[seen])
        measured = distances(shapes) - of_turn(turns) @ known.turned
        eyes = [LANDMARKS.index(index) for index in (33, 263)]
        apart = np.linalg.norm(np.diff(points[seen][:, eyes], axis=1)[:, 0], axis=-1)
        changes = _sure(_changes(measured, _rest(measured, turns)), yaw[seen])
        whole = np.zeros((len(points), len(DISTANCES)))
        whole[seen] = _blinking_together(changes, of_turn(turns)[:, 0], apart) / known.sigma
        whole = _smoothed(bridge(whole, ~seen), seen, smooth, fps)
        found = strengths(whole[seen] * known.sigma, np.maximum(_LARGE / apart, 1.0) * (1 + (yaw[seen] / _DOUBT) ** 4))
        for number, name in enumerate(known.names):
            curves[name][seen] = found[:, number]
        for side in ("Left", "Right"):
            curves[f"eyeSquint{side}"] *= 1 - curves[f"eyeBlink{side}"]  # closed lids show no squint
        # As ARKit has it, lips that are closed over an open jaw are both: what is measured is the two together.
        curves["jawOpen"] = np.minimum(curves["jawOpen"] + curves["mouthClose"], 1.0)
    return curves


def shown() -> tuple[str, ...]:
    """The names of the blend shapes that landmarks show."""
    return _known().names


class Known:
    """What was measured on rendered heads.

    mean: (R, 3) the rigid landmarks; outer corners of the eyes are 1 apart. names: of K blend shapes. responses: (K, D) what each
    adds to the distances; mouthClose with the jaw open behind the lips. turned: (4, D) what a turn of the head adds, see `of_turn`.
    sigma: (D,) errors of the distances. lids: their distance in an open eye.
    """

    def __init__(self, content: dict[str, object]) -> None:
        array = lambda name: np.array(content[name], dtype=np.float64) / 1000  # noqa: E731
        responses = content["responses"]
        assert isinstance(responses, dict)
        self.mean, self.turned, self.sigma = array("mean"), array("turned"), array("sigma")
        self.names = tuple(responses)
        self.responses = np.array(list(responses.values()), dtype=np.float64) / 1000
        self.lids = float(array("lids"))


@cache
def _known() -> Known:
    return Known(json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8")))


def face_shapes(points: Array, mean: Array | None = None) -> tuple[Array, Array]:
    """The landmarks (T, N, 3) of a face without its pose, and the turns (T, 3, 3) of the head from the camera's view.

    Axes x to the person's left, y up, z forward, the outer corners of the eyes of a mean face 1 apart. Least squares over the rigid
    landmarks (Umeyama, IEEE PAMI 13, 1991). mean: (R, 3), by default that of face.json.
    """
    mean = _known().mean if mean is None else mean
    flipped = points * np.array([1.0, -1.0, -1.0])
    rigid = flipped[:, [LANDMARKS.index(index) for index in RIGID]]
    middle, target = rigid.mean(axis=1, keepdims=True), mean - mean.mean(axis=0)
    left, scales, right = np.linalg.svd(np.einsum("ri,trj->tij", target, rigid - middle))
    signs = np.ones_like(scales)
    signs[:, 2] = np.sign(np.linalg.det(left @ right))
    turns = (left * signs[:, None]) @ right
    size = (scales * signs).sum(axis=1) / ((rigid - middle) ** 2).sum(axis=(1, 2))
    shapes = size[:, None, None] * (flipped - middle) @ turns.transpose(0, 2, 1) + mean.mean(axis=0)
    return shapes, turns.transpose(0, 2, 1)


def distances(shapes: Array) -> Array:
    """(T, D) the DISTANCES of faces (T, N, 3)."""
    place = {index: number for number, index in enumerate(LANDMARKS)}
    other = {**{left: right for right, left in PAIRS}, **{index: index for index in MIDDLE}}

    def between(axis: int, ends: tuple[int, ...], starts: tuple[int, ...]) -> Array:
        end, start = (shapes[:, [place[index] for index in some], axis].mean(axis=1) for some in (ends, starts))
        return np.asarray(end - start)

    left = [between(*what) for what in _SIDES.values()]
    right = []
    for axis, ends, starts in _SIDES.values():
        sign = -1.0 if axis == 0 else 1.0
        right.append(sign * between(axis, tuple(other[index] for index in ends), tuple(other[index] for index in starts)))
    return np.stack([*left, *right, *(between(*what) for what in _CENTRE.values())], axis=1)


def of_turn(turns: Array) -> Array:
    """(T, 4) yaw, pitch and their squares, radians: what the error that a turn of the head makes is linear in."""
    yaw, pitch, _ = Rotation.from_matrix(turns).as_euler("YXZ").T
    return np.stack([yaw, pitch, yaw**2, pitch**2], axis=1)


def _rest(measured: Array, turns: Array) -> Array:
    """(D,) the distances of the face at rest."""
    known = _known()
    turned = np.abs(of_turn(turns)[:, :2]).max(axis=1)
    front = turned <= max(_FRONT, float(np.percentile(turned, 20)))
    together = front & (measured[:, _AT["gap"]] <= np.median(measured[front, _AT["gap"]]))
    rest = np.median(measured[together], axis=0)
    aside = [iris[0] for _, iris in _EYES]
    rest[aside] = rest[aside].mean()  # eyes that look straight ahead are mirror images, wherever they look in the clip
    if rest[_AT["gap"]] > _TOGETHER:
        jaw = known.responses[known.names.index("jawOpen")]
        rest = rest - jaw * rest[_AT["gap"]] / jaw[_AT["gap"]]
    return np.asarray(rest)


def _changes(measured: Array, rest: Array) -> Array:
    """(N, D) the distances less those at rest. Those of the lids are relative to the eye's opening; while they are closed, the iris
    goes straight from where it was to where it is next seen."""
    changes, known = measured - rest, _known()
    for lids, iris in _EYES:
        changes[:, lids] *= known.lids / max(rest[lids[0]], _LEAST_LIDS)
        changes[:, lids[0]] = np.maximum(changes[:, lids[0]] / (1 - _CLOSED), -known.lids)
        changes[:, iris] = bridge(changes[:, iris], changes[:, lids[0]] < -_SHUT * known.lids)
    return changes


def _sure(changes: Array, yaw: Array) -> Array:
    """Changes (N, D) less what errors of the depth make of those to the side in a head that is turned by yaw (N,): its depth is
    seen from the side, and faces are not as deep as the mean face."""
    sure, most = changes.copy(), _DEPTH * np.sin(yaw)[:, None]
    sure[:, _ASIDE] = np.sign(changes[:, _ASIDE]) * np.maximum(np.abs(changes[:, _ASIDE]) - most, 0.0)
    return sure


def _blinking_together(changes: Array, yaw: Array, apart: Array) -> Array:
    """Changes (N, D) in which both eyes have the lids of the one that is seen better, or their mean from the front, where a blink
    would look like a wink: in heads turned by yaw (N,), and where the eyes are few pixels apart (N,)."""
    small, aside = 1 - (apart / _LARGE - 1) / _NEARLY, (np.abs(yaw) / _FRONT - 1) / 0.5
    share = np.clip(np.maximum(small, aside), 0.0, 1.0)[:, None]
    (left, _), (right, _) = _EYES
    part = np.clip(0.5 - yaw / (2 * _FRONT), 0.0, 1.0)[:, None]  # a head that turns to its left hides its left eye
    both, result = part * changes[:, left] + (1 - part) * changes[:, right], changes.copy()
    for lids in (left, right):
        result[:, lids] += share * (both - changes[:, lids])
    return result


def _smoothed(values: Array, seen: Mask, smooth: float, fps: float) -> Array:
    """Values (T, D) in standard deviations, each smoothed by how fast it changes; frames without a face hardly count."""
    if smooth <= 0 or len(values) < 3:
        return values
    weights, result = np.where(seen, 1.0, 0.01), np.empty_like(values)
    for column in range(values.shape[1]):
        one = values[:, column : column + 1]
        speed = speed_of(one, weights, fps)
        result[:, column] = whittaker(one, weights, cutoff(smooth) * (1 + speed / _CALM), fps)[:, 0]
    return result


def strengths(changes: Array, doubt: Array | float = 1.0) -> Array:
    """(T, K) in 0..1 of the blend shapes `shown` that best explain changes (T, D) of the distances: coordinate descent.

    doubt: (T,) how many times as large as usual the errors of the distances are."""
    known = _known()
    basis, target = known.responses / known.sigma, changes / known.sigma
    gram = basis @ basis.T
    found = np.zeros((len(changes), len(basis)))
    wanted = target @ basis.T - _PRICE * np.reshape(doubt, (-1, 1)) * np.linalg.norm(basis, axis=1)
    for _ in range(_ROUNDS):
        for shape in range(len(basis)):
            rest = wanted[:, shape] - found @ gram[shape] + found[:, shape] * gram[shape, shape]
            found[:, shape] = np.clip(rest / (gram[shape, shape] + _RIDGE), 0.0, 1.0)
    # What the price takes from a shape that is alone at full strength.
    alone = (gram.diagonal() - _PRICE * np.sqrt(gram.diagonal())) / (gram.diagonal() + _RIDGE)
    return np.minimum(found / np.maximum(alone, _LEAST_SHARE), 1.0)
