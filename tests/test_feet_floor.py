"""Toes stay above the floor between a pose in the air and one on the ground."""

from __future__ import annotations

import numpy as np
import pytest

from stpose_core.animate import feet
from stpose_core.animate.frames import about, turn
from stpose_core.data import Array

TOE = np.array([0.0, -0.07, 0.2])


def lowest(contact: float) -> float:
    """Metres of the toe tip of feet under shins that lean forward by 0 to 60 degrees and aside by 30, at its lowest."""
    lean = np.radians(np.linspace(0.0, 60.0, 90))
    shin = about(np.array([0.0, 0.0, 1.0]), np.full(90, 0.5)) @ about(np.array([1.0, 0.0, 0.0]), lean)
    ankle: Array = np.tile([0.0, 0.07, 0.0], (90, 1))
    frames = feet.foot_frames(shin, ankle, TOE, 0.07, np.full((90, 2), contact), 30.0)
    return float((ankle + turn(frames, TOE))[:, 1].min())


def test_toes_of_a_foot_that_half_stands_do_not_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [lowest(contact) for contact in (0.0, 0.3, 0.5, 0.8)]
    assert min(found) > -0.005
    assert max(found) < 0.01, "nor are they raised further than to the floor"
    monkeypatch.setattr(feet, "_sunk", lambda foot, ankle, toe, fps: np.zeros(len(foot)))
    assert min(lowest(contact) for contact in (0.0, 0.3, 0.5, 0.8)) < -0.02, "control: as blended"
