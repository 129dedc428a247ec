"""Live capture: a camera's frames in, poses of one person out, a fraction of a second later.

    NewestFrame -> LivePerson -> LifterStream -> LiveBody -> senders

`run_live` connects them. Nothing here looks at whole clips, and nothing grows with the length of a session.
"""

from __future__ import annotations

from stpose_core.live.body import LiveBody, LivePose
from stpose_core.live.session import LiveReport, run_live
from stpose_core.live.source import NewestFrame

__all__ = ["LiveBody", "LivePose", "LiveReport", "NewestFrame", "run_live"]
