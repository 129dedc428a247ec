"""The path of the root and the contacts of the feet, solved together."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from stpose_core.animate.body import INDEX
from stpose_core.animate.rotations import Body, world_positions
from stpose_core.data import Array, Mask
from stpose_core.world.contacts import Legs, decided, foot_probabilities
from stpose_core.world.gait import carried, gait_velocity, stance_velocity
from stpose_core.world.rest import HEIGHTS, JOINTS, resting
from stpose_core.world.riding import rides
from stpose_core.world.solve import Stiffness, settle

_ACROSS, _ALONG = 0.05, 0.05  # standard deviation of the root's position: m across the ray, share of the distance along it
_GROUND = Stiffness(speed=0.01, height=0.03, acceleration=4.0, slip=0.4)
# Standard deviation of the speed of standing feet, as a share of the walking speed: strides are lifted too short or too long.
_STRIDE = 0.6
_MOMENT, _UNKNOWN = 0.25, 0.2  # s; probability of contact of a foot that is not visible
_WATCHED = (0.3, 0.15)  # probabilities at which a contact begins and ends that may be one on a floor that moves
_RIDING = 0.1  # probability of contact, at most, on a floor that moves
_ROUNDS = 2


def legs_of(body: Body, rays: Array, ankle: float) -> tuple[Legs, Array]:
    """The legs of a body whose pelvis is at the origin, and (T, P, 3) the parts that may rest on the floor (`rest.PARTS`), metres.

    rays: (T, 3) metres from the camera to the pelvis. ankle: metres of the ankle above the floor in standing.
    """
    places = world_positions(body, np.zeros_like(rays))
    hips, knees, ankles = (places[:, [INDEX["Left" + part], INDEX["Right" + part]]] for part in ("UpLeg", "Leg", "Foot"))
    length = float(np.linalg.norm(body.offsets[INDEX["LeftLeg"]]) + np.linalg.norm(body.offsets[INDEX["LeftFoot"]]))
    ray = rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 0.2)
    return Legs(np.zeros_like(rays), hips, knees, ankles - np.array([0.0, ankle, 0.0]), ray, length), places[:, JOINTS]


def follow_gait(legs: Legs, root: Array, fps: float, heels: Array | None = None) -> tuple[Array, Array]:
    """The root (T, 3) with the movement of a camera that is carried along, and (T,) in 0..1 where it is.

    legs: relative to the pelvis. root: (T, 3) metres for a camera that stays in place. heels: (T, 2) probabilities of contact, if
    they are known: the speed is then that of the feet that stand by them, and not that of the lower foot.
    """
    hips = legs.hips[:, 0] - legs.hips[:, 1]
    gait = gait_velocity(legs.ankles, hips, fps) if heels is None else stance_velocity(legs.ankles, hips, heels, fps)
    path, share = carried(root, gait, hips, legs.ray, fps)
    return root + path, share


def travel(
    legs: Legs,
    parts: Array,
    root: Array,
    distance: Array,
    visible: Mask,
    carry: Array | None,
    fps: float,
    given: Array | None = None,
) -> tuple[Array, Array]:
    """The root (T, 3) for which standing feet stay in place, and (T, 4) contact probabilities: left heel, toe, right heel, toe.

    Seat, back, knees, elbows, hands and head that rest on the floor stay in place likewise.
    legs, parts: relative to the pelvis (`legs_of`). root: (T, 3) metres, y up, roughly above the floor. distance: (T,) metres
    from the camera. visible: (T, 2) frames in which the left and the right ankle were detected. carry: (T,) in 0..1, where the
    camera is carried along (`follow_gait`); None for a camera that stands still, so that the picture shows whether the floor moves
    (riding.py). given: (T, 4) contact probabilities from the network, NaN where there are none.
    """
    still, carry = carry is None, np.zeros(len(root)) if carry is None else carry
    outer = legs.ray[:, :, None] * legs.ray[:, None, :]
    along = 1 / (_ALONG * np.maximum(distance, 0.2)) ** 2
    known = np.eye(3) / _ACROSS**2 + (along - 1 / _ACROSS**2)[:, None, None] * outer
    # Of a camera that is carried along, the picture does not show the path; the feet do.
    known = known * (1 - carry)[:, None, None] + np.diag([1e-2, 1 / _ACROSS**2, 1e-2]) * carry[:, None, None]
    # By the legs and not by the root: the root of a person who squats moves along the ray, but the legs do not walk.
    pace = np.linalg.norm(gait_velocity(legs.ankles, legs.hips[:, 0] - legs.hips[:, 1], fps), axis=1) * (1 - carry)
    # Feet that are not visible for longer than a moment have no contacts.
    known_feet = np.repeat(gaussian_filter1d(visible.astype(float), _MOMENT * fps, axis=0, mode="nearest") > 0.5, 2, axis=1)
    moved = root
    for _ in range(_ROUNDS):
        contacts = foot_probabilities(legs.at(moved), fps)
        if given is not None:
            contacts = np.where(np.isfinite(given), (contacts + given) / 2, contacts)
        contacts = np.where(known_feet, contacts, np.minimum(contacts, _UNKNOWN))
        if still and legs.off is not None:
            moves = rides(
                legs.ankles + legs.off + (legs.ray * distance[:, None])[:, None], decided(contacts, *_WATCHED)[:, [0, 2]], fps
            )
            contacts = np.where(moves[:, None], np.minimum(contacts, _RIDING), contacts)
        # While only the toes stand, the ankle turns about them: only a heel's contact holds the ankle in place.
        on = np.where(decided(contacts), contacts, 0.0)[:, [0, 2]]
        on = np.concatenate([on, resting(parts + moved[:, None], legs.ankles + moved[:, None], fps)], axis=1)
        points = np.concatenate([legs.ankles, parts], axis=1) + root[:, None]
        moved = root + settle(points, on, np.append([0.0, 0.0], HEIGHTS), known, _GROUND, fps, _STRIDE * pace, legs.ray)
    return moved, contacts
