"""Which joints of a clip count as seen.

The score of a hidden joint often lies near the score from which joints count as seen. Whether it counts would change from frame to
frame, and the joint would jump between its detection and what the network guesses. Limbs do not appear and vanish within a tenth of
a second. A decision of this project.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import median_filter

from stpose_core.data import Keypoints
from stpose_core.lift.normalise import VISIBLE_SCORE

_WINDOW = 0.2  # s: what is seen for half of it counts as seen
_DOUBTFUL = 0.1  # a lower score never counts as seen
_JUST_BELOW = float(np.nextafter(np.float32(VISIBLE_SCORE), np.float32(0)))


def without_flicker(keypoints: Keypoints) -> Keypoints:
    """Keypoints in which a joint counts as seen or hidden as in most frames of the fifth of a second around.

    Scores move to the limit, not further: up to it only from 0.1 on.
    """
    score = np.asarray(keypoints.score)
    frames = 2 * round(_WINDOW * keypoints.fps / 2) + 1
    usual = median_filter(score, (frames, 1), mode="nearest")
    raised = np.where(score >= _DOUBTFUL, np.maximum(score, VISIBLE_SCORE), score)
    return replace(keypoints, score=np.where(usual >= VISIBLE_SCORE, raised, np.minimum(score, _JUST_BELOW)))
