"""A web page to look at a capture: an orbiting figure, the video in step with it, curves, and the quality in words.

One file without any reference to the network. `viewer.js` is bundled from tools/viewer with three.js (LICENSE.three.txt).
"""

from __future__ import annotations

from stpose_core.report.page import write_report

__all__ = ["write_report"]
