"""Keypoints -> Pose3D. Its modules are imported with the first name that is used of this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stpose_core.lift.lifter import Lifter, LifterStream, load_lifter

__all__ = ["Lifter", "LifterStream", "load_lifter"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'stpose_core.lift' has no attribute '{name}'")
    return getattr(import_module("stpose_core.lift.lifter"), name)
