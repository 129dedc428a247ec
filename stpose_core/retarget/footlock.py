"""Foot lock: feet that stand are held on the floor, and the legs follow by inverse kinematics.

First the body is raised or lowered to the floor, then each foot is planned (`footplan`). Between two stances the correction changes
smoothly, so that all sliding happens in the air. Where a leg is too short for its hold the hips come down, smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .contacts import AUTO, GROUNDING, NEVER, standing
from .footplan import covering, keep_apart, plan_foot, turn_foot
from .ground import above_floor, raised
from .ik import Leg
from .rotation import continuous, multiply
from .slots import SIDES
from .solver import Posed

_DIP = 0.2  # s over which the hips come down and up again
_RISE, _RISE_ONLY = 0.3, 0.04  # s over which the body's height is corrected, with the legs' help and without


@dataclass(frozen=True)
class FootLock:
    """How feet are locked. mode: `contacts.AUTO`, ALWAYS, NEVER or GROUNDING, which only raises or lowers the body.

    radius: how far a foot may drift from its hold before it is released. floor_height: how far above the floor a point of the foot
    may be to stand. Both in metres for legs of 0.9 m; they grow with the legs, so that the scene's unit does not matter.
    """

    mode: str = AUTO
    radius: float = 0.15
    floor_height: float = 0.08


def lock_feet(posed: Posed, fps: float, options: FootLock, contacts: np.ndarray | None = None) -> Posed:
    """The same motion with standing feet held in place. contacts: (T, 4) as `Track.contacts`, or None to find them.

    posed: with soles, and before its path is taken away.
    """
    if options.mode == NEVER:
        return posed
    on_ground = standing(posed, fps, options.mode, options.floor_height, contacts)
    if not on_ground.any():
        return posed
    feet = np.stack([on_ground[:, :2].any(axis=1), on_ground[:, 2:].any(axis=1)])
    stands = np.asarray(feet.any(axis=0))
    if options.mode == GROUNDING:
        heights = np.stack([above_floor(posed, side) for side in SIDES])
        return raised(posed, -np.where(feet, heights, np.inf).min(axis=0), stands, fps, _RISE_ONLY)
    turns = {side: turn_foot(posed, side, on_ground[:, 2 * n : 2 * n + 2], fps) for n, side in enumerate(SIDES)}
    lacking = np.stack([turns[side].height - posed.heads["foot" + side] @ posed.up for side in SIDES])
    posed = raised(posed, (lacking * feet).sum(axis=0) / np.maximum(feet.sum(axis=0), 1), stands, fps, _RISE)
    plans = {
        side: plan_foot(posed, side, turns[side], on_ground[:, 2 * n : 2 * n + 2], fps, options.radius)
        for n, side in enumerate(SIDES)
    }
    keep_apart(posed, plans, fps)
    drops = [Leg(posed, side).drop(plan.ankle, posed.up) for side, plan in plans.items()]
    dip = covering(np.max(drops, axis=0), max(1, round(_DIP * fps)))[:, None] * posed.up
    rotations = dict(posed.rotations)
    rest = posed.anatomy.skeleton.rest
    for side, plan in plans.items():
        leg = Leg(posed, side)
        for slot, turned in zip(leg.slots, leg.reach(plan.ankle, posed.heads["thigh" + side] - dip)):
            rotations[slot] = continuous(turned)
        for slot, turn in (("foot" + side, plan.foot), ("toe" + side, plan.toe)):
            if slot in posed.anatomy.bones:
                rotations[slot] = continuous(multiply(turn, rest[posed.anatomy.bones[slot]]))
    return replace(posed, rotations=rotations, hips=posed.hips - dip).placed()
