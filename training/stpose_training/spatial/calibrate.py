"""The calibration of a spatial network's outputs, measured on held-out rendered pictures and written into its file.

A joint's score becomes the probability that it lies within 0.1 torso of the truth (joints outside of the picture never do). A
person's presence becomes the probability that a view shows a person: views around people against views of empty places, with
sixteen empty places to one person, because a false person does more harm than a missed one. Both are logistic regressions.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.detect.builtin import Calibration, signs, surer_half
from stpose_core.detect.networks import load_spatial
from stpose_core.detect.views import cut, view_of
from stpose_core.errors import FormatError
from stpose_core.networks.configs import STRIDE
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.skeletons import H36M17
from stpose_core.weights import read_weights, write_weights
from stpose_training.spatial.feed import Stock, View, collate, drawn_view
from stpose_training.spatial.heatmaps import decode
from stpose_training.synth.cache import FRAMES, Shard, read_shard, shards
from stpose_training.synth.cache import decode as decode_picture
from stpose_training.synth.pictures import OUTSIDE

Floats = NDArray[np.float64]
NEAR = 0.1
_VIEWS = 2400  # with people, and as many without
_NOBODY = 16.0  # views without people to one with a person
_BATCH = 32
_SHOULDERS, _HIPS = H36M17.index("l_shoulder", "r_shoulder"), H36M17.index("l_hip", "r_hip")


def calibrate(path: Path, cache: Path, seed: int = 0) -> str:
    """Calibrates the network of a weights file, writes the result into the file, and returns a line about it.

    Raises FormatError if the cache holds no held-out crops, or no held-out frames (stpose render --frames).
    """
    network, header = load_spatial(path)
    random = np.random.default_rng(seed)
    views, torsos = _people(cache, network.config.size, random)
    places, mass, hidden = outputs(network, views)
    joints, state = np.stack([view.joints for view in views]), np.stack([view.state for view in views])
    near = (np.linalg.norm(places - joints, axis=-1) < NEAR * torsos[:, None]) & (state != OUTSIDE)
    joint = logistic_fit(signs(mass, hidden).reshape(2, -1).T, near.ravel())
    fitted = Calibration(joint=(joint[0], joint[1], joint[2]))
    empty = _nobody(cache, network.config.size, random, len(views))
    _, empty_mass, empty_hidden = outputs(network, empty)
    sureness = np.stack([surer_half(m, h) for m, h in zip([*mass, *empty_mass], [*hidden, *empty_hidden])])
    there = np.arange(len(sureness)) < len(views)
    presence = logistic_fit(sureness, there, np.where(there, 1.0, _NOBODY))
    done = Calibration(fitted.joint, (presence[0], presence[1], presence[2]))
    tensors, _ = read_weights(path, "spatial")
    write_weights(path, tensors, "spatial", {**header, "calibration": asdict(done)})
    score = fitted.score(mass, hidden)
    present = presence[0] + sureness @ presence[1:] > 0
    return (
        f"{path}: {near.mean():.3f} of {near.size} joints within {NEAR:g} torso; mean score of those {score[near].mean():.3f}, of "
        f"others {score[~near].mean():.3f}; {present[there].mean():.3f} of {len(views)} views with people and "
        f"{present[~there].mean():.3f} of {len(empty)} without have presence 0.5 or more"
    )


@torch.no_grad()
def outputs(network: SpatialNetwork, views: list[View]) -> tuple[Floats, Floats, Floats]:
    """Positions (N, 17, 2), mass near the peaks (N, 17) and hidden logits (N, 17) of views of the network's size."""
    found: list[tuple[Floats, Floats, Floats]] = []
    for at in range(0, len(views), _BATCH):
        output = network(collate(views[at : at + _BATCH], torch.device("cpu")).pictures)
        places, mass = decode(output.maps, STRIDE)
        found.append((places.double().numpy(), mass.double().numpy(), output.hidden.double().numpy()))
    places, mass, hidden = (np.concatenate(part) for part in zip(*found))
    return places, mass, hidden


def logistic_fit(features: Floats, answers: NDArray[np.bool_], counts: Floats | None = None, steps: int = 50) -> list[float]:
    """Intercept and weights of a logistic regression of answers (N,) on features (N, D), by Newton's method. A weak regularisation
    keeps the weights finite where the features separate the answers. counts: (N,) weights of the samples."""
    x = np.column_stack([np.ones(len(features)), features])
    y, weights = answers.astype(np.float64), np.zeros(x.shape[1])
    counted = np.ones(len(x)) if counts is None else counts
    keep = 1e-5 * len(x) * np.diag([0.0, *features.var(0).clip(1e-6)])
    for _ in range(steps):
        expected = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        curve = x.T @ (x * (counted * expected * (1 - expected) + 1e-9)[:, None]) + keep
        step = np.linalg.solve(curve, x.T @ (counted * (y - expected)) - keep @ weights)
        weights = weights + step * min(1.0, 5 / max(np.abs(step).max(), 1e-9))
    return [float(value) for value in weights]


def _people(cache: Path, size: tuple[int, int], random: np.random.Generator) -> tuple[list[View], Floats]:
    """Views of held-out people as training draws them (inexact boxes, hidden parts), and the length of their torsos."""
    paths = shards(cache, "validation")
    if not paths:
        raise FormatError(f"{cache} holds no held-out pictures: make some with stpose render --held-out")
    views, torsos = [], []
    for path in paths:
        shard = read_shard(path)
        for _ in range(-(-_VIEWS // len(paths))):
            row = int(random.integers(len(shard.jpeg)))
            one = Shard(**{name: values[row : row + 1] for name, values in vars(shard).items()})
            views.append(drawn_view(Stock((one,)), random, size))
            torsos.append(_torso(one.xyz[0, 0].astype(np.float64), views[-1]))
    return views, np.array(torsos)


def _torso(xyz: Floats, view: View) -> float:
    """Length in pixels of a view of the torso of joints (17, 3), at the person's scale and without foreshortening."""
    scale = np.sqrt(view.joints.var(0).sum() / max(xyz[:, :2].var(0).sum(), 1e-9))
    return float(scale * np.linalg.norm(xyz[_SHOULDERS].mean(0) - xyz[_HIPS].mean(0)))


def _nobody(cache: Path, size: tuple[int, int], random: np.random.Generator, count: int) -> list[View]:
    """Views of places in held-out frames outside of all boxes."""
    paths = shards(cache, f"{FRAMES}validation")
    if not paths:
        raise FormatError(f"{cache} holds no held-out frames: make some with stpose render --frames --held-out")
    loaded = [read_shard(path) for path in paths]
    nothing = np.zeros((len(H36M17.joints), 2)), np.full(len(H36M17.joints), OUTSIDE, np.uint8)
    views: list[View] = []
    for _ in range(100 * count):
        shard = loaded[int(random.integers(len(loaded)))]
        row = int(random.integers(len(shard.jpeg)))
        picture = decode_picture(shard.jpeg[row])
        tall = float(random.uniform(0.15, 0.8)) * picture.shape[0]
        low = random.uniform(0, 1, 2) * (picture.shape[1] - tall / 2, picture.shape[0] - tall)
        high = low + (tall / 2, tall)
        there = shard.box[row][shard.box[row, :, 2] > 0]
        if ((there[:, :2] < high) & (there[:, 2:] > low)).all(1).any():
            continue
        views.append(View(cut(picture, view_of(np.concatenate([low, high]), size), size), *nothing))
        if len(views) == count:
            return views
    raise FormatError(f"the held-out frames of {cache} have no places without people")
