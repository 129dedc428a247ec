"""Animation: a Pose3D to a Motion with constant bones, joint rotations and a root in metres, smooth and without holes.

Everything is loaded on first use: `stpose_core.world` is built on modules of this package, and `animate` on that.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stpose_core.animate.body import MOTION_FROM_H36M
    from stpose_core.animate.kinematics import forward_kinematics
    from stpose_core.animate.motion import animate, standpoint

__all__ = ["MOTION_FROM_H36M", "animate", "forward_kinematics", "standpoint"]

_HOMES = {"MOTION_FROM_H36M": "body", "animate": "motion", "forward_kinematics": "kinematics", "standpoint": "motion"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stpose_core.animate' has no attribute '{name}'")
    return getattr(import_module(f"stpose_core.animate.{_HOMES[name]}"), name)
