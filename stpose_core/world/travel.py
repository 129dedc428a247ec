"""The root's path through the world and the contacts of the feet, found together."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from stpose_core.animate.body import INDEX
from stpose_core.animate.rotations import Body, world_positions
from stpose_core.data import Array, Mask
from stpose_core.world.contacts import decided, foot_probabilities
from stpose_core.world.solve import Stiffness, settle

_ACROSS, _ALONG = 0.05, 0.05  # how well the root's place is known: m across the ray, share of the distance along it
_GROUND = Stiffness(speed=0.01, height=0.03, acceleration=4.0)
_STRIDE = 0.6  # share of a person's speed by which feet that stand may seem to move: strides are lifted too short or too long
_PACE_SECONDS = 0.3
_MOMENT, _UNKNOWN = 0.25, 0.2  # s; probability of a contact of which nothing is known
_ROUNDS = 2


def travel(
    body: Body, root: Array, rays: Array, seen: Mask, ankle: float, fps: float, given: Array | None = None
) -> tuple[Array, Array]:
    """The root (T, 3) with feet that stand, and (T, 4) contact probabilities: left heel, left toe, right heel, right toe.

    root: (T, 3) metres, y up, roughly above the floor. rays: (T, 3) metres from the camera to the root. seen: (T, 2) frames in
    which the left and the right ankle were seen. ankle: metres of the ankle above the floor in standing. given: (T, 4) contact
    probabilities from the picture, NaN where there are none.
    """
    distance = np.maximum(np.linalg.norm(rays, axis=1), 0.2)
    ray = rays / distance[:, None]
    outer = ray[:, :, None] * ray[:, None, :]
    along = 1 / (_ALONG * distance) ** 2
    known = np.eye(3) / _ACROSS**2 + (along - 1 / _ACROSS**2)[:, None, None] * outer
    leg = float(np.linalg.norm(body.offsets[INDEX["LeftLeg"]]) + np.linalg.norm(body.offsets[INDEX["LeftFoot"]]))
    places = world_positions(body, np.zeros_like(root))
    ankles = places[:, [INDEX["LeftFoot"], INDEX["RightFoot"]]]
    knees = places[:, [INDEX["LeftLeg"], INDEX["RightLeg"]]]
    step = np.gradient(root, axis=0) * np.array([1.0, 0.0, 1.0]) * fps if len(root) > 1 else np.zeros_like(root)
    pace = np.linalg.norm(gaussian_filter1d(step, _PACE_SECONDS * fps, axis=0, mode="nearest"), axis=1)
    # Nothing is known of the feet of legs that are out of the picture for longer than a moment.
    known_feet = np.repeat(gaussian_filter1d(seen.astype(float), _MOMENT * fps, axis=0, mode="nearest") > 0.5, 2, axis=1)
    moved = root
    for _ in range(_ROUNDS):
        at = moved[:, None]
        contacts = foot_probabilities(ankles + at - np.array([0.0, ankle, 0.0]), knees + at, ray, leg, fps)
        if given is not None:
            contacts = np.where(np.isfinite(given), (contacts + given) / 2, contacts)
        contacts = np.where(known_feet, contacts, np.minimum(contacts, _UNKNOWN))
        # Of a foot of which only the toes stand, the ankle turns about them: it is the heel's contact that holds the ankle.
        on = np.where(decided(contacts), contacts, 0.0)[:, [0, 2]]
        moved = root + settle(ankles + root[:, None], on, np.full(2, ankle), known, _GROUND, fps, _STRIDE * pace)
    return moved, contacts
