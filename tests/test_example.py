"""The example clip from end to end: a rendered person whose true joints are known.

The walk is one of the takes that the lifter was trained on (with another body, camera and tempo), so that these are checks that
the rooms fit together, not figures of accuracy: those are in docs/benchmarks.md, on people the network never saw.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import stpose_core as sp
from stpose_core.animate import MOTION_FROM_H36M, forward_kinematics
from stpose_core.data import Array, Capture
from stpose_core.metrics import mpjpe
from stpose_core.skeletons import H36M17
from stpose_core.world.ground import room_from_camera

EXAMPLE = Path(__file__).parents[1] / "examples" / "walk.mp4"
LIMBS = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]


@pytest.fixture(scope="module", params=["builtin", "mediapipe"])
def capture(request: pytest.FixtureRequest) -> Capture:
    if request.param == "mediapipe":
        pytest.importorskip("mediapipe", reason="the mediapipe extra is not installed")
    return sp.capture(EXAMPLE, detector=request.param)


@pytest.fixture(scope="module")
def truth() -> dict[str, Array]:
    with np.load(EXAMPLE.with_suffix(".reference.npz"), allow_pickle=False) as archive:
        return {name: archive[name] for name in ("joints", "up", "focal")}


def joints_of_bvh(capture: Capture, folder: Path) -> Array:
    """(T, 17, 3) h36m17 joints of the written and re-read BVH, y up."""
    sp.save(capture.motion, folder / "walk.bvh")
    motion = sp.load_motion(folder / "walk.bvh")
    names = [MOTION_FROM_H36M[joint] for joint in H36M17.joints]
    return forward_kinematics(motion)[:, [motion.names.index(name) for name in names]]


def test_the_bvh_moves_as_the_rendered_person_did(capture: Capture, truth: dict[str, Array], tmp_path: Path) -> None:
    joints = joints_of_bvh(capture, tmp_path)
    assert len(joints) == len(truth["joints"]) == 175
    assert not capture.motion.filled.any()
    true = truth["joints"] @ room_from_camera(truth["up"]).T

    def error(points: Array) -> float:
        """Root-relative, after the one scale that fits best: neither turned nor mirrored."""
        have, want = (part[:, LIMBS] - part[:, :1] for part in (points, true))
        return mpjpe(have * (have * want).sum() / (have * have).sum(), want)

    assert error(joints) < 0.08
    # Controls: sides exchanged, played backwards, or mirrored is not the same motion.
    assert error(joints[:, H36M17.mirror]) > 0.15
    assert error(joints[::-1]) > 0.15
    assert error(joints * [1, 1, -1]) > 0.09


def test_facing_and_upright_as_filmed(capture: Capture, truth: dict[str, Array], tmp_path: Path) -> None:
    joints = joints_of_bvh(capture, tmp_path)

    def ahead(points: Array) -> Array:
        left = points[:, 4] - points[:, 1]
        return np.cross(left, points[:, 7] - points[:, 0])

    mine = ahead(joints)
    assert mine[:20, 2].mean() > 0  # towards the camera at first,
    assert mine[-20:, 2].mean() < 0  # away from it at the end
    true = ahead(truth["joints"] * [1, -1, -1])
    cosine = (mine * true).sum(-1) / np.linalg.norm(mine, axis=-1) / np.linalg.norm(true, axis=-1)
    assert np.median(cosine) > 0.85
    upright = joints[:, 10] - (joints[:, 3] + joints[:, 6]) / 2
    assert (upright[:, 1] / np.linalg.norm(upright, axis=-1) > 0.95).all()
    assert np.degrees(np.arccos(capture.pose3d.up @ truth["up"])) < 8


def test_the_path_through_the_room(capture: Capture, truth: dict[str, Array]) -> None:
    """Depth has the scale of the assumed focal length and body height; the shape of the path has not."""
    path, true = np.array(capture.motion.root), truth["joints"][:, 0] * [1, -1, -1]
    assert np.corrcoef(path[:, 2], true[:, 2])[0, 1] > 0.97
    steps = np.linalg.norm(np.diff(path, axis=0), axis=-1) * capture.motion.fps
    assert steps.max() < 4
    assert np.abs(joints_height(capture)).min() < 0.03  # the feet come down to the floor at y = 0


def joints_height(capture: Capture) -> Array:
    """(T,) height of the lower toe."""
    places = forward_kinematics(capture.motion)
    toes = [capture.motion.names.index(name) for name in ("LeftToeEnd", "RightToeEnd")]
    return places[:, toes, 1].min(1)
