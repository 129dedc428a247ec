"""The motion of a picture whose camera turns and zooms about one point, fitted to tracked points.

A point (x, y) of one picture, in pixels from the principal point, is the ray (x / f, y / f, 1). After a turn Q (the first
picture's camera axes to the second's) and a zoom z it is seen at f z (p_x / p_z, p_y / p_z) with p = Q ray: the homography
K2 Q K1^-1 with four unknowns (Hartley and Zisserman 2004, section 8.4), where a free one has eight. All functions work on M
fits at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array, Mask

# RANSAC (Fischler and Bolles 1981): pairs of points that are tried, and rounds of Gauss-Newton for each.
_SAMPLES, _SAMPLE_ROUNDS = 48, 4
_ROUNDS, _QUICK_ROUNDS = 8, 3
_MOST = 0.6  # share of the points that agree with a turn, from which on no other one can have more by far
_NEAREST = 0.05  # depth of a ray after a turn, as a share of its length along the axis: beyond, a point is behind the camera
_FIRM = np.full(4, 1e-6)
_ZOOMED = 1.25  # times as many points have to agree with a zoom as without
_STILL = 0.5  # of the points that move alike, as many have to stay where they are for the camera to be still
_STEADY = np.array([1e-3, 1e-3, 1e-3, 1e-2])  # regularises roll and zoom, which a pair of points may not determine


@dataclass(frozen=True)
class Turns:
    """M turns of a camera. rotation: (M, 3, 3), from the first picture's camera axes to the second's. zoom: (M,) log of the
    second picture's focal length over the first's."""

    rotation: Array
    zoom: Array

    @staticmethod
    def none(count: int = 1) -> Turns:
        """No turn at all."""
        return Turns(np.tile(np.eye(3), (count, 1, 1)), np.zeros(count))

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Turns:
        return Turns(self.rotation[rows], self.zoom[rows])

    @staticmethod
    def joined(parts: Sequence[Turns]) -> Turns:
        """Several one after another."""
        return Turns(np.concatenate([part.rotation for part in parts]), np.concatenate([part.zoom for part in parts]))


def relative(a: Turns, b: Turns) -> Turns:
    """The turns from poses a to poses b. A pose is a rotation from camera axes to those of the path, with the zoom so far."""
    return Turns(b.rotation.swapaxes(1, 2) @ a.rotation, b.zoom - a.zoom)


@dataclass(frozen=True)
class Lens:
    """The camera in pixels of the small picture. focal: at the beginning. centre: (2,) principal point. size: (width, height)."""

    focal: float
    centre: Array
    size: tuple[int, int]

    def apart(self, a: Turns, b: Turns) -> Array:
        """(M,) pixels that the picture moves between two poses: root mean square over the picture."""
        across, down = (np.array([0.1, 0.5, 0.9]) * side - middle for side, middle in zip(self.size, self.centre))
        grid = np.stack(np.meshgrid(across, down), -1).reshape(1, -1, 2)
        there = moved(grid, relative(a, b), self.focal * np.exp(a.zoom))
        return np.asarray(np.sqrt((np.nan_to_num(there - grid, nan=max(self.size)) ** 2).sum(-1).mean(-1)))


@dataclass(frozen=True, eq=False)
class Link:
    """A frame as found in a key frame. frame, key: their numbers. share: of the corners in view, those that agreed at first.

    points, targets: (N, 2) corners in the key frame and in the frame, pixels of the small picture from the principal point.
    turn: how the camera turned, as first fitted. zoom: log of the key frame's zoom, likewise. still: share of the corners
    found that did not move.
    """

    frame: int
    key: int
    points: NDArray[np.float32]
    targets: NDArray[np.float32]
    turn: Turns
    zoom: float
    share: float
    still: float


def padded(links: Sequence[Link]) -> tuple[Array, Array, Array, Turns]:
    """Points and targets (L, N, 2), weights (L, N), and the first turns of links with different numbers of corners."""
    most = max(len(link.points) for link in links)
    points, targets, weights = np.zeros((len(links), most, 2)), np.zeros((len(links), most, 2)), np.zeros((len(links), most))
    for row, link in enumerate(links):
        size = len(link.points)
        points[row, :size], targets[row, :size], weights[row, :size] = link.points, link.targets, 1
    return points, targets, weights, Turns.joined([link.turn for link in links])


def moved(points: Array, turns: Turns, focal: Array) -> Array:
    """(M, N, 2) where points (M, N, 2) of the first picture are in the second; NaN behind the camera. focal: (M,) of the first."""
    a, b = _slopes(points, turns, focal)
    return (focal * np.exp(turns.zoom))[:, None, None] * np.stack([a, b], -1)


def fit(
    points: Array,
    targets: Array,
    weights: Array,
    focal: Array,
    start: Turns,
    scale: float,
    zoom: bool = True,
    rounds: int = _ROUNDS,
) -> Turns:
    """The turns that carry points onto targets, both (M, N, 2), robustly: Gauss-Newton with Cauchy's weights.

    weights: (M, N), 0 for what does not count. scale: pixels from which on a residual counts less. zoom: whether to fit it, too.
    """
    turns = start
    for done in range(rounds):
        # From wide to narrow, so that a start some pixels off does not settle on the few points that happen to agree.
        turns = _step(points, targets, weights, focal, turns, scale * max(1.0, 4.0 * 0.4**done), zoom, _FIRM)
    # A step towards the nearest rotation (Newton): products of products leave the rotations, the faster the further they are.
    rotation = turns.rotation
    return Turns(1.5 * rotation - 0.5 * rotation @ rotation.swapaxes(1, 2) @ rotation, turns.zoom)


def consensus(
    points: Array, targets: Array, focal: float, start: Turns, near: float, draw: np.random.Generator
) -> tuple[Turns, Mask]:
    """One turn that most of the points (N, 2) agree with, and (N,) which ones do, to within `near` pixels.

    start: the expected turn. Where most points agree with what it leads to, there is no need to try others. A zoom is only taken
    where more points agree with it: points on one side of the picture cannot tell it from a turn. And where half as many points as
    move alike do not move at all, the camera is still: the moving points are on undetected people.
    """
    one, goal, focals = points[None], targets[None], np.array([focal])

    def settled(chosen: Mask, turn: Turns, zoom: bool) -> tuple[Turns, Mask]:
        turn = fit(one, goal, chosen[None].astype(float), focals, turn, near, zoom, _QUICK_ROUNDS)
        return turn, errors(one, goal, turn, focals)[0] < near

    turn, agree = settled(np.ones(len(points), bool), start, False)
    if agree.mean() > _MOST:
        return turn, agree
    still = np.linalg.norm(targets - points, axis=1) < near / 2
    zoomed, more = settled(np.ones(len(points), bool), start, True)
    if more.mean() <= _MOST:
        guess = _sampled(points, targets, focal, start, near, draw)
        chosen = errors(one, goal, guess, focals)[0] < near
        zoomed, more = settled(chosen, guess, True)
        turn, agree = settled(chosen, Turns(guess.rotation, start.zoom), False)
    if more.sum() > _ZOOMED * agree.sum():
        turn, agree = zoomed, more
    return settled(still, Turns.none(), False) if still.sum() > _STILL * agree.sum() else (turn, agree)


def _sampled(points: Array, targets: Array, focal: float, start: Turns, near: float, draw: np.random.Generator) -> Turns:
    """The best of the expected turn and of those made of pairs of points."""
    count = len(points)
    pairs = draw.integers(0, count, (_SAMPLES, 2))
    pairs[:, 1] = (pairs[:, 0] + 1 + draw.integers(0, count - 1, _SAMPLES)) % count
    guesses = Turns(np.repeat(start.rotation, _SAMPLES, 0), np.repeat(start.zoom, _SAMPLES))
    for _ in range(_SAMPLE_ROUNDS):
        guesses = _step(
            points[pairs], targets[pairs], np.ones((_SAMPLES, 2)), np.full(_SAMPLES, focal), guesses, np.inf, True, _STEADY
        )
    tried = Turns.joined([start, guesses])
    many = len(tried.zoom)
    error = errors(np.tile(points, (many, 1, 1)), np.tile(targets, (many, 1, 1)), tried, np.full(many, focal))
    # Truncated squares (MSAC): among guesses with the same points, the one that fits them better.
    best = int(np.minimum((error / near) ** 2, 1).sum(1).argmin())
    return tried[best : best + 1]


def errors(points: Array, targets: Array, turns: Turns, focal: Array) -> Array:
    """(M, N) pixels between where the turns carry the points and where they were found; infinite behind the camera."""
    return np.nan_to_num(np.linalg.norm(moved(points, turns, focal) - targets, axis=-1), nan=np.inf)


def _slopes(points: Array, turns: Turns, focal: Array) -> tuple[Array, Array]:
    """x / z and y / z of the rays after the turn, (M, N) each; NaN behind the camera."""
    rays = np.concatenate([points / focal[:, None, None], np.ones((*points.shape[:2], 1))], -1) @ turns.rotation.swapaxes(1, 2)
    depth = np.where(rays[..., 2] > _NEAREST, rays[..., 2], np.nan)
    return rays[..., 0] / depth, rays[..., 1] / depth


def _step(
    points: Array, targets: Array, weights: Array, focal: Array, turns: Turns, scale: float, zoom: bool, steady: Array
) -> Turns:
    a, b = _slopes(points, turns, focal)
    there = np.isfinite(a)
    a, b = np.where(there, a, 0.0), np.where(there, b, 0.0)
    size = (focal * np.exp(turns.zoom))[:, None]
    miss = targets / size[..., None] - np.stack([a, b], -1)
    counts = weights * there
    if np.isfinite(scale):
        counts = counts / (1 + (miss**2).sum(-1) * (size / scale) ** 2)
    # How a and b change with a small turn about x, y and z after the present one, and with the log of the zoom.
    by_a = np.stack([-a * b, 1 + a * a, -b, a], -1)
    by_b = np.stack([-1 - b * b, a * b, a, b], -1)
    unknowns = 4 if zoom else 3
    by = np.concatenate([by_a, by_b], 1)[..., :unknowns]
    weighted = by * np.concatenate([counts, counts], 1)[..., None]
    normal = weighted.swapaxes(1, 2) @ by
    total = counts.sum(1)[:, None] + 1e-9
    normal[:, range(unknowns), range(unknowns)] += total * steady[:unknowns]
    right = weighted.swapaxes(1, 2) @ np.concatenate([miss[..., 0], miss[..., 1]], 1)[..., None]
    change = np.linalg.solve(normal, right)[..., 0]
    # A step of more than half a radian is a failure of the sample, not a turn.
    change = np.clip(change, -0.5, 0.5)
    return Turns(small_rotations(change[:, :3]) @ turns.rotation, turns.zoom + change[:, 3] if zoom else turns.zoom)


def small_rotations(vectors: Array) -> Array:
    """(M, 3, 3) rotation matrices of rotation vectors (M, 3), rad (Rodrigues' formula)."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None] + 1e-12
    x, y, z = vectors.T
    cross = np.zeros((len(vectors), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross = cross - cross.swapaxes(1, 2)
    return np.eye(3) + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / angle**2 * (cross @ cross)
