"""What heat maps tell of the places of joints in the picture that their peaks and scores do not: no lifter is involved."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from map_errors import AROUND, Floats, Mask, groups, true_places
from map_samples import part_of
from map_scenes import SEEN, Scene
from numpy.typing import NDArray

from stpose_core.data import Camera
from stpose_core.lift.normalise import network_inputs, person_view
from stpose_core.networks.heads import summaries

ROWS = ("all", "in view", "hidden", "hidden, by the own body", "hidden, by people or things", "outside of the picture",
        "hidden, and below the score that counts as seen", "frames with exchanged sides")  # fmt: skip
_FAR, _RIDGE = 1.0, 1.0  # person sizes: joints further off are not fitted; weight that keeps the fit small


@dataclass(frozen=True)
class Places:
    """Of N frames of scenes, in the person's own view, person sizes: true, found (N, 17, 2). numbers: (N, 17, 10) of the maps
    (`summaries`). score: (N, 17). rows: (N, 17) each, what a row of the table is about."""

    true: Floats
    found: Floats
    numbers: Floats
    score: Floats
    rows: dict[str, Mask]


def places_of(scenes: list[Scene]) -> Places:
    """All frames of the scenes."""
    parts = []
    for scene in scenes:
        frames = np.arange(len(scene.joints))
        maps = part_of(scene, frames, np.ones(len(frames), bool), True).maps
        assert maps is not None
        camera = Camera.assumed(scene.keypoints.image_size)
        rays = (np.nan_to_num(scene.keypoints.xy) - np.asarray(camera.centre)) / camera.focal
        flat, likely = torch.from_numpy(rays).float()[None], torch.from_numpy(scene.keypoints.score).float()[None]
        view = person_view(flat, likely)
        true = torch.from_numpy(scene.joints[..., :2] / scene.joints[..., 2:] * scene.focal / camera.focal).float()[None]
        seen = [network_inputs(each, torch.ones_like(likely), view)[0][0, ..., :2].double().numpy() for each in (true, flat)]
        parts.append((*seen, summaries(maps)[0].double().numpy(), scene.keypoints.score, groups(scene)))
    columns = list(zip(*parts))
    true_all, found_all, numbers, score = (np.concatenate(column) for column in columns[:4])
    return Places(true_all, found_all, numbers, score, {row: np.concatenate([rows[row] for rows in columns[4]]) for row in ROWS})


def _hints(places: Places) -> Floats:
    """(N, 17, 2, 4) where the true place may lie, from the found one: towards the second maximum by its height and by the square of
    it, and towards the mean of the map and by the doubt in the joint."""
    height = places.numbers[..., 7:8]
    second = places.numbers[..., 8:10] - height * places.found
    mean = places.numbers[..., 3:5] - places.found
    return np.stack([second, second * height, mean, mean * (1 - places.score[..., None])], -1)


def corrected(fitted: Places, places: Places) -> Floats:
    """(N, 17, 2): the found places corrected by the maps, with weights for each joint by least squares on other scenes."""
    hints, others, moved = _hints(places), _hints(fitted), places.found.copy()
    for joint in range(places.true.shape[1]):
        inputs, wanted = others[:, joint].reshape(-1, 4), (fitted.true - fitted.found)[:, joint].ravel()
        near = np.abs(wanted) < _FAR
        inputs, wanted = inputs[near], wanted[near]
        weights = np.linalg.solve(inputs.T @ inputs + _RIDGE * np.eye(4), inputs.T @ wanted)
        moved[:, joint] += hints[:, joint] @ weights
    return moved


def explained(fitted: Places, places: Places, maps: bool, row: str) -> float:
    """Share of the variance of the logarithm of the error that the score explains, and with maps also their spreads, second maxima
    and means; least squares on other scenes."""

    def inputs(of: Places) -> NDArray[np.float64]:
        score, numbers = of.score, of.numbers
        columns = [np.ones_like(score), score, score**2, np.log(score + 0.01)]
        if maps:
            off = np.linalg.norm(numbers[..., 3:5] - numbers[..., :2], axis=-1)
            columns += [numbers[..., 5], numbers[..., 6], numbers[..., 7], off]
        return np.stack(columns, -1)[of.rows[row]]

    def errors(of: Places) -> Floats:
        return np.asarray(np.log(np.linalg.norm(of.true - of.found, axis=-1) + 0.02)[of.rows[row]])

    weights = np.linalg.lstsq(inputs(fitted), errors(fitted), rcond=None)[0]
    true = errors(places)
    return float(1 - np.mean((true - inputs(places) @ weights) ** 2) / true.var())


def information(fitted: Places, places: Places) -> str:
    """Markdown. fitted: of training subjects; places: of those that are measured."""
    height = places.numbers[..., 7:8]
    second = np.where(height > 0.05, places.numbers[..., 8:10] / np.maximum(height, 1e-6), np.inf)
    peak, read, other = (np.linalg.norm(places.true - at, axis=-1) for at in (places.found, corrected(fitted, places), second))
    lines = ["| joints | number | peak | corrected by its map | the better of two maxima |", "|---|---|---|---|---|"]
    for row, chosen in places.rows.items():
        if chosen.any():
            means = [each[chosen].mean() for each in (peak, read, np.minimum(peak, other))]
            shown = [f"{mean:.3f} ({mean / means[0]:.2f})" for mean in means[1:]]
            lines.append(f"| {row} | {chosen.sum()} | {means[0]:.3f} | " + " | ".join(shown) + " |")
    for row in ("all", "hidden"):
        score, both = (explained(fitted, places, maps, row) for maps in (False, True))
        lines.append(f"\nVariance of the logarithm of the error, {row}: {score:.2f} explained by scores, {both:.2f} with maps")
    return "\n".join(lines)


def better_of_two(scene: Scene) -> Scene:
    """The scene with every hidden joint found at its map's highest or second maximum, whichever is nearer to the truth. No method
    knows which: this is a bound."""
    maps, xy = scene.maps, scene.keypoints.xy
    rows, columns = maps.values.shape[2:]
    best = maps.values.reshape(*maps.values.shape[:2], -1).argmax(-1)[..., None, None]
    down, across = np.abs(np.arange(rows)[:, None] - best // columns), np.abs(np.arange(columns) - best % columns)
    rest = np.where((down <= AROUND) & (across <= AROUND), 0, maps.values).reshape(*maps.values.shape[:2], -1)
    at, there = rest.argmax(-1), rest.max(-1) > 0.05 * maps.values.max((2, 3))
    second = maps.corner[:, None] + (np.stack([at % columns, at // columns], -1) + 0.5) * maps.cell[:, None, None]
    true = true_places(scene)
    nearer = np.linalg.norm(second - true, axis=-1) < np.linalg.norm(np.nan_to_num(xy) - true, axis=-1)
    taken = nearer & there & (scene.state != SEEN)
    return replace(scene, keypoints=replace(scene.keypoints, xy=np.where(taken[..., None], second, xy)))


def judged(scene: Scene) -> Scene:
    """As `better_of_two`, and a hidden joint counts as seen, and is certain, if that is within 0.15 torso of its true place;
    otherwise it is withheld. A bound for what maps tell of places and of doubts in them."""
    nearer = better_of_two(scene)
    true, keypoints = true_places(scene), nearer.keypoints
    torso = np.linalg.norm(scene.joints[:, 8, :] - scene.joints[:, 0, :], axis=-1) / scene.joints[:, 0, 2] * scene.focal
    right = np.linalg.norm(np.nan_to_num(keypoints.xy) - true, axis=-1) < 0.15 * torso[:, None]
    score = np.where(scene.state != SEEN, np.where(right, 0.9, 0.0), keypoints.score)
    return replace(nearer, keypoints=replace(keypoints, score=score))


def with_truth(scene: Scene) -> Scene:
    """The scene with every hidden joint found at its true place, with the score of a joint in view."""
    hidden = scene.state != SEEN
    keypoints = scene.keypoints
    xy = np.where(hidden[..., None], true_places(scene), keypoints.xy)
    return replace(scene, keypoints=replace(keypoints, xy=xy, score=np.where(hidden, 0.9, keypoints.score)))
