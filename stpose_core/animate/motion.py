"""The steps of animation in their order: level, fill, smooth, measure the bones, rotate, travel, stand on the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stpose_core.animate import bones as skeleton
from stpose_core.animate.body import NAMES, Rest, ankle_height, parents, stature
from stpose_core.animate.extremities import foot_turns, turn_head_and_hands
from stpose_core.animate.fingers import with_fingers
from stpose_core.animate.frames import turn
from stpose_core.animate.gaps import Gaps, fill_bones, fill_track
from stpose_core.animate.root import from_ray, smooth_root, to_ray
from stpose_core.animate.rotations import Body, local_rotations, pose_body
from stpose_core.animate.smooth import bridge, confidence, find_spikes, smooth_bones
from stpose_core.data import Array, CameraPath, Keypoints, Motion, Pose3D
from stpose_core.errors import FormatError, NoPersonError
from stpose_core.skeletons import H36M17
from stpose_core.threads import one_thread
from stpose_core.world.contacts import Legs, foot_probabilities, shown
from stpose_core.world.ground import clearance, room_from_camera, stand
from stpose_core.world.legs import plant
from stpose_core.world.seen import with_picture
from stpose_core.world.travel import follow_gait, legs_of, travel

_CROWN = H36M17.joints.index("head_top")
_ANKLES = H36M17.index("l_ankle", "r_ankle")


@one_thread()
def animate(
    pose: Pose3D,
    smooth: float = 0.4,
    *,
    camera: CameraPath | None = None,
    origin: tuple[float, float] | None = None,
    keypoints: Keypoints | None = None,
) -> Motion:
    """Turn a pose in camera axes into an animated skeleton in the world.

    smooth: 0..1, strength of the smoothing, the same at each frame rate; 0 leaves the poses as they are.
    camera: how the camera moved, frame by frame; one that stands still if it is not given.
    origin: (x, z) of the motion's origin on the floor from the camera, metres in the world's axes (`standpoint`), for people who
    share a world; by default the person begins at the origin.
    keypoints: those that the pose was lifted from. Foot contacts begin and end more exactly with them.
    The motion has the frames and the rate of the pose; frames without a pose are filled;
    they and those in which nothing was seen are marked in Motion.filled.

    Raises NoPersonError if no frame has a pose, FormatError if the joints are not Human3.6M's 17, ValueError for a
    strength outside 0..1 and for a camera path or keypoints with other frames.
    """
    if not 0.0 <= smooth <= 1.0:
        raise ValueError(f"smooth must be a number from 0 to 1, got {smooth}")
    if pose.skeleton != "h36m17":
        raise FormatError(f"animation takes poses of the skeleton 'h36m17', not of '{pose.skeleton}'; convert them first")
    if not pose.posed.any():
        raise NoPersonError(f"nothing to animate: none of the {len(pose)} frames has a pose")
    if camera is not None and len(camera) != len(pose):
        raise ValueError(f"a camera path of {len(camera)} frames does not belong to {len(pose)} poses")
    start = start_of(pose, smooth, camera, keypoints)
    body, root, carry, ankle = start.body, start.root, start.carry, start.ankle
    moving = camera is not None and not camera.static
    if moving:
        # The contacts follow from a first guess of the path, and tell the speed better than the guess did.
        heels = foot_probabilities(start.legs.at(root), pose.fps)[:, [0, 2]]
        root, carry = follow_gait(start.legs, start.still, pose.fps, heels)
    visible = pose.posed[:, None] & ~pose.hidden[:, _ANKLES]
    turn_head_and_hands(body, start.rest, pose, start.crown, start.world, smooth)
    moved, contacts = travel(
        start.legs, start.parts, root, start.distance, visible, carry if moving else None, pose.fps, pose.contacts
    )
    root = moved if smooth > 0 else root
    root = plant(body, root, contacts, ankle, pose.fps, firm=smooth > 0, toes=foot_turns(body, pose, start.world, smooth))
    root = root - ([root[0, 0], 0.0, root[0, 2]] if origin is None else [origin[0], 0.0, origin[1]])
    tall, offsets, rotations = start.stature, body.offsets, local_rotations(body.frames)
    del start, body  # half of what a long clip takes here
    motion = Motion(
        names=NAMES,
        parents=parents(),
        offsets=offsets,
        rotations=rotations,
        root=root,
        contacts=shown(contacts),
        filled=~pose.posed | pose.hidden.all(axis=1),  # bridged frames have a pose, but no detection
        fps=pose.fps,
    )
    return with_fingers(motion, pose, tall, smooth)


def standpoint(pose: Pose3D, camera: CameraPath | None = None) -> tuple[float, float]:
    """(x, z) on the floor at which a person is first seen, from the camera, metres in the world's axes. Raises NoPersonError if no
    frame has a pose."""
    first = np.flatnonzero(pose.posed)
    if not len(first):
        raise NoPersonError(f"none of the {len(pose)} frames has a pose")
    place = world_from_camera(pose, camera)[first[0]] @ pose.root[first[0]]
    return float(place[0]), float(place[2])


@dataclass(frozen=True)
class Start:
    """A posed body before its contacts are known.

    rest, stature (metres), world: (T, 3, 3) from camera axes: of person and view. crown: (T, 3) bone to the head's top.
    legs, parts: relative to the pelvis. still, root: (T, 3) metres above the floor, for a camera that stays in place, and with the
    movement of one that is carried along. distance: (T,) metres from the camera. height: (T,)
    metres of the camera above the floor. ankle: metres of the ankle above the floor in standing. carry: (T,) in 0..1, where the
    camera is carried along.
    """

    body: Body
    rest: Rest
    stature: float
    world: Array
    crown: Array
    legs: Legs
    parts: Array
    still: Array
    root: Array
    distance: Array
    height: Array
    ankle: float
    carry: Array


def start_of(pose: Pose3D, smooth: float, camera: CameraPath | None, keypoints: Keypoints | None = None) -> Start:
    """The body of a pose, posed and above the floor. Arguments as of `animate`."""
    bones, weights, rays = _clean(pose, smooth, camera)
    measured = weights * pose.posed[:, None]
    lengths, rest = skeleton.bone_lengths(bones, measured), skeleton.rest_directions(bones, measured)
    body = pose_body(bones, lengths, rest, pose.fps)
    ankle = ankle_height(lengths)
    lowest, part = clearance(skeleton.joints_from_bones(bones) + rays[:, None], ankle)
    visible = pose.posed & ~pose.hidden[np.arange(len(pose)), part]
    floor = stand(lowest, visible, pose.fps, steady=smooth > 0)
    still = rays - floor[:, None] * np.array([0.0, 1.0, 0.0])
    legs, parts = legs_of(body, rays, ankle)
    distance, world = np.linalg.norm(rays, axis=1), world_from_camera(pose, camera)
    if keypoints is not None:
        legs = with_picture(legs, pose, keypoints, distance, world, ankle)
    root, carry = still, np.zeros(len(pose))
    if camera is not None and not camera.static:
        root, carry = follow_gait(legs, still, pose.fps)
    return Start(
        body=body,
        rest=rest,
        stature=stature(lengths),
        world=world,
        crown=bones[:, _CROWN],
        legs=legs,
        parts=parts,
        still=still,
        root=root,
        distance=distance,
        height=-floor,
        ankle=ankle,
        carry=carry,
    )


def smoothed_joints(pose: Pose3D, smooth: float = 0.4, camera: CameraPath | None = None) -> Array:
    """(T, 17, 3) the pose's joints in world axes, filled and smoothed, before bones are made constant; metres, not on the floor."""
    bones, _, root = _clean(pose, smooth, camera)
    return skeleton.joints_from_bones(bones) + root[:, None]


def _clean(pose: Pose3D, smooth: float, camera: CameraPath | None) -> tuple[Array, Array, Array]:
    """Bone vectors (T, 17, 3) and root (T, 3) in world axes, filled and smoothed, and weights (T, 17) of the bones."""
    gaps = Gaps(pose.posed, pose.fps)
    turns = world_from_camera(pose, camera)
    level = np.einsum("tij,tkj->tki", turns, np.where(gaps.posed[:, None, None], pose.xyz, 0.0))
    bones = fill_bones(skeleton.bone_vectors(level), gaps)
    seen = confidence(pose.sigma, pose.hidden, ~gaps.posed)
    if smooth > 0:
        joints = skeleton.joints_from_bones(bones)
        spikes = find_spikes(joints, pose.fps)
        spikes[:, 0] = False
        for joint in np.flatnonzero(spikes.any(axis=0)):
            joints[:, joint] = bridge(joints[:, joint], spikes[:, joint])
        seen = np.where(spikes, 0.1, seen)
        bones = skeleton.bone_vectors(joints)
    weights = 2.0 / (1.0 / seen + 1.0 / seen[:, np.maximum(skeleton.PARENTS, 0)])  # a bone has the errors of both its ends
    in_front = bool((pose.root[gaps.posed, 2] > 0.2).all())
    track = turn(turns, np.where(gaps.posed[:, None], pose.root, np.array([0.0, 0.0, 1.0])))
    track = from_ray(fill_track(to_ray(track), gaps)) if in_front else fill_track(track, gaps)
    root = smooth_root(track, seen.mean(axis=1), smooth, pose.fps)
    bones[:, 1:] = smooth_bones(bones[:, 1:], weights[:, 1:], smooth, pose.fps)
    return bones, weights, root


def world_from_camera(pose: Pose3D, camera: CameraPath | None = None) -> Array:
    """(T, 3, 3) rotations from the camera axes of each frame to those of the world."""
    if camera is None:
        return np.tile(room_from_camera(pose.up), (len(pose), 1, 1))
    turns = np.empty((len(pose), 3, 3))
    for shot in np.unique(camera.shot):
        frames = camera.shot == shot
        # The operator keeps the camera about level: what is up in its axes is so in most frames.
        turns[frames] = room_from_camera((camera.rotation[frames] @ pose.up).mean(axis=0)) @ camera.rotation[frames]
    return turns
