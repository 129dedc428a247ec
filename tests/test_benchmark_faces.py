"""What the benchmark of faces says of curves that follow, of exchanged sides, and of curves of another expression."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from face_films import EXPRESSIONS, RAMP, script
from faces import _followed

from stpose_core.retarget.curves import ARKIT


def truth() -> np.ndarray:
    return np.array([[expression.get(name, 0.0) for name in ARKIT] for expression, _, _ in script()])


def test_curves_that_follow_correlate_and_exchanged_sides_do_not() -> None:
    asked = truth()
    rows = _followed(asked, asked)
    assert {name for names in EXPRESSIONS for name in names} == set(rows)
    assert all(correlation > 0.999 and strength == 1 and other == 0 for correlation, strength, other, _ in rows.values())
    left, right = ARKIT.index("mouthLeft"), ARKIT.index("mouthRight")
    swapped = asked.copy()
    swapped[:, [left, right]] = asked[:, [right, left]]
    correlation, strength, other, name = _followed(swapped, asked)["mouthLeft"]
    assert correlation < 0.1
    assert strength == 0
    assert (other, name) == (1, "mouthRight")


def test_the_head_is_still_while_expressions_change() -> None:
    frames = script()
    count = len(EXPRESSIONS) * len(RAMP)
    assert all((yaw, pitch) == (0, 0) for _, yaw, pitch in frames[:count])
    assert max(abs(yaw) for _, yaw, _ in frames[count:]) == pytest.approx(30)
