"""Refinement: a fit of the 3D joints to the 2D joints they were lifted from, over one clip, after the network.

The idea is that of the paper's extension (Cheng et al. 2020, arXiv 2010.06844): at test time, the confident 2D joints and the
projected pose should agree. There, the network is fine-tuned on the clip. Here, the network is fixed, and its output is the prior
of a fit (a decision of this project), which takes milliseconds per frame and carries nothing over to the next clip.

The fitted correction changes slowly: cubic splines with a knot every fifth of a second. Thus the jitter of the 2D joints, which are
less stable than the lifted ones, does not enter the pose, while lasting errors of the network are corrected. Terms, each a squared
number of standard deviations:
  - distance of each joint from its detection in the picture, by its score, with a robust loss (pseudo-Huber);
  - the correction of each joint, in expected errors of the network, along all three axes;
  - bone lengths are constant over the clip, and equal on the left and the right;
  - knees and elbows bend by the estimate of `stpose_core.lift.flexion`, the more closely the more certain it is: otherwise a 2D
    error of a joint would lengthen a limb, and a limb that is too long for its bones would be bent in depth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from stpose_core.data import Array, Keypoints, Mask, Pose3D
from stpose_core.lift.flexion import LIMBS, flexion
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.skeletons import H36M17, convert

KNOTS = 5.0
"""Knots a second."""

_SEEN = 0.03  # metres at the person: error of a confident detection (see stpose_training.data.noise)
_SURE = 0.83  # the score of such a detection
_PRIOR = 1.5  # standard deviation of a joint's correction, in expected errors: lasting errors exceed those of single frames
_ROOT = 0.1  # standard deviation of the pelvis, as a share of its depth
_BONE = 0.07  # standard deviations of bone lengths over time, and between left and right (logarithm)
_BEND = np.radians(4.0)  # standard deviation of an angle, besides its uncertainty
_SIGMA = (0.02, 0.5)  # metres: expected errors are clipped to this range
_STEPS = 60
_PIECE, _OVERLAP = 60.0, 2.0  # s
_NEAREST = 0.1  # metres

_CHILDREN = tuple(range(1, len(H36M17.joints)))
_PARENTS = tuple(H36M17.parents[joint] for joint in _CHILDREN)
_SIDES = tuple((left - 1, right - 1) for left, right in H36M17.pairs)  # bones, by their child's place in _CHILDREN
_HINGES = tuple(zip(*LIMBS))


@dataclass(frozen=True)
class _Splines:
    """Values of uniform cubic B-splines: frame t is the sum over k of weights[t, k] * knots[places[t, k]]."""

    places: Tensor
    weights: Tensor
    count: int

    def __call__(self, knots: Tensor) -> Tensor:
        return (knots[self.places] * self.weights[..., None]).sum(1)


def _splines(posed: Mask, fps: float) -> _Splines:
    """One spline for each run of frames with poses; runs are independent."""
    frames = np.flatnonzero(posed)
    places, weights, used = [], [], 0
    for run in np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1):
        when = (run - run[0]) * KNOTS / fps
        before = np.floor(when).astype(int)
        u = (when - before)[:, None]
        values = np.hstack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]) / 6
        places.append(used + before[:, None] + np.arange(4))
        weights.append(values)
        used += int(before[-1]) + 4
    return _Splines(torch.from_numpy(np.concatenate(places)), torch.from_numpy(np.concatenate(weights)), used)


def refine(pose: Pose3D, keypoints: Keypoints) -> Pose3D:
    """The pose (h36m17) fitted to `keypoints`, from which it was lifted; hidden, sigma and up are unchanged.

    Raises ValueError unless both have the same frames.
    """
    if len(pose) != len(keypoints):
        raise ValueError(f"{len(pose)} poses and {len(keypoints)} frames of keypoints do not belong together")
    posed = pose.posed
    if not posed.any():
        return pose
    points = keypoints if keypoints.skeleton == H36M17.name else convert(keypoints, H36M17.name)
    rays = (np.nan_to_num(points.xy) - np.asarray(pose.camera.centre)) / pose.camera.focal
    score = np.where(points.score >= VISIBLE_SCORE, points.score, 0.0)
    sigma = np.clip(pose.sigma, *_SIGMA)
    said, spread = flexion(pose, points)
    sure = _BEND + np.minimum(spread, said)
    xyz, root = np.zeros_like(pose.xyz), np.zeros_like(pose.root)
    for piece, share in _pieces(len(pose), pose.fps):
        known = np.arange(len(pose))[piece][posed[piece]]
        if len(known):
            splines = _splines(posed[piece], pose.fps)
            bends = said[known], sure[known]
            fitted = _fit(pose.xyz[known], pose.root[known], sigma[known], rays[known], score[known], bends, splines)
            part = share[posed[piece]]
            xyz[known] += part[:, None, None] * fitted[0]
            root[known] += part[:, None] * fitted[1]
    xyz[~posed], root[~posed] = pose.xyz[~posed], pose.root[~posed]
    return replace(pose, xyz=xyz, root=root)


def _pieces(frames: int, fps: float) -> list[tuple[slice, Array]]:
    """Pieces of a long clip that are fitted one at a time, so that memory does not grow with its length.

    Each with the weight (N,) of its fit in the result: 1, except where overlapping pieces are blended.
    """
    length, overlap = round(_PIECE * fps), round(_OVERLAP * fps)
    count = max(1, -(-(frames - overlap) // (length - overlap)))
    edges = np.linspace(0, frames - overlap, count + 1).round().astype(int)
    pieces = []
    for number, (start, end) in enumerate(zip(edges, edges[1:])):
        share = np.ones(end + overlap - start)
        rise = (np.arange(overlap) + 0.5) / overlap
        if number:
            share[:overlap] = rise
        if number < count - 1:
            share[-overlap:] = 1 - rise
        pieces.append((slice(int(start), int(end) + overlap), share))
    return pieces if count > 1 else [(slice(0, frames), np.ones(frames))]


def _fit(
    xyz: Array, root: Array, sigma: Array, rays: Array, score: Array, bends: tuple[Array, Array], splines: _Splines
) -> tuple[Array, Array]:
    """The same frames: (N, 17, 3), (N, 3), (N, 17), (N, 17, 2) tangent units, (N, 17) -> new xyz and root."""
    first, begin, ray = torch.from_numpy(xyz), torch.from_numpy(root), torch.from_numpy(rays)
    trust = (torch.from_numpy(score) / _SURE) ** 2
    depth = begin[:, None, 2:].clamp_min(_NEAREST)
    # The first row belongs to the pelvis, whose relative position is always zero; it holds the correction of the root.
    scale = torch.cat((_ROOT * depth, _PRIOR * torch.from_numpy(sigma)[:, 1:, None]), 1)

    def corrected(knots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        change = splines(knots.unflatten(0, (splines.count, -1))).unflatten(1, (-1, 3))
        moved = change * scale
        relative = torch.cat((first[:, :1], first[:, 1:] + moved[:, 1:]), 1)
        return relative, begin + moved[:, 0], change

    said, sure = (torch.from_numpy(part) for part in bends)

    def loss(knots: Tensor) -> Tensor:
        relative, place, change = corrected(knots)
        absolute = relative + place[:, None]
        off = (absolute[..., :2] / absolute[..., 2:].clamp_min(_NEAREST) - ray) * depth / _SEEN
        reprojection = (trust * 2 * ((1 + off.square().sum(-1)).sqrt() - 1)).sum()
        length = (relative[:, list(_CHILDREN)] - relative[:, list(_PARENTS)]).norm(dim=-1).clamp_min(1e-3)
        mean = length.mean(0)
        steady = (length / mean).log().square().sum()
        left, right = mean[[one for one, _ in _SIDES]], mean[[other for _, other in _SIDES]]
        even = len(length) * (left / right).log().square().sum()
        bent = ((_bend(relative) - said) / sure).square().sum()
        return reprojection + change.square().sum() + (steady + even) / _BONE**2 + bent

    def loss_and_slope(values: Array) -> tuple[float, Array]:
        with torch.enable_grad():
            knots = torch.tensor(values, requires_grad=True)
            value = loss(knots)
            (slope,) = torch.autograd.grad(value, knots)
        return value.item(), slope.numpy()

    # SciPy's optimiser: the first use of torch.optim loads its compiler, which takes longer than most clips.
    start = np.zeros(splines.count * first.shape[1] * 3)
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    with torch.no_grad():
        relative, place, _ = corrected(torch.from_numpy(found.x))
    return relative.numpy(), place.numpy()


def _bend(joints: Tensor) -> Tensor:
    """(N, 17, 3) -> (N, 4) radians by which knees and elbows are bent."""
    start, middle, end = (joints[:, list(part)] for part in _HINGES)
    upper, lower = middle - start, end - middle
    across = (torch.linalg.cross(upper, lower).square().sum(-1) + 1e-8).sqrt()
    return torch.atan2(across, (upper * lower).sum(-1))
