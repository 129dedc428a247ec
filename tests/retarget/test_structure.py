"""Parts of the search for a body by its shape: the joints of a limb, the end of a neck, the bone of a toe."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
from rigs import character
from test_solver import skeleton

from stpose_core.retarget import structure
from stpose_core.retarget.anatomy import Anatomy
from stpose_core.retarget.skeleton import Skeleton
from stpose_core.retarget.structure import _ARM, _LEG, _Search, find_body

UP, SIDE = np.eye(3)[2], np.eye(3)[0]
BODY = skeleton(character("nameless", arms_down=30))
BODY_T = skeleton(character("nameless"))


def with_bones(skel: Skeleton, *bones: tuple[str, str, tuple[float, float, float], tuple[float, float, float]]) -> Skeleton:
    """The skeleton with more bones: name, parent, head and tail."""
    names, parents, heads, tails = list(skel.names), list(skel.parents), list(skel.heads), list(skel.tails)
    for name, parent, head, tail in bones:
        parents.append(names.index(parent))
        names.append(name)
        heads.append(np.array(head))
        tails.append(np.array(tail))
    rest = np.concatenate([skel.rest, np.tile(skel.rest[:1], (len(bones), 1))])
    return Skeleton(tuple(names), np.array(parents), np.array(heads), np.array(tails), rest)


def chain(*points: tuple[float, float, float]) -> tuple[_Search, list[int]]:
    """A search, and a path of bones of the body from whose heads it goes through these points."""
    count = len(points)
    heads = np.array(points, dtype=float)
    tails = np.concatenate([heads[1:], heads[-1:] + [0.0, 0.0, -0.05]])
    skel = replace(BODY, names=tuple(f"b{n}" for n in range(count)), parents=np.arange(-1, count - 1), heads=heads, tails=tails,
                   rest=np.tile(BODY.rest[:1], (count, 1)))  # fmt: skip
    search = _Search(skel, UP, SIDE)
    search.height = 1.7
    return search, list(range(count))


def leg(thigh: float, shin: float, foot: float = 0.2, before: float = 0.0) -> tuple[_Search, list[int]]:
    """A path down: half a pelvis if it has one, hip, knee, ankle, and a foot ahead."""
    points = [(0.1, 0.0, 0.9), (0.1, 0.0, 0.9 - thigh), (0.1, 0.0, 0.9 - thigh - shin), (0.1, -foot, 0.9 - thigh - shin)]
    return chain(*([(0.1 - before, 0.0, 0.9)] if before else []), *points)


def test_a_ratio_within_its_limits_is_not_off() -> None:
    limits = (0.2, 0.9)
    for value, off in ((0.2, 0.0), (0.5, 0.0), (0.9, 0.0), (0.1, log(2)), (1.8, log(2)), (0.05, log(4)), (0.0, log(4))):
        assert structure._outside(value, limits) == pytest.approx(off)


def test_a_bulge_is_the_largest_distance_from_the_line_in_its_lengths() -> None:
    points = np.array([[0.0, 0, 0], [0.1, 0.02, 0.0], [0.3, 0.0, 0.05], [0.5, 0.0, 0.0]])
    assert structure._bulge(points) == pytest.approx(0.1)
    assert structure._bulge(points[[0, 3]]) == 0.0
    assert structure._bulge(points * [2.0, 0.0, 0.0]) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("thigh", "shin", "foot", "before", "off"),
    [
        (0.42, 0.42, 0.2, 0.0, 0.0),
        (0.42, 0.40, 0.2, 0.05, log(0.42 / 0.40)),
        (0.40, 0.42, 0.2, 0.05, log(0.42 / 0.40)),
        (0.42, 0.42, 0.2, 0.25, log(0.25 / 0.42 / 0.4)),  # too much before it
        (0.42, 0.42, 0.40, 0.0, log(0.45 / 0.42 / 0.8)),  # and after it: the tail of the last bone counts
    ],
)
def test_how_far_a_path_is_from_the_build_of_a_leg(thigh: float, shin: float, foot: float, before: float, off: float) -> None:
    joints, found = (search := leg(thigh, shin, foot, before))[0]._joints(search[1], _LEG)
    first = 1 if before else 0
    assert joints == (first, first + 1, first + 2)
    assert found == pytest.approx(off, abs=1e-9)


def test_bones_that_twist_are_not_joints() -> None:
    """Halves of thigh and shin in a line, and a bone that begins where the knee does."""
    heights = [0.9, 0.69, 0.48, 0.48, 0.27, 0.06]
    search, path = chain(*((0.1, 0.0, height) for height in heights), (0.1, -0.15, 0.0))
    joints, off = search._joints(path, _LEG)
    assert (joints, off) == ((0, 2, 5), pytest.approx(0.0))


def test_a_leg_goes_down_and_an_arm_need_not() -> None:
    search, path = chain((0.15, 0.0, 1.4), (0.43, 0.0, 1.4), (0.69, 0.0, 1.4), (0.77, 0.0, 1.4))
    assert search._joints(path, _LEG)[1] > 1.0
    joints, off = search._joints(path, _ARM)
    assert joints == (0, 1, 2)
    assert off == pytest.approx(abs(log(0.26 / 0.28 / 0.9)))
    tiny, path = chain((0.15, 0.0, 1.4), (0.19, 0.0, 1.4), (0.23, 0.0, 1.4), (0.25, 0.0, 1.4))
    assert tiny._joints(path, _ARM)[1] == np.inf, "bones shorter than 5 cm are no limb"


def test_the_toe_is_at_the_ball_of_the_foot() -> None:
    search, path = chain((0.1, 0.0, 0.08), (0.1, -0.03, 0.06), (0.1, -0.13, 0.02), (0.1, -0.2, 0.0))
    assert search._toe(path) == 2
    assert search._toe(path[:2]) == 1


def test_a_head_is_not_its_top_nor_its_jaw_nor_its_hat() -> None:
    names = character("nameless", arms_down=30).named()
    plain = find_body(BODY)
    assert (plain["neck"], plain["head"]) == (names["neck"], names["head"])
    top = with_bones(BODY, ("top", names["head"], (0.0, 0.0, 1.75), (0.0, 0.0, 1.80)))
    assert find_body(top) == plain
    jaw = with_bones(BODY, ("jaw", names["head"], (0.0, -0.05, 1.57), (0.0, -0.10, 1.56)),
                     ("eye", names["head"], (0.0, -0.09, 1.66), (0.0, -0.12, 1.66)))  # fmt: skip
    assert find_body(jaw) == plain
    long = with_bones(BODY, ("top", names["head"], (0.0, 0.0, 1.75), (0.0, 0.0, 1.80)),
                      ("hat", "top", (0.0, 0.0, 1.9), (0.0, 0.0, 2.0)))  # fmt: skip
    assert find_body(long) == plain


@pytest.mark.parametrize("turned", [False, True])
def test_left_is_where_the_feet_say(turned: bool) -> None:
    """The toes show forward, for a character that faces the other way as well."""
    skel = BODY
    if turned:
        back = np.array([-1.0, -1.0, 1.0])
        skel = replace(skel, heads=skel.heads * back, tails=skel.tails * back)
    assert find_body(skel)["thigh.L"] == character("nameless").named()["thigh.L"]


def test_what_has_no_body_in_it_gives_none() -> None:
    for skel in (chain((0, 0, 0), (0, 0, 1))[0].skeleton, replace(BODY, heads=BODY.heads * [0.0, 1.0, 1.0])):
        assert find_body(skel) == {}


def test_the_end_of_a_hand_without_mapped_fingers_is_the_middle_of_its_bones() -> None:
    """Where more than two bones begin away from the wrist; else it is the bone's own end."""
    one = character("nameless", arms_down=0)
    hand, wrist = one.named()["hand.L"], np.array([0.71, 0.0, 1.44])
    own = Anatomy(BODY_T, one.named()).end_of("hand.L")
    assert own == pytest.approx([0.81, 0.0, 1.44])
    knuckles = [wrist + [0.09, y, -0.01] for y in (-0.03, 0.0, 0.03)]
    bones = [(f"f{n}", hand, tuple(at), tuple(at + [0.03, 0.0, 0.0])) for n, at in enumerate(knuckles)]
    twist = ("twist", hand, tuple(wrist), tuple(wrist + [0.05, 0.0, 0.0]))  # begins at the wrist, and does not count
    assert Anatomy(with_bones(BODY_T, twist, *bones), one.named()).end_of("hand.L") == pytest.approx(np.mean(knuckles, axis=0))
    assert Anatomy(with_bones(BODY_T, twist, *bones[:2]), one.named()).end_of("hand.L") == pytest.approx(own)
