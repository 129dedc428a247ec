"""A motion on five characters' skeletons: are limbs directed as in the motion, and do the feet stand on the floor?

stpose mocap examples/walk.mp4 -o walk.npz && python benchmarks/own_skeletons.py walk.npz

The skeletons have the names and the extra joints of CMU, Mixamo, Unreal, Rokoko and VRM characters, and proportions, rest poses and
facings of their own; they are made here.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate import onto as solver
from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Array, Motion
from stpose_core.formats import load_motion
from stpose_core.retarget.footlock import FootLock, lock_feet
from stpose_core.rigs import joint_names, recognised

# A body of 1.7 m in a T-pose that faces +z, its left +x: the parent, and the offset from it in metres.
_TRUNK = {"Hips": ("", (0, 0.95, 0)), "Spine": ("Hips", (0, 0.10, -0.01)), "Chest": ("Spine", (0, 0.13, -0.01)),
          "UpperChest": ("Chest", (0, 0.12, 0)), "Neck": ("UpperChest", (0, 0.17, 0.02)), "Head": ("Neck", (0, 0.09, 0.02)),
          "HeadEnd": ("Head", (0, 0.17, 0))}  # fmt: skip
_SIDE = {"Shoulder": ("UpperChest", (0.03, 0.12, 0)), "Arm": ("Shoulder", (0.14, 0.01, -0.02)), "ForeArm": ("Arm", (0.28, 0, 0)),
         "Hand": ("ForeArm", (0.25, 0, 0)), "UpLeg": ("Hips", (0.09, -0.05, 0)), "Leg": ("UpLeg", (0, -0.42, 0.01)),
         "Foot": ("Leg", (0, -0.41, -0.02)), "ToeBase": ("Foot", (0, -0.06, 0.14)),
         "ToeEnd": ("ToeBase", (0, 0, 0.07))}  # fmt: skip
_KNUCKLES = {"Thumb": (0.03, -0.01, 0.03), "Index": (0.09, 0, 0.025), "Middle": (0.095, 0, 0.005), "Ring": (0.09, 0, -0.015),
             "Pinky": (0.08, -0.003, -0.035)}  # fmt: skip
LIMBS = tuple((side + a, side + b) for side in ("Left", "Right")
              for a, b in (("Arm", "ForeArm"), ("ForeArm", "Hand"), ("UpLeg", "Leg"), ("Leg", "Foot")))  # fmt: skip
FEET = ("LeftFoot", "LeftToeBase", "RightFoot", "RightToeBase")  # as the columns of Motion.contacts

CONTROLS = {
    "nothing": lambda posed, fps, contacts: posed,
    "lock": lambda posed, fps, contacts: lock_feet(posed, fps, FootLock(), contacts),
}


@dataclass(frozen=True)
class Figures:
    """What a solved motion is like; NaN where there is nothing to measure.

    angle, worst: degrees that limbs are off, mean and largest. floor, lowest: cm from the floor of the lower of ankle and ball of a
    foot in contact, median, and the lowest in all frames. slide: cm a frame at 30 fps of feet in contact. fingers: degrees that
    fingers are off, mean.
    """

    angle: float
    worst: float
    floor: float
    lowest: float
    slide: float
    fingers: float


def character(
    rig: str, arms: float = 0.0, facing: float = 0.0, size: float = 1.0, seed: int = 1, extra: tuple[str, ...] = ()
) -> Motion:
    """One frame of a skeleton in its rest pose, standing on y = 0.

    rig: a preset of `stpose_core.rigs`. arms, facing: degrees that the arms hang from a T-pose, and that it is turned about y.
    seed: of its proportions. extra: joints of its family that are no part of a body: "root", "twist", "hair", "hips".
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[str, str, Array]] = [(name, above, np.array(at, float)) for name, (above, at) in _TRUNK.items()]
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        own = [(side + n, side + a if a in _SIDE else a, np.array(at, float)) for n, (a, at) in _SIDE.items()]
        for finger, knuckle in _KNUCKLES.items():
            above = side + "Hand"
            for number, length in enumerate((0.0, 0.035, 0.025, 0.02), 1):
                name = f"{side}Hand{finger}{number}" if number < 4 else f"{side}Hand{finger}End"
                straight = np.array([length, 0, 0]) if finger != "Thumb" else length * np.array([0.7, -0.1, 0.7])
                own.append((name, above, np.array(knuckle) if number == 1 else straight))
                above = name
        hang = Rotation.from_euler("z", -arms, degrees=True)
        down = ("ForeArm", "Hand")
        rows += [(n, a, (hang.apply(at) if n.removeprefix(side).startswith(down) else at) * [sign, 1, 1]) for n, a, at in own]
    sizes = {name.removeprefix("Left").removeprefix("Right"): random.uniform(0.85, 1.15) for name, _, _ in rows}
    rows = [(name, above, at * size * sizes[name.removeprefix("Left").removeprefix("Right")]) for name, above, at in rows]
    rows = _with(rows, extra)
    names = [name for name, _, _ in rows]
    theirs = joint_names(rig)
    offsets = Rotation.from_euler("y", facing, degrees=True).apply(np.stack([at for _, _, at in rows]))
    places = _standing(np.array([names.index(above) if above else -1 for _, above, _ in rows]), offsets)
    offsets[0] = 0.0
    return Motion(
        names=tuple(theirs.get(name, name) for name in names),
        parents=np.array([names.index(above) if above else -1 for _, above, _ in rows]),
        offsets=offsets,
        rotations=np.tile([1.0, 0.0, 0.0, 0.0], (1, len(names), 1)),
        root=places[:1],
        contacts=np.zeros((1, 4)),
        filled=np.zeros(1, bool),
        fps=30.0,
    )


def _with(rows: list[tuple[str, str, Array]], extra: tuple[str, ...]) -> list[tuple[str, str, Array]]:
    """The joints and those of `extra`, each after its parent."""
    found = list(rows)
    if "root" in extra:
        parents = np.array([[name for name, _, _ in rows].index(above) if above else -1 for _, above, _ in rows])
        feet = _standing(parents, np.stack([at for _, _, at in rows]))
        found = [("root", "", np.zeros(3)), ("Hips", "root", feet[0]), *found[1:]]
    if "hips" in extra:  # a joint between the pelvis and each leg
        for side in ("Left", "Right"):
            index = [name for name, _, _ in found].index(f"{side}UpLeg")
            joint = (f"{side[0]}HipJoint", "Hips", np.zeros(3))
            found[index : index + 1] = [joint, (f"{side}UpLeg", joint[0], found[index][2])]
    if "twist" in extra:
        for name, above, at in rows:
            if name.endswith(("ForeArm", "LeftLeg", "RightLeg")):
                found.append((f"{above}_twist_01", above, 0.5 * at))
    if "hair" in extra:
        found += [("J_Sec_Hair1", "Head", np.array([0, 0.1, -0.08])), ("J_Sec_Hair2", "J_Sec_Hair1", np.array([0, -0.1, -0.02]))]
    return found


def _standing(parents: Array, offsets: Array) -> Array:
    """(J, 3) the joints at rest, the lowest on the floor."""
    places = offsets.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            places[joint] = places[parent] + offsets[joint]
    return places - [0, places[:, 1].min(), 0]


CHARACTERS = {
    "CMU": character("cmu", extra=("hips",), seed=2),
    "Mixamo": character("mixamo", arms=5, size=1.1, seed=3),
    "Unreal": character("unreal", arms=52, facing=90, extra=("root", "twist"), seed=4),
    "Rokoko": character("rokoko", arms=80, size=0.9, seed=5),
    "VRM": character("vrm", arms=30, facing=180, size=0.8, extra=("hair",), seed=6),
}


def measure(motion: Motion, solved: Motion) -> Figures:
    """How well a motion was put on a skeleton. Both have the names of presets."""
    mine, theirs = recognised(solved), recognised(motion)
    places, given = forward_kinematics(mine), forward_kinematics(theirs)
    off = np.stack([_between(_bone(places, mine, *limb), _bone(given, theirs, *limb)) for limb in LIMBS])
    rest = _standing(np.asarray(mine.parents), mine.offsets)
    feet = [mine.names.index(name) for name in FEET]
    # Of each foot the lower of ankle and ball, as far above the floor as they are at rest.
    heights = places[:, feet, 1] - rest[feet, 1]
    on = motion.contacts > 0.5
    lower = np.stack([heights[:, :2].min(axis=1), heights[:, 2:].min(axis=1)], axis=1)
    steps = np.linalg.norm(np.diff(places[:, feet], axis=0)[..., [0, 2]], axis=-1)[on[1:] & on[:-1]]
    standing = np.stack([on[:, :2].any(axis=1), on[:, 2:].any(axis=1)], axis=1)
    return Figures(
        angle=float(off.mean()),
        worst=float(off.max()),
        floor=100 * float(np.median(np.abs(lower[standing]))) if standing.any() else float("nan"),
        lowest=100 * float(lower.min()),
        slide=100 * float(steps.mean()) * motion.fps / 30 if steps.size else float("nan"),
        fingers=_fingers(mine, places, theirs, given),
    )


def _bone(places: Array, motion: Motion, first: str, second: str) -> Array:
    vector = places[:, motion.names.index(second)] - places[:, motion.names.index(first)]
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


def _between(one: Array, other: Array) -> Array:
    """Degrees between unit vectors."""
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(one - other, axis=-1) / 2, 0, 1))))


def _fingers(mine: Motion, places: Array, theirs: Motion, given: Array) -> float:
    bones = [(f"{side}Hand{finger}{number}", f"{side}Hand{finger}{number + 1}")
             for side in ("Left", "Right") for finger in _KNUCKLES for number in (1, 2)]  # fmt: skip
    bones = [bone for bone in bones if set(bone) <= set(mine.names) & set(theirs.names)]
    if not bones:
        return float("nan")
    return float(np.mean([_between(_bone(places, mine, *bone), _bone(given, theirs, *bone)) for bone in bones]))


def row(name: str, figures: Figures) -> str:
    """A row of the table."""
    found = (figures.angle, figures.worst, figures.floor, figures.lowest, figures.slide, figures.fingers)
    return f"| {name} | {found[0]:.2f} / {found[1]:.1f} | {found[2]:.2f} | {found[3]:.2f} | {found[4]:.2f} | {found[5]:.1f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion", type=Path, help="a file of motion")
    parser.add_argument("--feet", choices=CONTROLS, help="instead of the path's correction: nothing, or the foot lock")
    options = parser.parse_args()
    if options.feet:
        solver.carried = CONTROLS[options.feet]
    motion = load_motion(options.motion)
    print("| skeleton | limbs off, mean / most, deg | floor, cm | lowest, cm | slide, cm a frame | fingers off, deg |")
    print("|---|---|---|---|---|---|")
    print(row("the motion itself", measure(motion, motion)))
    for name, target in CHARACTERS.items():
        print(row(name, measure(motion, solver.onto(motion, target))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
