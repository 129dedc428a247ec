"""Simulated detections: errors and scores like a real detector's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stpose_training.data.bodies import Random
from stpose_training.data.fit_noise import LIMBS, compare, person_size, simulated_takes, statistics
from stpose_training.data.noise import detect

from stpose_core.data import Keypoints

# `python -m stpose_training.data.fit_noise` on 200 frames of one man from two static cameras (Pose2Sim's "balance" clips,
# BSD-3-Clause) with MediaPipe 0.10.21: its column "real", in person sizes. No more is asked of what few frames say.
MEASURED = {
    "error, shoulders, hips, 50 %": 0.033,
    "error, shoulders, hips, 90 %": 0.055,
    "error, elbows, knees, 50 %": 0.025,
    "error, elbows, knees, 90 %": 0.056,
    "error, wrists, ankles, 50 %": 0.027,
    "error, wrists, ankles, 90 %": 0.077,
    "error, elbows, knees, 99 %": 0.122,
    "quick error, shoulders, hips, 90 %": 0.011,
    "quick error, elbows, knees, 90 %": 0.015,
    "quick error, wrists, ankles, 90 %": 0.019,
    "error at scores 0 to 0.3, 50 %": 0.069,
    "error at scores 0.3 to 0.5, 50 %": 0.045,
    "error at scores 0.7 to 1, 50 %": 0.027,
    "share of scores 0.7 to 1": 0.854,
    "correlation of changing error after 1 frames": 0.813,
    "correlation of a score after 1 frame": 0.806,
}


def unlike(found: dict[str, float], by: float = 0.25) -> list[str]:
    return [name for name, value in MEASURED.items() if abs(found[name] / value - 1) > by]


def test_simulated_detections_are_as_those_of_a_real_detector() -> None:
    assert unlike(statistics(simulated_takes(200))) == []
    # The control: other noise is told from it.
    for times in (0.5, 2.0):
        wrong = unlike(statistics(simulated_takes(200, times=times)))
        assert len(wrong) >= 5
        assert "share of scores 0.7 to 1" not in wrong


def test_the_real_detector_lies_within_what_training_draws_and_near_its_middle() -> None:
    takes = [statistics([take]) for take in simulated_takes(300, variety=1.0)]
    for name, value in MEASURED.items():
        if name.startswith("error at") or "99" in name or "score" in name:
            continue  # a single take has too few of these
        drawn = np.array([take[name] for take in takes])
        assert 0.15 < (drawn < value).mean() < 0.9, name


def test_comparing_with_a_reference_finds_the_error_that_was_made() -> None:
    random = np.random.default_rng(0)
    places = random.uniform(-0.5, 0.5, (60, 17, 3)) + [0, 0, 4]
    matrix = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
    xy = (places @ matrix.T)[..., :2] / places[..., 2:]
    size = person_size(xy)
    reference = {"xyz_m": places[:, LIMBS], "valid": np.ones((60, 12), bool), "R": np.eye(3)[None], "t": np.zeros((1, 3))}
    reference["K"] = matrix[None]
    shifted = Keypoints(xy + [0.1 * size, 0], np.ones((60, 17)), 60, (1000, 1000), "h36m17")
    takes = compare(shifted, reference, 0)
    assert [len(take.error) for take in takes] == [30, 30]
    assert np.allclose(takes[0].error, [0.1, 0])
    found = statistics(takes)
    assert found["constant error, wrists, ankles"] == pytest.approx(0.1)
    assert found["quick error, wrists, ankles, 90 %"] == pytest.approx(0, abs=1e-9)


def test_detector_noise_says_less_where_it_errs_more() -> None:
    rays = torch.zeros(64, 100, 17, 2)
    noisy, score = detect(rays, torch.ones(64, 100), Random(0))
    error = noisy.norm(dim=-1)
    assert ((score > 0) & (score <= 1)).all()
    high, low = error[score > 0.9].mean(), error[score < 0.5].mean()
    assert low > 1.5 * high
    assert error[..., 16].mean() > error[..., 8].mean() * 0.9  # wrists at least as bad as the neck
    shuffled = score.flatten()[torch.randperm(score.numel(), generator=torch.Generator().manual_seed(0))].reshape(score.shape)
    assert error[shuffled < 0.5].mean() < 1.2 * error[shuffled > 0.9].mean()  # the control: scores of other joints tell nothing
    still = (noisy[:, 1:] - noisy[:, :-1]).norm(dim=-1).mean()
    assert still < error.mean()  # correlated over time


def test_joints_that_are_made_of_others_err_with_them() -> None:
    noisy, _ = detect(torch.zeros(200, 40, 17, 2), torch.ones(200, 40), Random(0))
    error = noisy.flatten(0, 1).permute(2, 1, 0)[0].double()
    together = torch.corrcoef(torch.stack((error[0], error[[1, 4]].mean(0), error[[12, 15]].mean(0))))
    assert together[0, 1] > 0.7
    assert abs(together[0, 2]) < 0.2  # the control: the pelvis knows nothing of the elbows
