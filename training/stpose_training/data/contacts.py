"""True foot contacts of marker mocap, from the toe joints that the 17 positions lack and the rotations have.

A part of a foot is in contact while it is low and slow. Floors of recordings are not level (some takes rise by 8 cm over three
steps), and each rig's joints stand at their own heights. So a robust fit to the slow frames gives each clip a floor plane and
each foot part the height at which it stands. On steps and uneven ground a foot part is compared with its own height a little
earlier and later.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.spatial.transform import Rotation

from stpose_core.errors import FormatError
from stpose_training.data.mocap import MOCAP_FPS, Clip

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: (ankle, ball of the foot) of the left and the right foot, by rig.
FEET = (
    (("lfoot", "ltoes"), ("rfoot", "rtoes")),
    (("LeftFoot", "LeftToeBase"), ("RightFoot", "RightToeBase")),
    (("lFoot", "lFoot_End"), ("rFoot", "rFoot_End")),
)
_LOW, _SLOW, _SECONDS = 0.05, 0.3, 0.1  # m, m/s, s
_OF_SWING, _AROUND = 0.075, 0.5  # a runner's foot skids: slow is also this share of its top speed within so many s
# Where the heel lies from the ankle: behind it by a share of the foot, below it by a share of the shin.
_HEEL, _ANKLE_HEIGHT = 0.4, 0.16
_UNEVEN = ("climb", "playground", "uneven", "stool", "ladder", "jump up to grab", "motorcycle")
_LOCAL = 0.4  # s before and after, on uneven ground
_TILT, _HEIGHT_ERROR = 0.03, 0.1  # standard deviations of a floor's slope, and in m of a height (of frames that are alike)


@lru_cache(maxsize=4)
def _index(folder: Path) -> dict[str, tuple[str, str]]:
    with (folder / "index.csv").open(newline="") as handle:
        return {row["clip"]: (row["file"], row["action"]) for row in csv.DictReader(handle)}


def foot_points(folder: str | Path, name: str) -> Array | None:
    """(T, 4, 3) left heel, left ball, right heel, right ball in metres, z up, 30 fps; None for a rig without toes and for a clip
    whose rotations the folder lacks.

    Raises FormatError if the folder has no such clip.
    """
    folder = Path(folder)
    if name not in _index(folder):
        raise FormatError(f"{folder}: no clip '{name}'")
    file = folder / _index(folder)[name][0].replace("positions17", "rotations")
    if not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as archive:
        if f"{name}__names" not in archive.files:
            return None
        names = [str(joint) for joint in archive[f"{name}__names"]]
        rig = next((feet for feet in FEET if all(joint in names for foot in feet for joint in foot)), None)
        if rig is None:
            return None
        clip = {key: archive[f"{name}__{key}"] for key in ("quats", "root_pos", "offsets", "parents")}
    points = []
    for ankle, ball in (tuple(names.index(joint) for joint in foot) for foot in rig):
        place, turn = _forward(clip, ankle)
        shin, foot = clip["offsets"][ankle], clip["offsets"][ball]
        down = shin - (shin @ foot) / (foot @ foot) * foot
        heel = _ANKLE_HEIGHT * np.linalg.norm(shin) * down / np.linalg.norm(down) - _HEEL * foot
        points += [place + turn.apply(heel), place + turn.apply(foot)]
    return np.stack(points, axis=1)


def _forward(clip: dict[str, np.ndarray], joint: int) -> tuple[Array, Rotation]:
    """(T, 3) positions and world rotations of one joint by forward kinematics along its chain."""
    chain = [joint]
    while clip["parents"][chain[0]] >= 0:
        chain.insert(0, int(clip["parents"][chain[0]]))
    place = np.asarray(clip["root_pos"], np.float64)
    turn = Rotation.from_quat(clip["quats"][:, chain[0]][:, [1, 2, 3, 0]])
    for link in chain[1:]:
        place = place + turn.apply(clip["offsets"][link])
        turn = turn * Rotation.from_quat(clip["quats"][:, link][:, [1, 2, 3, 0]])
    return place, turn


def is_level(folder: str | Path, name: str) -> bool:
    """Whether a clip was recorded on a level floor, by the words of its action."""
    action = _index(Path(folder))[name][1].lower()
    return not any(word in action for word in _UNEVEN)


def foot_contacts(folder: str | Path, name: str) -> Mask | None:
    """(T, 4) whether left heel, left toe, right heel, right toe are on the ground; None for a rig without usable feet.

    On the ground: less than 5 cm above where that part stands and slower than 0.3 m/s (0.5 m/s for a runner's feet), for at
    least 0.1 s.
    """
    points = foot_points(folder, name)
    return None if points is None else contacts_of(points, is_level(folder, name))


def with_contacts(folder: str | Path, clips: Sequence[Clip]) -> list[Clip]:
    """The clips of a folder with their foot contacts, where those are known."""
    return [replace(clip, contacts=foot_contacts(folder, clip.name)) for clip in clips]


def contacts_of(points: Array, level: bool = True, fps: float = MOCAP_FPS) -> Mask:
    """As `foot_contacts`, from foot points (T, 4, 3), metres, z up. level: the floor is a plane."""
    frames = len(points)
    if frames < 3:
        return np.zeros((frames, points.shape[1]), bool)
    speed = speeds(points, fps)
    fastest = maximum_filter1d(speed, 2 * round(_AROUND * fps) + 1, axis=0, mode="nearest")
    slow = speed < np.maximum(_SLOW, _OF_SWING * fastest)
    if level:
        height = heights(points, slow)
    else:
        reach = 2 * round(_LOCAL * fps) + 1
        height = points[..., 2] - minimum_filter1d(points[..., 2], reach, axis=0, mode="nearest")
    return _lasting(slow & (height < _LOW), max(1, round(_SECONDS * fps)))


def heights(points: Array, slow: Mask) -> Array:
    """(T, 4) metres of each foot part above where it stands. points: (T, 4, 3), z up; slow: (T, 4) frames that may be contacts."""
    middle = points[..., :2].mean((0, 1))
    level = np.percentile(points[..., 2], 10, axis=0)
    slope = np.zeros(2)
    for scale in (0.08, 0.05, 0.03, 0.03, 0.03):
        height = points[..., 2] - (points[..., :2] - middle) @ slope - level
        # Tukey's biweight. What is above the floor may be a foot that is held there, so it counts less than what is below.
        width = np.where(height > 0, scale, 2 * scale)
        weight = np.where(slow, np.clip(1 - (height / width) ** 2, 0, None) ** 2, 0.0)
        frame, part = np.nonzero(weight > 0)
        if len(frame) < 10:
            break
        rows = np.zeros((len(frame), 2 + points.shape[1]))
        rows[:, :2] = points[frame, part, :2] - middle
        rows[np.arange(len(frame)), 2 + part] = 1.0
        w = weight[frame, part, None]
        # The prior keeps the slope near 0 where the feet stay in place, and the height of a part that is never slow.
        prior = np.diag([_HEIGHT_ERROR**2 / _TILT**2] * 2 + [1e-6] * points.shape[1])
        right = rows.T @ (w[:, 0] * points[frame, part, 2]) + 1e-6 * np.concatenate([np.zeros(2), level])
        found = np.linalg.solve(rows.T @ (w * rows) + prior, right)
        slope, level = found[:2], found[2:]
    return np.asarray(points[..., 2] - (points[..., :2] - middle) @ slope - level)


def _lasting(states: Mask, shortest: int) -> Mask:
    """`states` (T, P) without runs that are shorter than `shortest` frames."""
    kept = np.zeros_like(states)
    for part in range(states.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], states[:, part], [False])).astype(int)))
        for start, stop in zip(edges[::2], edges[1::2]):
            kept[start:stop, part] = stop - start >= shortest
    return kept


def speeds(points: Array, fps: float = MOCAP_FPS) -> Array:
    """(T, P) m/s of points (T, P, 3): the slower of the steps to the frame before and after, so that a contact keeps its ends."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1) * fps
    return np.minimum(np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]]))
