"""The path of a camera from the matches of all frames: a final fit of every frame to its key frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from stpose_core.data import Array, Camera, CameraPath
from stpose_core.world.focal_length import measured_focal
from stpose_core.world.turning import Lens, Link, Turns, errors, fit, padded

SCALE = 0.5  # pixels of the small picture from which on a corner counts less
NEAR = 1.0  # pixels, within which a corner agrees in the end
ZOOMED, BETTER = 0.03, 0.1  # range of the zoom's log, and share of corners that agree only with a zoom, for it to be believed
STEADY, NOISE = 0.98, 0.8  # share of the frames, and pixels that they move in the picture of a static camera
# Share of the corners agreeing with the estimated turn that also agree with no turn at all; share of the frames for which that must
# hold; and pixels that they may move then, instead of NOISE: key frames that follow one another add their errors.
UNMOVED, FRAMES, DRIFT = 0.5, 0.95, 2.4
FULL, SPREAD, AGREED = 30, 5, 0.5  # corners, twelfths of the picture that hold some, and share that agrees, for full confidence


@dataclass(frozen=True, eq=False)
class Followed:
    """The matches of one path. start: number of its first frame; the path ends where the next one starts.

    links: the matched frames, rising. lost: numbers of the frames without a match.
    """

    start: int
    links: Sequence[Link]
    lost: Sequence[int]


def solve(paths: Sequence[Followed], frames: int, camera: Camera, lens: Lens, known: bool, decide: bool) -> CameraPath:
    """The path of the camera over all frames.

    camera: as known or assumed, for the whole picture; lens: the same for the small one. known: whether the focal length is known.
    decide: whether a static camera is detected.
    """
    step = camera.focal / lens.focal
    if not known:
        focal = measured_focal([link for path in paths for link in path.links], lens.size)
        lens = Lens(focal or lens.focal, lens.centre, lens.size)
    ends = [*(path.start for path in paths[1:]), frames]
    parts = [_solved(path, end - path.start, lens, decide) for path, end in zip(paths, ends)]
    turns = Turns.joined([turns for turns, _ in parts])
    return CameraPath(
        focal=step * lens.focal * np.exp(turns.zoom),
        centre=camera.centre,
        rotation=turns.rotation,
        position=np.zeros((frames, 3)),
        confidence=np.concatenate([confidence for _, confidence in parts]),
        shot=np.repeat(np.arange(len(paths)), [len(confidence) for _, confidence in parts]),
        static=bool((turns.rotation == np.eye(3)).all() and not turns.zoom.any()),
    )


def _solved(path: Followed, count: int, lens: Lens, decide: bool) -> tuple[Turns, Array]:
    """Poses and confidence of one path, frame by frame."""
    if not path.links:
        return Turns.none(count), np.zeros(count)
    turns, error = chained(path.links, lens.focal, False)
    zoomed, less = chained(path.links, lens.focal, True)
    if np.ptp(np.quantile(zoomed.zoom, [0.02, 0.98])) > ZOOMED and _agreeing(less) - _agreeing(error) > BETTER:
        turns, error = zoomed, less
    at = np.array([link.frame for link in path.links]) - path.start
    sure = [_sureness(link, miss[: len(link.points)], lens) for link, miss in zip(path.links, error)]
    confidence = np.interp(np.arange(count), at, sure)
    # The last frames without a match belong to the next path.
    confidence[[number - path.start for number in path.lost if number - path.start < count]] = 0.0
    if decide and _is_static(path.links, turns, error, lens):
        return Turns.none(count), confidence
    # The first key frame has no match; before it, no corner was visible.
    root = path.links[0].key - path.start
    begun = sorted({0, root})
    turns = Turns.joined([Turns.none(len(begun)), turns])
    return _between(np.concatenate([begun, at]), turns, count), confidence


def _is_static(links: Sequence[Link], turns: Turns, error: Array, lens: Lens) -> bool:
    """Whether the camera stands still: the estimated poses hardly differ, or differ a little though most corners did not move."""
    moves = float(np.quantile(lens.apart(turns[_middle(turns, lens)], turns), STEADY))
    if moves < NOISE or moves > DRIFT:
        return moves < NOISE
    unmoved = np.array([(np.linalg.norm(link.points - link.targets, axis=1) < NEAR).sum() for link in links])
    agreeing = np.maximum((error < NEAR).sum(axis=1), 1)
    return bool((unmoved > UNMOVED * agreeing).mean() >= FRAMES)


def chained(links: Sequence[Link], focal: float, zoom: bool) -> tuple[Turns, Array]:
    """Poses of the links' frames, and (L, N) pixels of error of their corners, NaN for links with fewer than N corners."""
    row_of = {link.frame: row for row, link in enumerate(links)}
    poses = Turns.none(len(links))
    error = np.full((len(links), max(len(link.points) for link in links)), np.nan)
    # A key frame was matched with an earlier one, so its pose is known when it is needed.
    for key in sorted({link.key for link in links}):
        rows = np.flatnonzero([link.key == key for link in links])
        base = poses[row_of[key] : row_of[key] + 1] if key in row_of else Turns.none()
        points, targets, weights, start = padded([links[row] for row in rows])
        focals = np.full(len(rows), focal * np.exp(base.zoom[0]))
        turns = fit(points, targets, weights, focals, Turns(start.rotation, start.zoom * zoom), SCALE, zoom)
        error[rows, : weights.shape[1]] = np.where(weights > 0, errors(points, targets, turns, focals), np.nan)
        poses.rotation[rows] = base.rotation @ turns.rotation.swapaxes(1, 2)
        poses.zoom[rows] = base.zoom + turns.zoom
    return poses, error


def _agreeing(error: Array) -> float:
    return float((error < NEAR).sum() / np.isfinite(error).sum())


def _sureness(link: Link, error: Array, lens: Lens) -> float:
    """Confidence in one frame: number of corners that agree, their spread, and their share of the visible ones."""
    near = link.targets[error < NEAR] + lens.centre
    cells = np.clip(near / lens.size * (4, 3), 0, (3, 2)).astype(int)
    spread = len(np.unique(cells[:, 0] * 3 + cells[:, 1]))
    return float(min(1, len(near) / FULL) * min(1, spread / SPREAD) * min(1, link.share / AGREED))


def _middle(turns: Turns, lens: Lens) -> slice:
    """The pose of median distance from the first one."""
    away = lens.apart(Turns.none(), turns)
    row = int(np.argsort(away)[len(away) // 2])
    return slice(row, row + 1)


def _between(at: Array, turns: Turns, count: int) -> Turns:
    """Poses of all `count` frames from those `at` two or more."""
    frames = np.clip(np.arange(count), at[0], at[-1])
    rotation = Slerp(at, Rotation.from_matrix(turns.rotation))(frames).as_matrix()
    return Turns(np.asarray(rotation), np.interp(frames, at, turns.zoom))
