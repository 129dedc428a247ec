"""The parts of a body that bones are mapped to, from the hips outwards.

Chains are counted: "spine", "spine.2", ... from the hips up, "neck", "neck.2"; the bones of a finger "index1" to "index3" from the
palm outwards, where "thumb1" is the bone that leaves the wrist. The sides are ".L" and ".R", the character's own.
"""

from __future__ import annotations

from collections.abc import Collection

SPINE = ("spine", "spine.2", "spine.3", "spine.4", "spine.5", "spine.6")
NECK = ("neck", "neck.2", "neck.3")
LIMBS = ("shoulder", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
SIDES = (".L", ".R")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
PHALANGES = (1, 2, 3)

FINGER_SLOTS: tuple[str, ...] = tuple(f"{finger}{number}{side}" for side in SIDES for finger in FINGERS for number in PHALANGES)

SLOTS: tuple[str, ...] = (
    "root", "hips", *SPINE, *NECK, "head",
    *(part + side for side in SIDES for part in LIMBS),
    *FINGER_SLOTS,
)  # fmt: skip

#: Without these there is no body to move.
REQUIRED: tuple[str, ...] = (
    "hips",
    *(part + side for side in SIDES for part in ("upper_arm", "forearm", "thigh", "shin", "foot")),
)

#: The slots that a slot hangs on: the first of them that is mapped is its parent.
HANGS_ON: dict[str, tuple[str, ...]] = {
    "root": (),
    "hips": ("root",),
    **{slot: (*reversed(SPINE[:number]), "hips") for number, slot in enumerate(SPINE)},
    **{slot: (*reversed(NECK[:number]), *reversed(SPINE), "hips") for number, slot in enumerate(NECK)},
    "head": (*reversed(NECK), *reversed(SPINE), "hips"),
    **{
        part + side: parents
        for side in SIDES
        for part, parents in {
            "shoulder": (*reversed(SPINE), "hips"),
            "upper_arm": ("shoulder" + side, *reversed(SPINE), "hips"),
            "forearm": ("upper_arm" + side,),
            "hand": ("forearm" + side,),
            "thigh": ("hips",),
            "shin": ("thigh" + side,),
            "foot": ("shin" + side,),
            "toe": ("foot" + side,),
        }.items()
    },
    **{
        f"{finger}{number}{side}": (*(f"{finger}{before}{side}" for before in range(number - 1, 0, -1)), "hand" + side)
        for side in SIDES
        for finger in FINGERS
        for number in PHALANGES
    },
}


def parent_slot(slot: str, mapped: Collection[str]) -> str | None:
    """The mapped slot that this one hangs on, None for the first."""
    return next((parent for parent in HANGS_ON[slot] if parent in mapped), None)


def chain(slots: tuple[str, ...], mapped: Collection[str]) -> list[str]:
    """Those of a chain's slots that are mapped, in order."""
    return [slot for slot in slots if slot in mapped]
