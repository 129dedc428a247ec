"""Animation: a Pose3D to a Motion with constant bones, joint rotations and a root in metres, smooth and without holes."""

from __future__ import annotations

from stpose_core.animate.body import MOTION_FROM_H36M
from stpose_core.animate.motion import animate
from stpose_core.animate.rotations import forward_kinematics

__all__ = ["MOTION_FROM_H36M", "animate", "forward_kinematics"]
