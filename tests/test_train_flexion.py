"""The network that estimates flexion: it learns, the library computes what was trained, and recorded knees are corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_mocap import REST, moving, write_folder
from stpose_training import flexion as training
from stpose_training.data.knees import LEGS, standing_flexion, straightened, with_straight_knees
from stpose_training.data.mocap import Clip, MotionBank, load_mocap
from stpose_training.flexion import FlexionNetwork, Windows, curve, fit, held_out, lifted_windows, predicted, soft

from stpose_core.errors import StposeError
from stpose_core.lift import flexion as library
from stpose_core.lift import load_lifter
from stpose_core.weights import write_weights


def windows(seed: int, count: int = 24) -> Windows:
    """Features of which the fourth says how far a limb is bent."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, 180, 4, library.FEATURES)).astype(np.float16)
    time = np.arange(180)[:, None] / 30
    angles = 60 + 55 * np.sin(time + random.uniform(0, 6, (count, 1, 4)))
    values[..., 3] = (angles - 60) / 30
    return Windows(values, angles.astype(np.float32))


def test_it_learns_what_the_features_say() -> None:
    trained, judged = windows(0), windows(1)
    network = fit(trained, "knee", 80, 0)
    error = np.abs(predicted(network, judged, "knee") - judged.angles[:, :, :2])
    assert np.median(error) < 8.0
    misled = Windows(judged.features[:, :, ::-1], judged.angles)
    assert np.median(np.abs(predicted(network, misled, "knee") - judged.angles[:, :, :2])) > 20.0, (
        "control: features of other limbs"
    )


def test_the_library_computes_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = windows(2, 4)
    tensors: dict[str, torch.Tensor] = {}
    networks: dict[str, FlexionNetwork] = {part: fit(some, part, 3, 0) for part in library.PARTS}
    for part, network in networks.items():
        tensors |= {f"{part}.{name}": values for name, values in network.state_dict().items()}
    write_weights(tmp_path / "f.safetensors", tensors, "flexion", {})
    monkeypatch.setattr(library, "FLEXION", tmp_path / "f.safetensors")
    library._weights.cache_clear()
    try:
        found = library.distribution(some.features[0].astype(np.float64))
    finally:
        library._weights.cache_clear()
    for part, limbs in library.PARTS.items():
        with torch.no_grad():
            inputs = torch.from_numpy(some.features[0][:, limbs].astype(np.float32)).transpose(0, 1)
            wanted = networks[part](inputs).softmax(-1).transpose(0, 1).numpy()
        assert np.abs(found[:, limbs] - wanted).max() < 0.01  # the weights are stored as fp16
    monkeypatch.undo()
    assert np.abs(library.distribution(some.features[0].astype(np.float64)) - found).max() > 0.1, "control: the shipped weights"


def test_the_curve_takes_half_of_the_bias_off_knees_and_all_of_it_off_elbows(monkeypatch: pytest.MonkeyPatch) -> None:
    judged, network = windows(3), fit(windows(4, 2), "knee", 1, 0)
    biased = {part: 30 + 0.6 * judged.angles[:, :, limbs] for part, limbs in library.PARTS.items()}
    monkeypatch.setattr(training, "predicted", lambda network, windows, part: biased[part])
    for part, left in (("knee", 0.5), ("elbow", 0.0)):
        true = judged.angles[:, :, library.PARTS[part]]
        found = library.corrected(biased[part], curve(network, judged, part))
        for low, high in ((10, 20), (45, 60), (100, 120)):
            inside = (true >= low) & (true < high)
            before, after = (np.median(said[inside]) - np.median(true[inside]) for said in (biased[part], found))
            assert abs(before) > 5, "control: it was biased"
            assert after == pytest.approx(left * before, abs=0.6)


def test_angles_are_shared_between_the_two_nearest_centres() -> None:
    angles = torch.tensor([0.0, 7.5, 47.0, 170.0])
    shares = soft(angles).double().numpy()
    np.testing.assert_allclose(shares.sum(-1), 1.0)
    np.testing.assert_allclose((shares * library.CENTRES).sum(-1), [0.0, 7.5, 47.0, 150.0], atol=1e-3)


def test_windows_are_lifted_and_know_the_truth(tmp_path: Path) -> None:
    clips = load_mocap(write_folder(tmp_path), "free", "train")
    trained, judged = held_out(clips)
    assert {clip.subject for clip in trained}.isdisjoint(clip.subject for clip in judged)
    assert judged
    made = lifted_windows(MotionBank(trained), load_lifter(), 40, 0)
    assert made.features.shape == (40, 180, 4, library.FEATURES)
    lifted = np.degrees(made.features[..., 119].astype(np.float64))
    own, others = (np.abs(lifted - true).mean() for true in (made.angles, made.angles[::-1]))
    assert own < others - 0.5, "the truth belongs to the window"


def standing(knee: float, frames: int = 90) -> np.ndarray:
    """(T, 17, 3) a person who stands with knees bent by so many degrees, z up."""
    joints = np.tile(REST.astype(float), (frames, 1, 1))
    half = np.radians(knee / 2)
    for hip, middle, end in LEGS:
        joints[:, middle] = joints[:, hip] + 0.4 * np.array([0.0, np.sin(half), -np.cos(half)])
        joints[:, end] = joints[:, middle] + 0.4 * np.array([0.0, -np.sin(half), -np.cos(half)])
    return joints


def bends(joints: np.ndarray) -> np.ndarray:
    return np.degrees(library.bend(joints)[:, :2])


def test_knees_of_people_who_stand_are_straightened_and_those_of_others_hardly_change() -> None:
    recorded = standing(20.0)
    level = standing_flexion([recorded])
    assert np.degrees(level) == pytest.approx(20.0, abs=0.1)
    found = straightened(recorded, level)
    np.testing.assert_allclose(bends(found), 3.0, atol=0.3)
    others = [joint for joint in range(17) if joint not in (2, 5)]
    np.testing.assert_array_equal(found[:, others], recorded[:, others])
    deep = straightened(standing(100.0), level)
    assert 97.0 < np.median(bends(deep)) < 100.0
    # Who never stands straight is not straightened to the end.
    crouched = standing(60.0)
    assert bends(straightened(crouched, standing_flexion([crouched]))).min() > 50.0
    # The nearly straight leg of a recording whose hip and ankle lie apart as far as its bones reach stays so.
    assert bends(straightened(standing(0.1), 0.0)).max() < 0.5


def test_each_person_has_an_own_correction() -> None:
    clips = [Clip("a", "one", "x", standing(20.0).astype(np.float32)), Clip("b", "two", "x", standing(3.0).astype(np.float32))]
    first, second = with_straight_knees(clips)
    assert bends(first.positions.astype(float)).max() < 4.0
    np.testing.assert_allclose(second.positions, clips[1].positions, atol=1e-4)
    swinging = Clip("c", "three", "x", moving(80, 0))
    assert with_straight_knees([swinging])[0].positions.shape == swinging.positions.shape


def test_without_windows_there_is_nothing_to_train_on() -> None:
    empty = Windows(np.zeros((0, 180, 4, library.FEATURES), np.float16), np.zeros((0, 180, 4), np.float32))
    with pytest.raises(StposeError, match="no windows"):
        fit(empty, "knee", 5, 0)
