"""Retargeting: the joint frames of a source in motion, put on the bones of a target.

Each body part of both skeletons has a frame at rest that does not depend on rest pose, bone axes or roll (`anatomy`). The motion
turns the source's frames; the target's bones are turned so that their frames lie the same way in the world.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from .anatomy import LIMBS, Anatomy, hinges_in_motion
from .fingers import add_hands, palms, relaxed
from .level import standing_level
from .rotation import IDENTITY, Array, about, blend, continuous, inverse, multiply, rotate, unit
from .skeleton import Skeleton, Track
from .slots import NECK, SIDES, SPINE, chain, parent_slot
from .soles import Sole, soles_from_bones

_PLANE = 0.06  # s over which the plane of a bend is smoothed
_STRAIGHT = 0.003  # squared sine of a bend (3 degrees) up to which a limb keeps its own hinge

SOURCE, CHARACTER = "SOURCE", "CHARACTER"
AS_THEY_ARE, RELAXED = "AS_THEY_ARE", "RELAXED"


@dataclass(frozen=True)
class Options:
    """How to retarget.

    facing: SOURCE, the target faces in the world where the source does; CHARACTER, it starts from where it faces itself.
    scale: of the path; the ratio of leg lengths if None. match_spine: spine and neck bones point exactly where the source's do,
    at the cost of the curve that the character's back has at rest. ground: height along the target's up axis of the ground that it
    stands on; that below its soles at rest if None. hands: fingers that the source does not move stay AS_THEY_ARE, or are RELAXED.
    """

    facing: str = SOURCE
    scale: float | None = None
    match_spine: bool = False
    ground: float | None = None
    hands: str = AS_THEY_ARE


@dataclass(frozen=True)
class Posed:
    """A mapped skeleton in motion, in the world.

    rotations: for each slot (T, 4) the bone's own axes. hips: (T, 3) where the hips bone begins.
    up: (3,) against gravity. floor: height along `up` of the ground. soles: by side. path: (T, 3) over the ground, from where the
    target stands at rest; None if not known. heads: for each slot (T, 3) where its bone begins, see `placed`.
    """

    anatomy: Anatomy
    rotations: dict[str, Array]
    hips: Array
    up: Array
    floor: float
    soles: dict[str, Sole] = field(default_factory=dict)
    path: Array | None = None
    scale: float = 1.0
    heads: dict[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.hips)

    @property
    def driven(self) -> dict[str, str]:
        """The map without the bones that the motion does not turn: those move with what carries them. A root bone stays in."""
        return {slot: name for slot, name in self.anatomy.mapped.items() if slot in self.rotations or slot == "root"}

    def placed(self) -> Posed:
        """The same with `heads`: for each slot (T, 3) where its bone begins."""
        anatomy, heads = self.anatomy, {"hips": self.hips}
        for slot in anatomy.mapped:
            if slot in ("hips", "root"):
                continue
            parent = parent_slot(slot, [above for above in heads if above in self.rotations]) or "hips"
            offset = anatomy.head_of(slot) - anatomy.head_of(parent)
            heads[slot] = heads[parent] + rotate(self.turned(parent), offset)
        return replace(self, heads=heads)

    def turned(self, slot: str) -> Array:
        """(T, 4) how far the slot's bone is turned from its rest, in the world."""
        return multiply(self.rotations[slot], inverse(self.anatomy.skeleton.rest[self.anatomy.bones[slot]]))

    def point(self, slot: str, rest: Array) -> Array:
        """(T, 3) where a point (3,) goes that is fixed to the slot's bone; `rest`: where it is at rest. Needs `placed`."""
        return np.asarray(self.heads[slot] + rotate(self.turned(slot), rest - self.anatomy.head_of(slot)))


def retarget(
    source: Track,
    source_map: dict[str, str],
    target: Skeleton,
    target_map: dict[str, str],
    options: Options | None = None,
    soles: dict[str, Sole] | None = None,
) -> Posed:
    """The target in motion. The maps give a bone name for each slot (`slots`). soles: of the target; from its bones if None.

    Raises KeyError for a bone that is not there, ValueError where a map lacks hips or thighs.
    """
    options = options or Options()
    for mapped, which in ((source_map, "source"), (target_map, "target")):
        if "hips" not in mapped:
            raise ValueError(f"the map of the {which} has no bone for the hips")
    giver, taker = Anatomy(source.skeleton, source_map), Anatomy(target, target_map)
    hands = palms(giver, taker)
    frames = source_frames(source, giver, options.match_spine, hands)
    heading = IDENTITY
    if options.facing == CHARACTER:
        heading = multiply(taker.character, inverse(giver.character))
    rest = add_hands(taker, taker.frames(match_spine=options.match_spine), hands)
    rotations = {}
    for slot, frame in spread(frames, taker.mapped).items():
        if slot not in rest:  # a finger of a hand that is not mapped
            continue
        own = multiply(inverse(rest[slot]), target.rest[taker.bones[slot]])
        rotations[slot] = continuous(multiply(multiply(heading, frame), own))
    if options.hands == RELAXED:
        wrists = [slot for slot in rotations if slot.startswith("hand.")]
        turned = {slot: multiply(rotations[slot], inverse(target.rest[taker.bones[slot]])) for slot in wrists}
        rotations.update((slot, continuous(turn)) for slot, turn in relaxed(taker, rest, turned, rotations).items())
    return _placed(source, giver, taker, rotations, heading, options, soles or soles_from_bones(taker))


def source_frames(source: Track, anatomy: Anatomy, match_spine: bool = False, hands: Collection[str] = ()) -> dict[str, Array]:
    """For each slot (T, 4) the joint frame of the source in the world. hands: the sides whose palms count (`fingers.palms`)."""
    rest = add_hands(anatomy, anatomy.frames(hinges_in_motion(anatomy, source), match_spine), hands)
    frames = {
        slot: multiply(source.rotations[:, bone], multiply(inverse(anatomy.skeleton.rest[bone]), rest[slot]))
        for slot, bone in anatomy.bones.items()
        if slot != "root" and slot in rest
    }
    for upper, lower, end in LIMBS.values():
        if {upper, lower, end} <= set(frames):
            joints = [source.heads[:, anatomy.bones[slot]] for slot in (upper, lower, end)]
            first, second = unit(joints[1] - joints[0]), unit(joints[2] - joints[1])
            twist = _off_hinge(frames[upper], first, second, source.fps)
            frames[upper] = multiply(about(first, twist), frames[upper])
            frames[lower] = multiply(about(second, twist), frames[lower])
    return frames


def _off_hinge(frame: Array, first: Array, second: Array, fps: float) -> Array:
    """(T,) rad by which the plane that a limb bends in is turned about its first bone from that bone's own hinge.

    Nought for a source whose elbows and knees are hinges. For others the limb is turned so that the target's hinge lies in the
    plane that is seen, weighted by the square of the bend's sine and smoothed: the plane of a straight limb is noise.
    frame: (T, 4) of the first bone. first, second: (T, 3) unit directions.
    """
    axis, plane = rotate(frame, [1.0, 0.0, 0.0]), np.cross(first, second)
    along, beside = (plane * axis).sum(-1), (plane * np.cross(first, axis)).sum(-1)
    weight = along**2 + beside**2
    # Past straight, or sideways: no bend of a hinge.
    weight = np.where(along > 0.2 * np.sqrt(weight), weight, 0.0)
    reach = max(1, round(3 * _PLANE * fps))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_PLANE * fps)) ** 2)
    sums = [
        np.convolve(np.pad(v, reach), kernel / kernel.sum(), mode="valid") for v in (weight * np.arctan2(beside, along), weight)
    ]
    return np.asarray(sums[0] / (sums[1] + _STRAIGHT))


def spread(frames: dict[str, Array], mapped: dict[str, str]) -> dict[str, Array]:
    """The frames for the target's slots: spine and neck shared out where their numbers of bones differ, the others as they are.

    The last bone of a chain follows the source's last, so that shoulders and head sit on what carries them.
    """
    found = {slot: frame for slot, frame in frames.items() if slot in mapped and slot not in (*SPINE, *NECK)}
    trunk = [frames["hips"], *(frames[slot] for slot in chain(SPINE, frames))]
    for number, slot in enumerate(chain(SPINE, mapped), start=1):
        if len(trunk) > 1:
            found[slot] = _along(trunk, number / len(chain(SPINE, mapped)))
    necks = chain(NECK, mapped)
    stack = [trunk[-1], *(frames[slot] for slot in chain(NECK, frames))]
    share = len(necks)
    if len(stack) == 1 and "head" in frames:
        stack, share = [*stack, frames["head"]], len(necks) + 1
    for number, slot in enumerate(necks, start=1):
        found[slot] = _along(stack, number / share)
    return found


def _along(frames: list[Array], part: float) -> Array:
    place = part * (len(frames) - 1)
    below = min(int(place + 1e-9), len(frames) - 1)
    rest = place - below
    if rest < 1e-9:
        return frames[below]
    return blend(frames[below], frames[below + 1], rest)


def _placed(
    source: Track,
    giver: Anatomy,
    taker: Anatomy,
    rotations: dict[str, Array],
    heading: Array,
    options: Options,
    soles: dict[str, Sole],
) -> Posed:
    """Put the hips so that the middle of the hip joints follows the source's, measured from the ankles of a foot that stands flat.

    From the ankles, not from the floor: legs of the right length then reach the ground with straight knees where the source's do.
    """
    scale = options.scale or taker.leg_length() / giver.leg_length()
    thighs = [giver.bones["thigh" + side] for side in SIDES]
    centre = source.heads[:, thighs].mean(axis=1)
    up = rotate(heading, giver.up)
    base = giver.hip_centre() - (giver.hip_centre() @ giver.up - standing_level(giver, source)) * giver.up
    lowest = {side: float((soles[side].points @ taker.up).min()) for side in SIDES}
    ankles = float(np.mean([taker.head_of("foot" + side) @ taker.up - lowest[side] for side in SIDES]))
    floor = min(lowest.values()) if options.ground is None else options.ground
    foot = taker.hip_centre() - (taker.hip_centre() @ taker.up - floor) * taker.up
    path = scale * rotate(heading, centre - base)
    over_ground = path - (path @ up)[:, None] * up
    bone = taker.bones["hips"]
    turned = multiply(rotations["hips"], inverse(taker.skeleton.rest[bone]))
    hips = foot + ankles * taker.up + path + rotate(turned, taker.head_of("hips") - taker.hip_centre())
    return Posed(taker, rotations, hips, up, float(foot @ up), soles, over_ground, scale).placed()
