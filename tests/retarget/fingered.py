"""Characters and tracks with fingers: the body of `rigs` and the motions of `walks`, with 15 finger bones in each hand.

A left hand in a T-pose, palm down, is described by where each finger leaves the wrist and by its bones' lengths and directions; all
else follows from the character's own hand at rest. Nothing here uses the code under test.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rigs import Bone, Character, axes, turn
from walks import NAMES, OFFSETS, PARENTS, quaternion

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Of a left hand along +x, palm down (-z), its thumb forward (-y), in Blender's axes: metres from the wrist, direction, lengths.
BASE = {
    "thumb": (0.030, -0.028, -0.008), "index": (0.090, -0.026, 0.0), "middle": (0.092, -0.004, 0.0),
    "ring": (0.086, 0.016, 0.0), "pinky": (0.078, 0.034, -0.002),
}  # fmt: skip
WAY = {
    "thumb": (0.72, -0.6, -0.35), "index": (0.99, -0.08, 0.0), "middle": (1.0, 0.0, 0.0), "ring": (0.99, 0.07, 0.0),
    "pinky": (0.98, 0.16, 0.0),
}  # fmt: skip
LENGTHS = {
    "thumb": (0.045, 0.032, 0.026), "index": (0.042, 0.025, 0.021), "middle": (0.046, 0.029, 0.022), "ring": (0.042, 0.027, 0.021),
    "pinky": (0.033, 0.020, 0.018),
}  # fmt: skip
_SIDES = {".L": np.array([1.0, 1, 1]), ".R": np.array([-1.0, 1, 1])}

RIGS: dict[str, Callable[[str, int, str], str]] = {
    "mixamo": lambda finger, n, side: f"mixamorig1:{'Left' if side == '.L' else 'Right'}Hand{finger.capitalize()}{n}",
    "unreal": lambda finger, n, side: f"{finger}_0{n}_{side[1].lower()}",
    "vrm": lambda finger, n, side: f"J_Bip_{side[1]}_{'Little' if finger == 'pinky' else finger.capitalize()}{n}",
    "stpose": lambda finger, n, side: f"{'Left' if side == '.L' else 'Right'}Hand{finger.capitalize()}{n}",
    "nameless": lambda finger, n, side: f"z{side[1]}{FINGERS.index(finger)}{n}",
}


def hinge(finger: str) -> np.ndarray:
    """(3,) the axis about which a straight finger of the left hand bends into the palm."""
    if finger == "thumb":
        way = np.array(WAY["thumb"]) / np.linalg.norm(WAY["thumb"])
        axis = np.array([0.5, 0.0, 0.86])
        axis -= (axis @ way) * way
        return axis / np.linalg.norm(axis)
    return np.array([0.0, 1.0, 0.0])


def with_fingers(
    one: Character,
    names: str,
    bend: float = 0.0,
    palm: float = 0.0,
    size: float = 1.0,
    metacarpals: bool = False,
    tips: bool = False,
) -> Character:
    """The character with 30 finger bones.

    bend: degrees of each joint at rest. palm: degrees by which the hand is turned about the forearm at rest, thumb up. size: of
    the hand. metacarpals: with a bone inside of the palm for each finger but the thumb. tips: with a bone at each finger's end.
    """
    bones, name = dict(one.bones), RIGS[names]
    for side, mirror in _SIDES.items():
        hand = one.bones["hand" + side]
        out = hand.tail - hand.head
        carry = _frame(out / np.linalg.norm(out), one.hinges["upper_arm" + side] * mirror[0], mirror[0]) @ turn([1, 0, 0], -palm)
        for finger in FINGERS:
            way, axis = np.array(WAY[finger]) / np.linalg.norm(WAY[finger]), hinge(finger)
            place, parent, angle = np.array(BASE[finger]) * size, hand.name, 0.0
            if metacarpals and finger != "thumb":
                parent = _add(bones, f"{finger}0{side}", name(finger, 0, side), parent, hand, carry, 0.3 * place, place)
            for number in (1, 2, 3):
                angle += bend
                end = place + size * LENGTHS[finger][number - 1] * turn(axis, angle) @ way
                parent = _add(bones, f"{finger}{number}{side}", name(finger, number, side), parent, hand, carry, place, end)
                place = end
            if tips:
                _add(bones, f"{finger}4{side}", name(finger, 4, side), parent, hand, carry, place, place + 0.02 * size * way)
    return Character(bones, one.hinges)


def _add(
    bones: dict[str, Bone], part: str, name: str, parent: str, hand: Bone, carry: np.ndarray, head: np.ndarray, tail: np.ndarray
) -> str:
    ends = [hand.head + carry @ place for place in (head, tail)]
    bones[part] = Bone(part, name, parent, *ends, axes(ends[1] - ends[0], 0.0))
    return name


def _frame(along: np.ndarray, out: np.ndarray, mirror: float) -> np.ndarray:
    """(3, 3) from the hand as `BASE` has it to a hand along `along` whose palm faces `out`; of a mirrored hand on the right."""
    out = out - (out @ along) * along
    out /= np.linalg.norm(out)
    ahead = np.cross(out, along) * mirror  # towards the thumb
    return np.stack([along, -ahead, -out], axis=-1)


def parts(one: Character) -> dict[str, str]:
    """Bone names by slot of the map, with the fingers'."""
    known = {part: bone.name for part, bone in one.bones.items() if part[:-2].rstrip("0123456789") in FINGERS}
    return {part: name for part, name in known.items() if part[-3] in "123"}


# ---- tracks


def fingered_track(track: dict, turns: np.ndarray, curl: Callable[[np.ndarray, str, str], np.ndarray]) -> tuple[dict, np.ndarray]:
    """A track with fingers, and where its finger joints are relative to the wrist: (T, 30, 3) directions of the bones, y up.

    turns: (T, J, 3, 3) of the track's body. curl: degrees (T,) by which each joint of a finger bends, from frames, finger and side.
    """
    from walks import positions

    names, parents, offsets = list(NAMES), list(PARENTS), list(OFFSETS)
    _, world = positions(turns, track["root"])
    frames = np.arange(len(turns))
    rotations, directions = [], []
    for side, word in ((".L", "Left"), (".R", "Right")):
        mirror = _SIDES[side]
        hand = NAMES.index(word + "Hand")
        for finger in FINGERS:
            way, axis = np.array(WAY[finger]) / np.linalg.norm(WAY[finger]), hinge(finger)
            bends = curl(frames, finger, side)
            local = [_to_file(np.diag(mirror) @ turn(axis, bend) @ np.diag(mirror)) for bend in bends]
            carried = world[:, hand]
            for number in (1, 2, 3):
                names.append(f"{word}Hand{finger.capitalize()}{number}")
                parents.append(hand if number == 1 else len(names) - 2)
                before = np.array(BASE[finger]) if number == 1 else LENGTHS[finger][number - 2] * way
                offsets.append(_to_file_place(mirror * before))
                rotations.append([quaternion(matrix) for matrix in local])
                carried = carried @ np.array(local)
                directions.append(carried @ _to_file_place(mirror * way))
            names.append(f"{word}Hand{finger.capitalize()}End")
            parents.append(len(names) - 2)
            offsets.append(_to_file_place(mirror * LENGTHS[finger][2] * way))
            rotations.append([np.array([1.0, 0, 0, 0])] * len(frames))
    keep = [number for number, name in enumerate(names) if name not in ("LeftHandEnd", "RightHandEnd")]
    place = {old: new for new, old in enumerate(keep)}
    whole = np.concatenate([track["rotations"], np.stack(rotations, axis=1)], axis=1)[:, keep]
    made = {
        **track,
        "names": tuple(names[number] for number in keep),
        "parents": np.array([place.get(int(parents[number]), -1) for number in keep]),
        "offsets": np.array([offsets[number] for number in keep]),
        "rotations": whole,
    }
    return made, np.stack(directions, axis=1)


_FILE = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from Blender's axes to the file's: y up, facing +z


def _to_file(matrix: np.ndarray) -> np.ndarray:
    return _FILE @ matrix @ _FILE.T


def _to_file_place(place: np.ndarray) -> np.ndarray:
    return _FILE @ place


def waving(frames: np.ndarray, finger: str, side: str) -> np.ndarray:
    """Degrees: every finger opens and closes, each at another time; fists in between."""
    phase = 0.6 * FINGERS.index(finger) + (0.0 if side == ".L" else 1.0)
    most = 30 if finger == "thumb" else 70
    return most * (0.5 + 0.5 * np.sin(2 * np.pi * frames / 30 + phase))
