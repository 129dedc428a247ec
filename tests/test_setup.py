"""What the user knows of the scene: height and pitch of the camera, height of the person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_body import h36m, noisy, seen, still, walk

from stpose_core.animate import animate, forward_kinematics
from stpose_core.animate.body import INDEX
from stpose_core.animate.setup import fitted_to_setup
from stpose_core.data import Motion, Pose3D
from stpose_core.errors import OptionError
from stpose_core.formats.figure import rest_positions
from stpose_core.options import CaptureOptions

HEIGHT = 1.2  # m of the camera of moving_body


def small_walk(factor: float, tilt: float = 0.0) -> Pose3D:
    """A walk whose scale the lifter has misjudged by a factor."""
    pose = noisy(seen(h36m(walk(4.0)), 30.0, height=HEIGHT, tilt=tilt), 0.003)
    return replace(pose, xyz=pose.xyz * factor, root=pose.root * factor)


def leg(motion: Motion) -> float:
    return float(np.linalg.norm(motion.offsets[[INDEX["LeftLeg"], INDEX["LeftFoot"]]], axis=1).sum())


def travelled(motion: Motion) -> float:
    return float(np.linalg.norm((motion.root[-1] - motion.root[0])[[0, 2]]))


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_the_height_of_the_camera_sets_the_scale_of_bones_and_path(factor: float) -> None:
    true, lifted = animate(small_walk(1.0)), small_walk(factor)
    known = animate(fitted_to_setup(lifted, CaptureOptions(camera_height=HEIGHT)))
    assert leg(known) == pytest.approx(leg(true), rel=0.04)
    assert travelled(known) == pytest.approx(travelled(true), rel=0.06)
    assert abs(leg(animate(lifted)) / leg(true) - 1) > 0.2, "control: without the option the scale is wrong"


def test_the_height_of_the_person_sets_the_scale_and_not_the_picture() -> None:
    lifted = small_walk(0.7)
    known = fitted_to_setup(lifted, CaptureOptions(actor_height=1.8))
    motion = animate(known)
    assert np.ptp(rest_positions(motion)[:, 1]) == pytest.approx(1.8, abs=0.001), "from the soles to the top of the head"
    assert leg(motion) == pytest.approx(0.491 * 1.8, rel=0.04), "the body has usual proportions"
    places, before = (pose.xyz + pose.root[:, None] for pose in (known, lifted))
    assert np.allclose(places[..., :2] / places[..., 2:], before[..., :2] / before[..., 2:])
    assert np.allclose(known.sigma / lifted.sigma, known.root[0, 2] / lifted.root[0, 2])


def test_the_pitch_of_the_camera_is_the_direction_of_gravity() -> None:
    lifted = replace(small_walk(1.0, tilt=np.radians(30.0)), up=np.array([0.0, -1.0, 0.0]))

    def lean(motion: Motion) -> float:
        places = forward_kinematics(motion)
        spine = places[:, INDEX["Neck"]] - places[:, INDEX["Hips"]]
        return float(np.degrees(np.arccos(np.clip((spine[:, 1] / np.linalg.norm(spine, axis=1)).mean(), -1, 1))))

    pitched = fitted_to_setup(lifted, CaptureOptions(camera_pitch=30.0))
    assert lean(animate(pitched)) < 6.0
    assert lean(animate(lifted)) > 20.0, "control: a level camera is assumed"
    assert lean(animate(fitted_to_setup(lifted, CaptureOptions(camera_pitch=-30.0)))) > 40.0, "control: looking up"


def test_without_options_nothing_changes() -> None:
    pose = small_walk(1.0)
    assert fitted_to_setup(pose, CaptureOptions()) is pose


def test_a_camera_below_the_floor_gives_no_scale() -> None:
    pose = seen(h36m(still(60)), 30.0, height=-0.5)
    with pytest.raises(OptionError, match="camera_height"):
        fitted_to_setup(pose, CaptureOptions(camera_height=1.5))
