"""Offsets on a finished motion, and how the turns of a trunk are shared out among bones of another number."""

from __future__ import annotations

import numpy as np
import pytest
from test_legs import squat

from stpose_core.retarget.adjust import Adjust, adjusted
from stpose_core.retarget.rotation import about, angle_between, to_matrix
from stpose_core.retarget.solver import Posed, _along, spread

LEFT, FORWARD, UP = np.eye(3)[0], -np.eye(3)[1], np.eye(3)[2]  # of a character that faces -y


def turn_of(posed: Posed, slot: str, by: Adjust) -> np.ndarray:
    """(3, 3) how an offset turns a part in the world."""
    after = adjusted(posed, by)
    return np.asarray(to_matrix(after.turned(slot)[0]) @ to_matrix(posed.turned(slot)[0]).T)


@pytest.mark.parametrize(
    ("by", "moved", "way"),
    [
        (Adjust(spine_bend=20), UP, FORWARD), (Adjust(spine_side=20), UP, LEFT), (Adjust(spine_turn=20), FORWARD, LEFT),
        (Adjust(spine_bend=-20), UP, -FORWARD),
    ],
)  # fmt: skip
def test_the_spine_bends_forward_and_to_the_left_and_turns_there(by: Adjust, moved: np.ndarray, way: np.ndarray) -> None:
    posed = squat(20.0)
    chest = turn_of(posed, "spine.3", by)
    assert moved @ chest.T @ way == pytest.approx(np.sin(np.radians(20.0)))
    assert moved @ chest.T @ moved == pytest.approx(np.cos(np.radians(20.0)))
    first = turn_of(posed, "spine", by)
    assert moved @ first.T @ way == pytest.approx(np.sin(np.radians(20.0 / 3))), "a third at each of three bones"
    assert turn_of(posed, "head", by) == pytest.approx(chest), "what hangs on it moves along"
    for slot in ("hips", "thigh.L", "foot.R"):
        assert turn_of(posed, slot, by) == pytest.approx(np.eye(3))
    assert adjusted(posed, by).heads["foot.L"] == pytest.approx(posed.heads["foot.L"])


@pytest.mark.parametrize(("side", "out"), [(".L", LEFT), (".R", -LEFT)])
def test_shoulders_go_up_and_arms_out_and_to_the_front(side: str, out: np.ndarray) -> None:
    posed = squat(20.0)
    sine = np.sin(np.radians(15.0))
    assert out @ turn_of(posed, "shoulder" + side, Adjust(shoulders=15)).T @ UP == pytest.approx(sine)
    assert out @ turn_of(posed, "hand" + side, Adjust(shoulders=15)).T @ UP == pytest.approx(sine), "with the arm"
    arm = turn_of(posed, "upper_arm" + side, Adjust(arms_out=15))
    assert -UP @ arm.T @ out == pytest.approx(sine), "a hanging arm goes away from the body"
    arm = turn_of(posed, "upper_arm" + side, Adjust(arms_forward=15))
    assert -UP @ arm.T @ FORWARD == pytest.approx(sine), "or to the front"
    assert turn_of(posed, "shoulder" + side, Adjust(arms_forward=15)) == pytest.approx(np.eye(3))
    assert turn_of(posed, "forearm" + side, Adjust(arms_out=15, arms_forward=15)) == pytest.approx(
        turn_of(posed, "upper_arm" + side, Adjust(arms_out=15, arms_forward=15))
    )


def test_no_offset_is_none() -> None:
    assert Adjust().nothing
    assert not Adjust(arms_out=0.1).nothing


def degrees(turn: np.ndarray) -> float:
    return float(np.degrees(angle_between([1.0, 0.0, 0.0, 0.0], turn[0])))


def leaning(*angles: float) -> list[np.ndarray]:
    """Frames (1, 4) about one axis."""
    return [about([1.0, 0.0, 0.0], np.radians([angle])) for angle in angles]


def test_a_place_along_a_chain_is_between_its_frames() -> None:
    chain = leaning(0.0, 10.0, 40.0)
    for part, angle in ((0.0, 0.0), (0.25, 5.0), (0.5, 10.0), (0.75, 25.0), (1.0, 40.0)):
        assert degrees(_along(chain, part)) == pytest.approx(angle)
    assert degrees(_along(chain[:1], 1.0)) == pytest.approx(0.0)


def test_a_spine_of_other_bones_is_bent_as_far_in_all() -> None:
    hips, low, middle, top, head = leaning(0.0, 9.0, 18.0, 27.0, 37.0)
    frames = {"hips": hips, "spine": low, "spine.2": middle, "spine.3": top, "head": head}
    for count in (1, 2, 3, 4):
        slots = ["spine", "spine.2", "spine.3", "spine.4"][:count]
        found = spread(frames, dict.fromkeys(["hips", *slots, "neck", "head"], "x"))
        assert [degrees(found[slot]) for slot in slots] == pytest.approx([27.0 * n / count for n in range(1, count + 1)])
        assert degrees(found["neck"]) == pytest.approx(32.0), "half way to a head without a neck"
        assert degrees(found["head"]) == pytest.approx(37.0)
    two = spread({**frames, "neck": leaning(31.0)[0]}, dict.fromkeys(["hips", "spine", "neck", "neck.2", "head"], "x"))
    assert [degrees(two[slot]) for slot in ("neck", "neck.2")] == pytest.approx([29.0, 31.0])
    bare = spread({"hips": hips, "head": head}, dict.fromkeys(["hips", "spine", "head"], "x"))
    assert "spine" not in bare, "a source without a spine moves none"
