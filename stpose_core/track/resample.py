"""Resampling of a track to a uniform time grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Keypoints
from stpose_core.detect.types import Floats
from stpose_core.track.track import LONGEST_GAP, Track


def track_to_keypoints(track: Track, frame_times: Floats, fps: float, image_size: tuple[int, int]) -> Keypoints:
    """The track on the uniform grid t0, t0 + 1 / fps, ... up to the last frame.

    frame_times: (T,) the stamps of all frames of the clip, seconds. A detection within a quarter frame of a grid point is copied.
    Between two detections at most 0.25 s apart (or in neighbouring frames), joints are interpolated. The rest are gaps: NaN, score
    0.
    """
    stamps = np.asarray(frame_times, dtype=float)
    if not len(stamps):
        raise ValueError("frame_times is empty")
    grid = stamps[0] + np.arange(round((stamps[-1] - stamps[0]) * fps) + 1) / fps
    xy = np.full((len(grid), *track.xy.shape[1:]), np.nan)
    score = np.zeros(xy.shape[:2])
    if not len(track):
        return Keypoints(xy, score, fps, image_size, track.skeleton)
    times = track.times
    after = np.searchsorted(times, grid)
    low, high = np.clip(after - 1, 0, len(times) - 1), np.clip(after, 0, len(times) - 1)
    nearest = np.where(np.abs(times[low] - grid) <= np.abs(times[high] - grid), low, high)
    copied = np.abs(times[nearest] - grid) <= 0.25 / fps
    xy[copied], score[copied] = track.xy[nearest[copied]], track.score[nearest[copied]]

    gap = times[high] - times[low]
    close = (gap <= LONGEST_GAP + 1e-9) | (track.frames[high] - track.frames[low] == 1)
    between = np.flatnonzero(~copied & (times[low] < grid) & (grid < times[high]) & close)
    if len(between):
        a, b = low[between], high[between]
        share = ((grid[between] - times[a]) / gap[between])[:, None]
        xy[between] = track.xy[a] * (1 - share[..., None]) + track.xy[b] * share[..., None]
        score[between] = np.minimum(track.score[a], track.score[b])
    return Keypoints(xy, score, fps, image_size, track.skeleton)


def neighbours(times: Floats, grid: Floats, fps: float) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, NDArray[np.bool_]]:
    """Where each point of a grid of times lies among rising times (N,), at least one: the index before and after it, the share of
    the way from the one to the other, and whether the two may be interpolated: it is next to one of them, or between two that
    are at most 0.25 s apart."""
    after = np.searchsorted(times, grid)
    low, high = np.clip(after - 1, 0, len(times) - 1), np.clip(after, 0, len(times) - 1)
    share = np.clip((grid - times[low]) / np.maximum(times[high] - times[low], 1e-9), 0.0, 1.0)
    near = 0.5 / fps
    close = (np.abs(grid - times[low]) < near) | (np.abs(grid - times[high]) < near)
    close |= (times[low] < grid) & (grid < times[high]) & (times[high] - times[low] <= LONGEST_GAP)
    return low, high, share, close
