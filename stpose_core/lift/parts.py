"""Face, hands and feet of a person in 3D: shapes of known size turned so that they fit the 2D joints and the lifted body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate.body import stature
from stpose_core.animate.bones import bone_lengths, bone_vectors
from stpose_core.animate.frames import across, chest_frame, frame, minimal_rotation, pelvis_frame, unit
from stpose_core.data import Array, Keypoints, Mask, Pose3D
from stpose_core.lift.hand import lift_hand
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.lift.rigid import Expected, Shape, cheapest, fit
from stpose_core.lift.shapes import FACE, FACE_OUT, FOOT, HAND, MIRROR, PALM, STATURE, hand_turns, shape_turns
from stpose_core.skeletons import FACE5, FOOT3, H36M17, HAND21, PALM4, Skeleton, get_skeleton

_SURE = 0.83  # the highest score of a detector's joint
# Metres at the person that a joint with this score is off.
_ACCURACY = {"face": 0.010, "hand": 0.02, "foot": 0.025}
# Standard deviations about the axes of a part (x, y, z), degrees: of the head against the chest, of the hand against the forearm,
# of the foot against the shin; then metres of its place across and along the ray.
_SPREAD = {"face": (32.0, 55.0, 18.0), "hand": (50.0, 20.0, 40.0), "foot": (25.0, 25.0, 10.0)}
_NEAR = {"face": (0.06, 0.12), "hand": (0.02, 0.08), "foot": (0.03, 0.10)}
_SIZES = (0.6, 1.2)  # of a person against an adult of 1.70 m
_STARTS = {
    "face": [(0, 0, 0), (0, 50, 0), (0, -50, 0), (35, 0, 0), (-35, 0, 0)],
    "hand": [(0, 0, 0), (90, 0, 0), (-90, 0, 0), (180, 0, 0), (0, 0, 50), (0, 0, -50)],
    "foot": [(0, 0, 0), (0, 40, 0), (0, -40, 0), (35, 0, 0), (-35, 0, 0)],
}
_LIFTED = 0.2  # rad: standard deviation of the turn of a hand that a detector lifted
_SMALL = 1e-3  # metres: a joint at the origin is not known for certain
_MOST_COST, _EXCHANGED = 12.0, 3.0  # of a turn that is far from what is expected; of a detector that exchanged near and far
_MOST_SEEN = 0.6  # share of the joints of a hand without which its fingers are not known
_JOINT = {name: index for index, name in enumerate(H36M17.joints)}


def with_parts(pose: Pose3D, keypoints: Keypoints) -> Pose3D:
    """The pose (h36m17) with the parts that its keypoints show: face, hands, feet. Frames without a pose have none.

    Where nothing of a part was seen, it is as the body suggests, its joints are hidden, and their sigma is infinite.
    """
    posed = pose.posed
    if not posed.any():
        return pose
    skeleton = get_skeleton(keypoints.skeleton)
    joints = pose.xyz[posed]
    bones = bone_vectors(joints)
    size = float(np.clip(stature(bone_lengths(bones, np.ones(bones.shape[:2]))) / STATURE, *_SIZES))
    wanted = [("face", "", "face", FACE5, FACE)]
    wanted += [(f"{side}_hand", side, "hand", PALM4, PALM) for side in "lr"]
    wanted += [(f"{side}_foot", side, "foot", FOOT3, FOOT) for side in "lr"]
    parts = {}
    for name, side, kind, part, shape in wanted:
        seen = _seen(keypoints, skeleton, part, side)
        if seen is None:
            continue
        xy, score = seen[0][posed], seen[1][posed]
        shape = size * (shape if side != "r" else shape * MIRROR)
        shape = shape if kind == "face" else shape - shape[0]  # the body has the first joint: wrist or ankle
        accuracy = np.where(score >= VISIBLE_SCORE, _ACCURACY[kind] * _SURE / np.maximum(score, VISIBLE_SCORE), np.inf)
        turns, place = _expected(kind, side, joints, bones, size)
        expected = Expected(turns, np.radians(_SPREAD[kind]), place + pose.root[posed][:, None].sum(1), _NEAR[kind])
        starts = Rotation.from_euler("xyz", _STARTS[kind], degrees=True).as_matrix()
        rays = (np.nan_to_num(xy) - np.asarray(pose.camera.centre)) / pose.camera.focal
        found = fit(Shape(shape, FACE_OUT if kind == "face" else None), rays, accuracy, expected, starts, pose.fps)
        points = shape @ found.turns.transpose(0, 2, 1)
        known = np.where(np.isfinite(accuracy).any(axis=1), found.sigma, np.inf)
        sigma = known[:, None] * np.maximum(np.linalg.norm(shape, axis=1), _SMALL)
        parts[name] = _part(pose, part, points, found.place, ~np.isfinite(accuracy), sigma)
    for side in "lr":
        if f"{side}_hand" in keypoints.parts:
            parts[f"{side}_hand"] = _hand(keypoints.parts[f"{side}_hand"], pose, parts.get(f"{side}_hand"), side, size)
    return replace(pose, parts=parts)


def _hand(seen: Keypoints, pose: Pose3D, palm: Pose3D | None, side: str, size: float) -> Pose3D:
    """A hand with its fingers, from the joints (hand21) that a detector lifted itself. In frames in which they were not seen, the
    palm is as the body's detector shows it, and all joints are hidden."""
    posed = pose.posed
    wrist = (pose.xyz + pose.root[:, None])[posed, _JOINT[f"{side}_wrist"]]
    shape = size * (HAND if side == "l" else HAND * MIRROR)
    if palm is None:
        bones = bone_vectors(pose.xyz[posed])
        turns, sigma = _expected("hand", side, pose.xyz[posed], bones, size)[0], np.full(len(wrist), np.inf)
    else:
        turns, sigma = shape_turns(palm, side == "r")[posed], palm.sigma[posed, 2] / np.linalg.norm(PALM[2] - PALM[0]) / size
    points = shape @ turns.transpose(0, 2, 1)
    there = (seen.score[posed] >= VISIBLE_SCORE).mean(axis=1) > _MOST_SEEN
    if seen.lifted is None:
        expected = Expected(turns, np.radians(_SPREAD["hand"]), wrist, _NEAR["hand"])
        rays = (np.nan_to_num(seen.xy[posed]) - np.asarray(pose.camera.centre)) / pose.camera.focal
        score = np.where(seen.score[posed] >= VISIBLE_SCORE, seen.score[posed], 0.0)
        points[there] = lift_hand(rays, score, expected, size, side == "r", pose.fps)[there]
    else:
        there &= np.isfinite(seen.lifted[posed]).all(axis=(1, 2))
        # The picture of a hand beside the middle is seen along its ray, not along the camera's axis.
        aside = minimal_rotation(np.array([0.0, 0.0, 1.0]), unit(wrist))
        points[there] = _likely(seen.lifted[posed], aside, turns, side == "r", there, pose.fps)[there]
    sigma = np.where(there, _LIFTED, sigma)[:, None] * np.maximum(np.linalg.norm(shape, axis=1), _SMALL)
    return _part(pose, HAND21, points, wrist, np.repeat(~there[:, None], len(shape), 1), sigma)


def _likely(lifted: Array, aside: Array, expected: Array, right: bool, there: Mask, fps: float) -> Array:
    """The hand (T, 21, 3) as a detector lifted it, or with near and far exchanged, which looks the same in the picture: whichever
    is nearer to what the forearm suggests and to the frames around."""
    ways = np.stack([lifted, lifted * np.array([1.0, 1.0, -1.0])], axis=1) @ aside.transpose(0, 2, 1)[:, None]
    turns = np.stack([hand_turns(ways[:, way], right) for way in (0, 1)], axis=1)
    off = Rotation.from_matrix((expected.transpose(0, 2, 1)[:, None] @ turns).reshape(-1, 3, 3)).as_rotvec().reshape(-1, 2, 3)
    costs = np.minimum((off**2 / np.radians(_SPREAD["hand"]) ** 2).sum(-1), _MOST_COST) + np.array([0.0, _EXCHANGED])
    best = np.zeros(len(lifted), np.int64)
    best[there] = cheapest(costs[there], turns[there], fps) if there.any() else 0
    return np.asarray(ways[np.arange(len(lifted)), best])


def _part(pose: Pose3D, skeleton: Skeleton, points: Array, origin: Array, hidden: Array, sigma: Array) -> Pose3D:
    """The part as a pose of its own; points (N, J, 3), about an origin (N, 3), of the frames with a pose."""
    frames, posed = len(pose), pose.posed
    xyz, root = np.full((frames, len(skeleton.joints), 3), np.nan), np.full((frames, 3), np.nan)
    unseen, off = np.ones(xyz.shape[:2], bool), np.full(xyz.shape[:2], np.nan)
    xyz[posed], root[posed] = points - points[:, :1], origin + points[:, 0]
    unseen[posed], off[posed] = hidden, sigma
    return Pose3D(xyz, root, unseen, off, pose.up, pose.fps, skeleton.name, pose.camera)


def _seen(keypoints: Keypoints, skeleton: Skeleton, part: Skeleton, side: str) -> tuple[Array, Array] | None:
    """Places (T, J, 2) and scores (T, J) of a part's joints among those of the body; None if the body's skeleton has not all."""
    xy, score = [], []
    for joint in part.joints:
        name = f"{side}_{joint}" if side else joint
        # Some skeletons have two toes; the middle of the foot is between them.
        names = [name] if name in skeleton.joints else [f"{side}_big_toe", f"{side}_small_toe"] if joint == "toe" else [name]
        if not set(names) <= set(skeleton.joints):
            return None
        chosen = skeleton.index(*names)
        xy.append(keypoints.xy[:, chosen].mean(axis=1))
        score.append(keypoints.score[:, chosen].min(axis=1))
    return np.stack(xy, 1), np.stack(score, 1)


def _expected(kind: str, side: str, joints: Array, bones: Array, size: float) -> tuple[Array, Array]:
    """(T, 3, 3) how the body suggests a part is turned, camera axes, and (T, 3) where its origin is, relative to the pelvis."""
    at = lambda name: joints[:, _JOINT[name]]  # noqa: E731
    if kind == "face":
        left, up = at("l_shoulder") - at("r_shoulder"), at("head_top") - at("neck")
        turns = frame(left, up, keep="y")
        return turns, (at("head") + at("head_top")) / 2 + 0.04 * size * turns[..., 2]
    if kind == "hand":
        sign = 1.0 if side == "l" else -1.0
        upper, lower = at(f"{side}_elbow") - at(f"{side}_shoulder"), at(f"{side}_wrist") - at(f"{side}_elbow")
        chest = chest_frame(bones)
        plain = minimal_rotation(sign * chest[..., 0], unit(lower)) @ chest
        # Palm down with the arm to the side: then the elbow bends about the axis out of the back of the hand.
        back = plain[..., 1] - 3.0 * sign * np.cross(unit(upper), unit(lower))
        return frame(sign * lower, across(back, unit(lower)), keep="x"), at(f"{side}_wrist")
    knee, ankle = at(f"{side}_knee"), at(f"{side}_ankle")
    pelvis = pelvis_frame(bones)
    return minimal_rotation(pelvis[..., 1], unit(knee - ankle)) @ pelvis, ankle
