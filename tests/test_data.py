"""Arrays of the public types: other libraries accept them, and changing one changes no other object."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import BarDetector, film
from scipy.spatial.transform import Rotation
from stpose_training.data.recording import Recording
from test_formats import make_capture

import stpose_core.data
from stpose_core.data import Capture
from stpose_core.formats import load_capture, save
from stpose_core.pipeline import capture
from stpose_core.preview import write_preview


def arrays(thing: object, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) for all arrays of a dataclass, including nested ones."""
    for entry in dataclasses.fields(thing):  # type: ignore[arg-type]
        value = getattr(thing, entry.name)
        if isinstance(value, np.ndarray):
            yield f"{name}{entry.name}", value
        elif dataclasses.is_dataclass(value):
            yield from arrays(value, f"{name}{entry.name}.")


@pytest.fixture(params=["made", "read"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Capture:
    made = make_capture()
    if request.param == "made":
        return made
    save(made, tmp_path / "a.npz")
    return load_capture(tmp_path / "a.npz")


def test_scipy_and_torch_accept_the_arrays(whole: Capture) -> None:
    turn = Rotation.from_euler("y", 90, degrees=True)
    moved = turn.apply(whole.motion.root)
    np.testing.assert_allclose(turn.inv().apply(moved), whole.motion.root, atol=1e-12)
    np.testing.assert_allclose(turn.apply(whole.pose3d.up), whole.pose3d.up, atol=1e-12)
    turned = Rotation.from_quat(whole.motion.rotations[:, 1]) * turn
    assert turned.inv().apply(whole.motion.offsets[1]).shape == (len(whole), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, array in arrays(whole):
            assert torch.from_numpy(array).shape == array.shape, name


def test_changing_an_array_changes_nothing_else(whole: Capture) -> None:
    before = {name: array.copy() for name, array in arrays(whole)}
    assert len(before) > 10
    for name, array in arrays(whole):
        if array.dtype == bool:
            np.logical_not(array, out=array)
        else:
            np.add(array, 1, out=array)
        for other, values in arrays(whole):
            if other != name:
                np.testing.assert_array_equal(values, before[other], err_msg=f"{name} shares memory with {other}")
        array[...] = before[name]


def test_objects_own_copies_of_what_they_are_made_from() -> None:
    first = make_capture()
    for stage in (first.keypoints, first.pose3d, first.motion):
        given = {name: array.copy() for name, array in arrays(stage)}
        made = dataclasses.replace(stage, **given)  # type: ignore[type-var]
        for name, array in given.items():
            array[...] = 0
            np.testing.assert_array_equal(getattr(made, name), getattr(stage, name), err_msg=name)
        changed = dataclasses.replace(made, fps=5.0)  # type: ignore[type-var]
        for name, array in arrays(changed):
            assert not np.shares_memory(array, getattr(made, name)), name
    positions = np.zeros((3, 17, 3))
    recording = Recording("a", "b", "c", 30.0, positions)
    positions += 1
    assert not recording.positions.any()
    Rotation.identity().apply(recording.positions[0])


def test_no_stage_changes_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (stpose_core.data.Keypoints, stpose_core.data.Pose3D, stpose_core.data.Motion)
    locked = 0
    for kind in kinds:

        def lock(self: object, make: Callable[[object], None] = kind.__post_init__) -> None:
            nonlocal locked
            make(self)
            locked += 1
            for _, array in arrays(self):
                array.setflags(write=False)

        monkeypatch.setattr(kind, "__post_init__", lock)
    path = film(tmp_path / "a.mp4", 25, 60, there=[*range(5, 30), *range(36, 55)])
    for options in ({}, {"smooth": 0.0, "refine": False}, {"fps": 50.0}):
        result = capture(path, detector=BarDetector(), device="cpu", **options)  # type: ignore[arg-type]
        for suffix in ("bvh", "csv", "npz"):
            save(result.motion if suffix != "npz" else result, tmp_path / f"a.{suffix}", overwrite=True)
        write_preview([result], tmp_path / "p.mp4")
    assert locked > 10
