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

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array

from stpose_core.data import Array, Keypoints, Mask, Pose3D
from stpose_core.lift.flexion import LIMBS, flexion
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.skeletons import H36M17, convert
from stpose_core.threads import one_thread

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

_CHILDREN = list(range(1, len(H36M17.joints)))
_PARENTS = [H36M17.parents[joint] for joint in _CHILDREN]
_LEFT, _RIGHT = (list(side) for side in zip(*((left - 1, right - 1) for left, right in H36M17.pairs)))  # places in _CHILDREN
_HINGES = [list(part) for part in zip(*LIMBS)]


def _splines(posed: Mask, fps: float) -> csr_array:
    """(N, knots) values of uniform cubic B-splines in the frames with poses: one spline for each run of them."""
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
    rows = np.repeat(np.arange(len(frames)), 4)
    return csr_array((np.concatenate(weights).ravel(), (rows, np.concatenate(places).ravel())), shape=(len(frames), used))


@one_thread()
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
    xyz: Array, root: Array, sigma: Array, rays: Array, score: Array, bends: tuple[Array, Array], splines: csr_array
) -> tuple[Array, Array]:
    """The same frames: (N, 17, 3), (N, 3), (N, 17), (N, 17, 2) tangent units, (N, 17) -> new xyz and root."""
    depth = np.maximum(root[:, None, 2:], _NEAREST)
    trust, scaled = (score / _SURE) ** 2, depth / _SEEN
    # The first row belongs to the pelvis, whose relative position is always zero; it holds the correction of the root.
    scale = np.concatenate((_ROOT * depth, _PRIOR * sigma[:, 1:, None]), axis=1)
    back = splines.T.tocsr()

    def corrected(knots: Array) -> tuple[Array, Array, Array]:
        change = (splines @ knots.reshape(splines.shape[1], -1)).reshape(*scale.shape[:2], 3)
        moved = change * scale
        relative = np.concatenate((xyz[:, :1], xyz[:, 1:] + moved[:, 1:]), axis=1)
        return relative, root + moved[:, 0], change

    def loss_and_slope(knots: Array) -> tuple[float, Array]:
        relative, place, change = corrected(knots)
        seen, along = _reprojection(relative + place[:, None], rays, trust, scaled)
        bones, pulled = _bones(relative)
        bent, turned = _bends(relative, *bends)
        slope = along + pulled + turned
        slope[:, 0] = along.sum(axis=1)
        slope = slope * scale + 2 * change
        return seen + bones + bent + float((change**2).sum()), (back @ slope.reshape(len(slope), -1)).ravel()

    start = np.zeros(splines.shape[1] * scale.shape[1] * 3)
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    relative, place, _ = corrected(found.x)
    return relative, place


# Each term with its slope: of joints (N, 17, 3) -> the sum, and its derivative by the joints, of the same shape.


def _reprojection(joints: Array, rays: Array, trust: Array, scaled: Array) -> tuple[float, Array]:
    """joints: in camera axes. rays, trust: of the detections. scaled: (N, 1, 1) standard deviations for a tangent unit."""
    depth = np.maximum(joints[..., 2:], _NEAREST)
    ray = joints[..., :2] / depth
    off = (ray - rays) * scaled
    bound = np.sqrt(1 + (off**2).sum(axis=-1))
    pull = (2 * trust / bound)[..., None] * off * scaled / depth
    deeper = -(pull * ray).sum(axis=-1, keepdims=True) * (joints[..., 2:] > _NEAREST)
    return float((2 * trust * (bound - 1)).sum()), np.concatenate((pull, deeper), axis=-1)


def _bones(joints: Array) -> tuple[float, Array]:
    """Bone lengths that vary over time, or between left and right."""
    bone = joints[:, _CHILDREN] - joints[:, _PARENTS]
    length = np.maximum(np.linalg.norm(bone, axis=-1), 1e-3)
    mean, frames = length.mean(axis=0), len(length)
    away = np.log(length / mean)
    uneven = np.log(mean[_LEFT] / mean[_RIGHT])
    by_mean = -2 * away.sum(axis=0) / mean
    by_mean[_LEFT] += 2 * frames * uneven / mean[_LEFT]
    by_mean[_RIGHT] -= 2 * frames * uneven / mean[_RIGHT]
    pull = ((2 * away / length + by_mean / frames) / length)[..., None] * bone
    slope = np.zeros_like(joints)
    for number, (child, parent) in enumerate(zip(_CHILDREN, _PARENTS)):
        slope[:, child] += pull[:, number]
        slope[:, parent] -= pull[:, number]
    return float((away**2).sum() + frames * (uneven**2).sum()) / _BONE**2, slope / _BONE**2


def _bends(joints: Array, said: Array, sure: Array) -> tuple[float, Array]:
    """Knees and elbows that bend otherwise than by `said` (N, 4) radians, in standard deviations (N, 4)."""
    start, middle, end = (joints[:, part] for part in _HINGES)
    upper, lower = middle - start, end - middle
    normal = np.cross(upper, lower)
    across, along = np.sqrt((normal**2).sum(axis=-1) + 1e-8), (upper * lower).sum(axis=-1)
    off = (np.arctan2(across, along) - said) / sure
    by = (2 * off / sure / (across**2 + along**2))[..., None]
    turn = normal * (along / across)[..., None]
    by_upper = by * (np.cross(lower, turn) - across[..., None] * lower)
    by_lower = by * (np.cross(turn, upper) - across[..., None] * upper)
    slope = np.zeros_like(joints)
    slope[:, _HINGES[0]] -= by_upper
    slope[:, _HINGES[1]] += by_upper - by_lower
    slope[:, _HINGES[2]] += by_lower
    return float((off**2).sum()), slope
