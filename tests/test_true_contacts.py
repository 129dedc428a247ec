"""True contacts of marker mocap: a foot part is on the ground while it is low and slow, whatever the floor's slope."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stpose_training.data.contacts import contacts_of, foot_contacts

from stpose_core.errors import FormatError


def _steps(frames: int = 240, slope: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, 4, 3) of feet that step in turn, 20 frames each, along x on a sloping floor, and their true contacts (T, 4)."""
    points, truth = np.zeros((frames, 4, 3)), np.zeros((frames, 4), bool)
    for foot in (0, 1):
        phase = (np.arange(frames) / 20 + foot) % 2
        swing = np.clip(phase - 1, 0, 1)
        stride = np.floor((np.arange(frames) / 20 + foot) / 2) + (3 * swing**2 - 2 * swing**3)
        for part in (0, 1):
            at = points[:, 2 * foot + part]
            at[:, 0], at[:, 1] = 0.8 * stride + 0.15 * part, 0.2 * foot
            at[:, 2] = (0.07, 0.03)[part] + 0.2 * np.sin(np.pi * swing) + slope * at[:, 0]
            truth[:, 2 * foot + part] = phase < 1
    return points, truth


@pytest.mark.parametrize("slope", [0.0, 0.03])
def test_steps_are_told_on_level_and_sloping_floors(slope: float) -> None:
    points, truth = _steps(slope=slope)
    assert (contacts_of(points) == truth).mean() > 0.93


def test_a_foot_held_still_in_the_air_is_not_on_the_ground() -> None:
    points, _ = _steps()
    points[100:160] = points[100]
    points[100:160, :2, 2] += 0.3
    contacts = contacts_of(points)
    assert not contacts[102:158, :2].any()
    assert contacts[102:158, 2:].any()


def test_two_slow_frames_are_no_contact() -> None:
    rng = np.random.default_rng(0)
    points = np.cumsum(rng.normal(0, 0.05, (60, 4, 3)), axis=0) * np.array([1, 1, 0])
    points[30:32] = points[30]
    assert not contacts_of(points).any()


def _archive(folder: Path, names: list[str], action: str = "walk") -> None:
    (folder / "rotations").mkdir()
    frames, parents = 30, np.array([-1, 0, 1, 0, 3])
    quats = np.zeros((frames, 5, 4))
    quats[..., 0] = 1.0
    offsets = np.array([[0, 0, 0], [0.1, 0, -0.8], [0, 0.12, -0.03], [-0.1, 0, -0.8], [0, 0.12, -0.03]])
    root = np.tile([0.0, 0.0, 0.85], (frames, 1))
    root[20:, 2] += 0.3
    values = {"quats": quats, "root_pos": root, "offsets": offsets, "parents": parents, "names": np.array(names)}
    np.savez(folder / "rotations" / "s.npz", **{f"c__{key}": value for key, value in values.items()})
    (folder / "index.csv").write_text(f"clip,file,action\nc,positions17/s.npz,{action}\n")


def test_contacts_are_read_from_the_rotations_of_a_clip(tmp_path: Path) -> None:
    _archive(tmp_path, ["root", "lfoot", "ltoes", "rfoot", "rtoes"])
    contacts = foot_contacts(tmp_path, "c")
    assert contacts is not None
    assert contacts[:20].all()
    assert not contacts[20:].any()


def test_a_rig_without_toes_has_none(tmp_path: Path) -> None:
    _archive(tmp_path, ["root", "a", "b", "c", "d"])
    assert foot_contacts(tmp_path, "c") is None


def test_an_unknown_clip_is_refused(tmp_path: Path) -> None:
    _archive(tmp_path, ["root", "lfoot", "ltoes", "rfoot", "rtoes"])
    with pytest.raises(FormatError, match="no clip 'd'"):
        foot_contacts(tmp_path, "d")
