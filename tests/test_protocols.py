"""Figures of papers come out as they define them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from set_files import camera, walker
from stpose_training.data import protocols
from stpose_training.data.protocols import Prediction, score
from stpose_training.data.recording import Recording, View

from stpose_core import metrics
from stpose_core.skeletons import H36M17


def recording(action: str, frames: int = 20, subject: str = "S9", seed: int = 0) -> Recording:
    view = View("a", camera(seed, (1000, 1000)), None, np.ones(frames, dtype=bool))
    return Recording(f"{subject} {action}", subject, action, 50.0, walker(frames, seed), views=(view,))


def predicted(take: Recording, shift: tuple[float, float, float] = (0, 0, 0), joints: list[int] | None = None) -> Prediction:
    """The truth in camera axes with some joints shifted."""
    xyz = take.seen_by(take.views[0])
    xyz[:, joints if joints is not None else range(1, 17)] += shift
    return Prediction(take, take.views[0], xyz)


def test_poses_are_judged_in_camera_axes_with_pelvises_together() -> None:
    take = recording("Walking")
    perfect = predicted(take)
    rows = score(protocols.H36M, [replace(perfect, xyz=perfect.xyz + (1, 2, 3))])
    assert rows["Walking"]["MPJPE"] == pytest.approx(0, abs=1e-9)
    assert rows["Walking"]["frames"] == 20
    shifted = score(protocols.H36M, [predicted(take, (0.03, 0, 0.04))])["mean"]
    assert shifted["MPJPE"] == pytest.approx(50 * 16 / 17)
    assert shifted["MPJVE"] == pytest.approx(0, abs=1e-9)
    # The control: world axes are not camera axes.
    assert score(protocols.H36M, [Prediction(take, take.views[0], take.positions)])["mean"]["MPJPE"] > 100
    assert score(protocols.H36M, [Prediction(take, take.views[0], take.positions)])["mean"]["PA-MPJPE"] < 1e-6


def test_actions_count_alike_and_frames_within_an_action_do() -> None:
    takes = [
        predicted(recording("Walking", 10), (0.1, 0, 0)),
        predicted(recording("Walking", 30, "S11"), (0.2, 0, 0)),
        predicted(recording("Sitting", 5), (0.4, 0, 0)),
    ]
    rows = score(protocols.H36M, takes)
    assert list(rows) == ["Walking", "Sitting", "mean"]
    assert rows["Walking"]["MPJPE"] == pytest.approx(175 * 16 / 17)
    assert rows["mean"]["MPJPE"] == pytest.approx((175 + 400) / 2 * 16 / 17)
    assert rows["mean"]["frames"] == 45
    cells = score(protocols.HUMANEVA, takes)
    assert list(cells) == ["S9 Walking", "S11 Walking", "S9 Sitting", "mean"]
    assert cells["mean"]["MPJPE"] == pytest.approx((100 + 200 + 400) / 3 * 14 / 15)
    assert list(score(protocols.PW3D, takes)) == ["all", "mean"]


def test_each_set_measures_its_own_joints() -> None:
    names = {
        protocol.name: {H36M17.joints[joint] for joint in protocol.joints}
        for protocol in (protocols.H36M, protocols.HUMANEVA, protocols.MPI_INF_3DHP, protocols.PW3D)
    }
    assert [len(joints) for joints in names.values()] == [17, 15, 14, 14]
    assert set(H36M17.joints) - names["HumanEva-I"] == {"spine", "head"}
    assert set(H36M17.joints) - names["MPI-INF-3DHP"] == {"pelvis", "spine", "head"}
    assert set(H36M17.joints) - names["3DPW"] == {"pelvis", "spine", "head_top"}
    take = recording("a")
    for protocol in (protocols.HUMANEVA, protocols.MPI_INF_3DHP):
        others = [joint for joint in range(1, 17) if joint not in protocol.joints]
        assert score(protocol, [predicted(take, (1, 0, 0), others)])["mean"]["MPJPE"] == pytest.approx(0, abs=1e-9)
        assert score(protocol, [predicted(take, (1, 0, 0), list(protocol.joints[2:3]))])["mean"]["MPJPE"] > 50


def test_pck_and_auc_of_3dhp() -> None:
    take = recording("TS1")
    wrists = H36M17.index("l_wrist", "r_wrist")
    rows = score(protocols.MPI_INF_3DHP, [predicted(take, (0.151, 0, 0), wrists)])
    assert rows["all"]["PCK"] == pytest.approx(100 * 12 / 14)
    assert rows["all"]["AUC"] == pytest.approx(100 * 12 / 14 * 30 / 31)
    # Frames without a prediction are wrong for PCK, and leave the mean error alone.
    lost = predicted(take)
    lost.xyz[:5] = np.nan
    row = score(protocols.MPI_INF_3DHP, [lost])["all"]
    assert (row["PCK"], row["missing"]) == (pytest.approx(75), pytest.approx(25))
    assert row["MPJPE"] == pytest.approx(0, abs=1e-9)


def test_invalid_frames_are_not_judged() -> None:
    take = recording("a")
    bad = predicted(take)
    bad.xyz[5:8, 4] += 9
    assert score(protocols.H36M, [bad])["mean"]["MPJPE"] > 10
    view = replace(take.views[0], valid=np.isin(np.arange(20), [5, 6, 7], invert=True))
    row = score(protocols.H36M, [replace(bad, view=view)])["mean"]
    assert (row["MPJPE"], row["MPJVE"], row["frames"]) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9), 17)
    gaps = np.array(take.positions)
    gaps[5:8] = np.nan
    assert score(protocols.H36M, [replace(bad, recording=replace(take, positions=gaps))])["mean"]["frames"] == 17
    with pytest.raises(ValueError, match="no frames to measure"):
        score(protocols.H36M, [replace(bad, view=replace(view, valid=np.zeros(20, dtype=bool)))])
    with pytest.raises(ValueError, match=r"predicted \(19, 17, 3\)"):
        score(protocols.H36M, [replace(bad, xyz=bad.xyz[1:])])
    with pytest.raises(ValueError, match="calibration of camera a is not known"):
        score(protocols.H36M, [replace(bad, view=replace(view, camera=None))])


def test_velocity_error_is_that_of_first_differences() -> None:
    take = recording("a")
    wobble = predicted(take)
    wobble.xyz[::2, 5] += (0.017, 0, 0)
    assert score(protocols.H36M, [wobble])["mean"]["MPJVE"] == pytest.approx(1.0)
    assert metrics.mpjve(wobble.xyz, take.seen_by(take.views[0])) == pytest.approx(0.001)
