"""A live session: from a source of frames to poses that are sent, and how fast that was."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from stpose_core.data import Camera, Keypoints
from stpose_core.detect.types import Detector, Pose2D
from stpose_core.errors import StposeError
from stpose_core.lift import Lifter
from stpose_core.lift.lifter import TRAINING_FPS
from stpose_core.live.body import LiveBody, LivePose
from stpose_core.live.person import LivePerson
from stpose_core.live.senders import Sender
from stpose_core.live.source import LiveFrame, NewestFrame
from stpose_core.skeletons import H36M17, convert

LONGEST_DELAY = 8
"""Frames that a lifter may look ahead in a live session."""

_SHORTEST = 0.9 / TRAINING_FPS  # seconds between frames: a faster camera's are left out, as the lifter was trained on 30 a second
_TIMED = 100_000  # poses whose delay is kept for the report: an hour

Watcher = Callable[[LiveFrame, "Pose2D | None", "LivePose | None"], bool]


class LiveReport:
    """How a session went; it is up to date while the session runs.

    frames: received and processed. seconds: from the first frame to the last. delays: seconds from a frame's arrival until its
    pose was handed to all senders, of the last hour.
    """

    def __init__(self) -> None:
        self.frames, self.seconds = 0, 0.0
        self.delays: deque[float] = deque(maxlen=_TIMED)

    def __str__(self) -> str:
        if not self.delays:
            return f"{self.frames} frames; no person was detected"
        middle, slow = (1000 * float(np.percentile(self.delays, part)) for part in (50, 95))
        rate = (self.frames - 1) / max(self.seconds, 1e-6)
        return f"{self.frames} frames, {rate:.1f} a second; delay {middle:.0f} ms (median), {slow:.0f} ms (95th percentile)"


def run_live(
    source: NewestFrame,
    *,
    detector: Detector,
    lifter: Lifter,
    senders: Sequence[Sender] = (),
    camera: Camera | None = None,
    smooth: float = 0.4,
    watch: Watcher | None = None,
    report: LiveReport | None = None,
) -> LiveReport:
    """Capture the largest person of a source until it ends.

    lifter: a causal one (`LIVE_LIFTER` in `stpose_core.weights`). camera: of the source, where it is known. smooth: see
    `LiveBody`. watch: called with each frame, the 2D pose in it and the newest 3D
    pose; the session ends when it returns False. report: one to fill in; it is returned. Raises VideoError if the source fails,
    StposeError for a lifter that is not causal.
    """
    if lifter.delay > LONGEST_DELAY:
        raise StposeError(f"this lifter looks {lifter.delay} frames ahead; live capture takes {LONGEST_DELAY} at most")
    person, body = LivePerson(detector), LiveBody(smooth)
    stream = lifter.stream(TRAINING_FPS, source.size, camera)
    stream.flip = False
    waiting: deque[LiveFrame] = deque(maxlen=lifter.delay + 1)
    report = report or LiveReport()
    first, last = 0.0, -np.inf
    while (frame := source.take()) is not None:
        if frame.taken - last < _SHORTEST:
            continue
        first, last = (frame.taken if not report.frames else first), frame.taken
        report.frames, report.seconds = report.frames + 1, last - first
        seen = person.update(frame.image, frame.taken)
        waiting.append(frame)
        lifted = stream.push(*_joints(seen, detector.skeleton, source.size))
        shown = None if lifted is None else body.update(lifted, waiting[0].taken, waiting[0].index)
        if shown is not None:
            for sender in senders:
                sender.send(shown)
            if shown.present:
                report.delays.append(time.monotonic() - shown.taken)
        if watch is not None and not watch(frame, seen, shown):
            break
    return report


def _joints(pose: Pose2D | None, skeleton: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(17, 2) and (17,) of h36m17; NaN and 0 without a detection."""
    if pose is None:
        return np.full((17, 2), np.nan), np.zeros(17)
    found = Keypoints(pose.xy[None], pose.score[None], TRAINING_FPS, size, skeleton)
    points = found if skeleton == H36M17.name else convert(found, H36M17.name)
    return np.asarray(points.xy)[0], np.asarray(points.score)[0]
