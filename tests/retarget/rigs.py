"""Characters for the tests of retargeting: one body, in any pose at rest, with any names, rolls, axes and size.

Nothing here uses the code under test: turns are 3 x 3 matrices by Rodrigues' formula.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# A body of 1.75 m in a T-pose in Blender's axes: z up, facing -y, its left +x. Joints: (parent, place).
LEFT = {
    "shoulder": ("chest", (0.02, 0.0, 1.44)), "upper_arm": ("shoulder", (0.18, 0.0, 1.44)),
    "forearm": ("upper_arm", (0.46, 0.0, 1.44)), "hand": ("forearm", (0.71, 0.0, 1.44)),
    "thigh": ("hips", (0.09, 0.0, 0.92)), "shin": ("thigh", (0.09, 0.0, 0.50)),
    "foot": ("shin", (0.09, 0.0, 0.08)), "toe": ("foot", (0.09, -0.13, 0.02)),
}  # fmt: skip
TRUNK = {
    "hips": (None, (0.0, 0.0, 0.96)), "spine": ("hips", (0.0, 0.0, 1.06)), "belly": ("spine", (0.0, 0.0, 1.19)),
    "chest": ("belly", (0.0, 0.0, 1.31)), "neck": ("chest", (0.0, 0.0, 1.50)), "head": ("neck", (0.0, 0.0, 1.59)),
}  # fmt: skip
TIPS = {"hand": (0.81, 0.0, 1.44), "toe": (0.09, -0.20, 0.0), "head": (0.0, 0.0, 1.75)}
AIMS = {"hips": "spine", "spine": "belly", "belly": "chest", "chest": "neck", "neck": "head", "shoulder": "upper_arm",
        "upper_arm": "forearm", "forearm": "hand", "thigh": "shin", "shin": "foot", "foot": "toe"}  # fmt: skip
LIMBS = [(a + s, b + s, c + s) for s in (".L", ".R") for a, b, c in (("upper_arm", "forearm", "hand"), ("thigh", "shin", "foot"))]

_PARTS = (
    "hips",
    "spine",
    "belly",
    "chest",
    "neck",
    "head",
    "shoulder",
    "upper_arm",
    "forearm",
    "hand",
    "thigh",
    "shin",
    "foot",
    "toe",
)
# Prefix, the two sides, and the names of the parts in this order.
_TABLES = {
    "mixamo": ("mixamorig1:", "Left Right", "Hips Spine Spine1 Spine2 Neck Head {}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg "
               "{}Foot {}ToeBase"),
    "unreal": ("", "l r", "pelvis spine_01 spine_02 spine_03 neck_01 head clavicle_{} upperarm_{} lowerarm_{} hand_{} thigh_{} "
               "calf_{} foot_{} ball_{}"),
    "vrm": ("", "L R", "J_Bip_C_Hips J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head J_Bip_{}_Shoulder "
            "J_Bip_{}_UpperArm J_Bip_{}_LowerArm J_Bip_{}_Hand J_Bip_{}_UpperLeg J_Bip_{}_LowerLeg J_Bip_{}_Foot J_Bip_{}_ToeBase"),
    "arp": ("", "l r", "root.x spine_01.x spine_02.x spine_03.x neck.x head.x shoulder.{} arm_stretch.{} forearm_stretch.{} "
            "hand.{} thigh_stretch.{} leg_stretch.{} foot.{} toes_01.{}"),
    "stpose": ("", "Left Right", "Hips Spine Chest UpperChest Neck Head {}Shoulder {}Arm {}ForeArm {}Hand {}UpLeg {}Leg "
               "{}Foot {}ToeBase"),
    "nameless": ("", "q k", "b0 b1 b2 b3 b4 b5 x{}1 x{}2 x{}3 x{}4 y{}1 y{}2 y{}3 y{}4"),
}  # fmt: skip
NAMES = {
    key: {"prefix": prefix, "sides": tuple(sides.split()), **dict(zip(_PARTS, names.split()))}
    for key, (prefix, sides, names) in _TABLES.items()
}


def turn(axis, degrees: float) -> np.ndarray:
    """(3, 3) by Rodrigues' formula."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@dataclass(frozen=True)
class Bone:
    """part: of the body, with its side. rest: (3, 3) axes at rest, y along the bone."""

    part: str
    name: str
    parent: str | None
    head: np.ndarray
    tail: np.ndarray
    rest: np.ndarray


@dataclass(frozen=True)
class Character:
    """Bones by part, parents before children. hinges: axis at rest about which each limb bends, by its first part."""

    bones: dict[str, Bone]
    hinges: dict[str, np.ndarray]

    def named(self) -> dict[str, str]:
        """Bone names by slot of the map."""
        rename = {"belly": "spine.2", "chest": "spine.3"}
        return {rename.get(part, part): bone.name for part, bone in self.bones.items()}

    def turned(self, by: np.ndarray, scale: float = 1.0) -> Character:
        """The same with other axes and size, as an importer leaves it."""
        bones = {
            part: replace(bone, head=scale * by @ bone.head, tail=scale * by @ bone.tail, rest=by @ bone.rest)
            for part, bone in self.bones.items()
        }
        return Character(bones, {limb: by @ axis for limb, axis in self.hinges.items()})


def parts() -> dict[str, tuple[str | None, np.ndarray, np.ndarray]]:
    """Parent, head and tail of each part, in a T-pose."""
    found: dict[str, tuple[str | None, np.ndarray, np.ndarray]] = {}
    for part, (parent, place) in TRUNK.items():
        tail = TRUNK[AIMS[part]][1] if part in AIMS else TIPS[part]
        found[part] = (parent, np.array(place), np.array(tail))
    for side, mirror in ((".L", np.array([1.0, 1, 1])), (".R", np.array([-1.0, 1, 1]))):
        for part, (parent, place) in LEFT.items():
            tail = LEFT[AIMS[part]][1] if part in AIMS else TIPS[part]
            parent = parent if parent in TRUNK else parent + side
            found[part + side] = (parent, np.array(place) * mirror, np.array(tail) * mirror)
    return found


def character(
    names: str = "mixamo",
    arms_down: float = 0.0,
    elbows: float = 0.0,
    knees: float = 0.0,
    rolls: int | None = None,
    proportions: tuple[float, float] = (1.0, 1.0),
    lean: float = 0.0,
) -> Character:
    """A character facing -y with z up.

    arms_down: degrees from the T-pose. elbows, knees: degrees of bend at rest. rolls: seed of random rolls.
    proportions: factors of arms and legs. lean: degrees by which the spine curves at rest.
    """
    table, random = NAMES[names], np.random.default_rng(rolls)
    tree = parts()
    turns: dict[str, np.ndarray] = {}
    heads: dict[str, np.ndarray] = {}
    bones: dict[str, Bone] = {}
    hinges: dict[str, np.ndarray] = {}
    for part, (parent, head, tail) in tree.items():
        base, side = part.split(".")[0], part[-2:]
        own = np.eye(3)
        out = 1.0 if side == ".L" else -1.0
        if base == "upper_arm":
            own = turn([0, 1, 0], out * arms_down)
        if base == "forearm":
            own = turn([0, 0, -out], elbows)
        if base == "shin":
            own = turn([1, 0, 0], knees)
        if base == "thigh":
            own = turn([1, 0, 0], -knees / 2)
        if base == "foot":
            own = turn([1, 0, 0], -knees / 2)
        if base == "spine":
            own = turn([1, 0, 0], lean)
        if base == "belly":
            own = turn([1, 0, 0], -2 * lean)
        if base in ("neck", "shoulder"):
            own = turn([1, 0, 0], lean)
        over = turns[parent] if parent else np.eye(3)
        turns[part] = over @ own
        size = proportions[0] if base in ("upper_arm", "forearm", "hand") else proportions[1] if base in ("thigh", "shin") else 1.0
        if parent is None:
            heads[part] = head
        else:
            before = parent.split(".")[0]
            grow = proportions[0] if before in ("upper_arm", "forearm") else proportions[1] if before in ("thigh", "shin") else 1.0
            heads[part] = heads[parent] + turns[parent] @ (head - tree[parent][1]) * grow
        end = heads[part] + turns[part] @ (tail - head) * size
        roll = random.uniform(-180, 180) if rolls is not None else 0.0
        label = table[base].format(table["sides"][0 if side == ".L" else 1])
        carrier = bones[parent].name if parent else None
        bones[part] = Bone(part, table["prefix"] + label, carrier, heads[part], end, axes(end - heads[part], roll))
        if base == "upper_arm":
            hinges[part] = turns[part] @ np.array([0.0, 0.0, -out])
        if base == "thigh":
            hinges[part] = turns[part] @ np.array([1.0, 0.0, 0.0])
    return _on_floor(Character(bones, hinges))


def _on_floor(one: Character) -> Character:
    low = min(min(bone.head[2], bone.tail[2]) for bone in one.bones.values())
    down = np.array([0.0, 0.0, low])
    return Character({p: replace(b, head=b.head - down, tail=b.tail - down) for p, b in one.bones.items()}, one.hinges)


def axes(vector: np.ndarray, roll: float) -> np.ndarray:
    """(3, 3) with y along the vector, turned about it by `roll` degrees."""
    y = vector / np.linalg.norm(vector)
    x = np.cross(y, [0, 0, 1.0]) if abs(y[2]) < 0.9 else np.cross(y, [0, 1.0, 0])
    x /= np.linalg.norm(x)
    return turn(y, roll) @ np.stack([x, y, np.cross(x, y)], axis=-1)
