"""Keypoints -> Pose3D."""

from stpose_core.lift.lifter import Lifter, LifterStream, load_lifter

__all__ = ["Lifter", "LifterStream", "load_lifter"]
