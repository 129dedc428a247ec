"""What the user knows of the scene: how high the camera is, how far it is tilted, how tall the person is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stpose_core.animate.body import rest_height
from stpose_core.animate.extremities import turn_head_and_hands
from stpose_core.animate.motion import start_of
from stpose_core.data import Array, CameraPath, Pose3D
from stpose_core.errors import OptionError
from stpose_core.options import CaptureOptions

_LOWEST = 0.05  # m above the floor at which a camera may appear to be


def fitted_to_setup(pose: Pose3D, options: CaptureOptions, camera: CameraPath | None = None) -> Pose3D:
    """The pose with the up direction and the scale that `camera_pitch`, `camera_height` and `actor_height` give; each may be None.

    The projection of the joints into the picture does not change. Raises OptionError if the camera appears to be on or below the
    floor, so that its height gives no scale.
    """
    if options.camera_pitch is not None:
        pose = replace(pose, up=_up(options.camera_pitch))
    if options.actor_height is None and options.camera_height is None:
        return pose
    start = start_of(pose, options.smooth, camera)
    if options.actor_height is not None:
        # The face, where it is seen, tilts the head of the rest pose, which moves its top by up to a centimetre.
        turn_head_and_hands(start.body, start.rest, pose, start.crown, start.world, options.smooth)
        return _scaled(pose, options.actor_height / rest_height(start.body.offsets))
    height = float(np.median(start.height))
    if height < _LOWEST:
        raise OptionError(f"camera_height: the camera appears to be {height:.2f} m above the floor; give actor_height instead")
    return _scaled(pose, (options.camera_height or height) / height)


def _up(pitch: float) -> Array:
    """(3,) against gravity in the axes of a camera that looks down by `pitch` degrees."""
    angle = np.radians(pitch)
    return np.array([0.0, -np.cos(angle), -np.sin(angle)])


def _scaled(pose: Pose3D, factor: float) -> Pose3D:
    parts = {name: _scaled(part, factor) for name, part in pose.parts.items()}
    return replace(pose, xyz=pose.xyz * factor, root=pose.root * factor, sigma=pose.sigma * factor, parts=parts)
