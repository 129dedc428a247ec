"""Which joints of a clip count as seen.

The score of a hidden joint often lies near the score from which joints count as seen. Whether it counts would change from frame to
frame, and the joint would jump between its detection and what the network guesses. Limbs hardly appear and vanish within a tenth of
a second. A decision of this project.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import convolve1d

from stpose_core.data import Keypoints
from stpose_core.lift.normalise import VISIBLE_SCORE

_AROUND = 0.1  # s before and after a frame
_DOUBTFUL = (0.1, 0.3)  # only such scores are decided by the frames around
_JUST_BELOW = float(np.nextafter(np.float32(VISIBLE_SCORE), np.float32(0)))


def without_flicker(keypoints: Keypoints) -> Keypoints:
    """Keypoints in which a joint of a doubtful score, 0.1 to 0.3, counts as seen if it is in most frames up to a tenth of a second
    away. Its score is raised to the limit, or lowered to just below it. Frames in which nothing is detected do not count."""
    score = np.asarray(keypoints.score)
    taps = np.ones(2 * int(_AROUND * keypoints.fps) + 1)
    detected = (score > 0).any(axis=1)
    votes = np.where(score >= VISIBLE_SCORE, 1.0, -1.0) * detected[:, None]
    usual = convolve1d(votes, taps, axis=0, mode="constant") > 0
    decided = np.where(usual, np.maximum(score, VISIBLE_SCORE), np.minimum(score, _JUST_BELOW))
    doubtful = (score >= _DOUBTFUL[0]) & (score < _DOUBTFUL[1])
    return replace(keypoints, score=np.where(doubtful, decided, score))
