"""How well the noise model agrees with a real detector: `python -m stpose_training.data.fit_noise VIDEOS` prints the table.

VIDEOS holds balance/cam01.mp4, cam03.mp4 and reference.npz: a man filmed by two calibrated cameras, triangulated from four (from
Pose2Sim, BSD-3-Clause). The detector's joints are compared with the projected reference, as h36m17 and at 30 fps. The reference has
slow errors of 20 to 30 mm of its own, so errors of that size are added to the simulated joints before they are measured likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from stpose_core.data import Array, Keypoints
from stpose_core.pipeline import observe, open_detector
from stpose_core.skeletons import H36M17, convert
from stpose_core.track.choice import choose_people
from stpose_core.track.resample import track_to_keypoints
from stpose_core.video import VideoFile
from stpose_training.data.bodies import Random
from stpose_training.data.noise import detect

CAMERAS = ("cam01", "cam03")
# 25 mm in space are 14 mm along each axis, of the 0.95 m that are the size of 1; a third of its variance is constant.
REFERENCE_ERROR = 0.015
# The reference's joints (order of the file) in h36m17, and groups of them.
LIMBS = tuple(
    H36M17.joints.index(f"{side}_{joint}")
    for side, joint in (
        *(("r", name) for name in ("shoulder", "elbow", "wrist")),
        *(("l", name) for name in ("shoulder", "elbow", "wrist")),
        *(("r", name) for name in ("hip", "knee", "ankle")),
        *(("l", name) for name in ("hip", "knee", "ankle")),
    )
)
GROUPS = {"shoulders, hips": (0, 3, 6, 9), "elbows, knees": (1, 4, 7, 10), "wrists, ankles": (2, 5, 8, 11)}
SCORES = ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.01))
_FPS = 30
_FRAMES = 50


@dataclass(frozen=True)
class Detected:
    """error: (T, 12, 2) detected minus true place of the limb joints in person sizes, NaN where unknown; score: (T, 12)."""

    error: Array
    score: Array


def person_size(xy: Array) -> float:
    """(T, 17, 2) pixels -> the median size that `stpose_core.lift.normalise` works with, pixels."""
    return float(np.nanmedian(2 * np.sqrt(((xy - xy.mean(1, keepdims=True)) ** 2).sum(-1).mean(1))))


def compare(keypoints: Keypoints, reference: dict[str, Array], camera: int) -> list[Detected]:
    """Errors of the detector's joints against the projected reference in this camera: one take for each phase of a step."""
    points = convert(keypoints)
    places = reference["xyz_m"] @ reference["R"][camera].T + reference["t"][camera]
    pixels = places @ reference["K"][camera].T
    xy = np.asarray(points.xy)
    error = (xy[:, LIMBS] - pixels[..., :2] / pixels[..., 2:]) / person_size(xy)
    error[~reference["valid"]] = np.nan
    step = max(1, round(points.fps / _FPS))
    return [Detected(error[start::step], np.asarray(points.score)[start::step, LIMBS]) for start in range(step)]


def real_takes(videos: Path, detector: str = "auto") -> list[Detected]:
    """The detector's errors on the balance clips."""
    with np.load(videos / "balance" / "reference.npz", allow_pickle=False) as file:
        reference = {name: np.array(file[name]) for name in file.files}
    takes: list[Detected] = []
    for number, camera in enumerate(CAMERAS):
        with VideoFile(videos / "balance" / f"{camera}.mp4") as video:
            info, seen = video.info, observe(video, open_detector(detector))
        track = choose_people(seen.tracks, "largest", (info.width, info.height), len(seen.times))[0]
        takes += compare(track_to_keypoints(track, seen.times, info.fps, (info.width, info.height)), reference, number)
    return takes


def simulated_takes(count: int = 400, variety: float = 0.0, seed: int = 0, times: float = 1.0) -> list[Detected]:
    """The noise model's errors on a person at rest, against a reference with errors like those of the real one.

    times: factor of the noise, to see how the table shows a wrong model.
    """
    rays, score = detect(torch.zeros(count, _FRAMES, 17, 2), torch.ones(count, _FRAMES), Random(seed), variety)
    generator = np.random.default_rng(seed)
    walk = np.cumsum(generator.normal(size=(count, _FRAMES, len(LIMBS), 2)), 1)
    walk = (walk - walk.mean(1, keepdims=True)) / walk.std(1, keepdims=True)
    still = generator.normal(size=(count, 1, len(LIMBS), 2))
    reference = REFERENCE_ERROR * (np.sqrt(2 / 3) * walk + np.sqrt(1 / 3) * still)
    error = times * rays[:, :, LIMBS].double().numpy() + reference
    return [Detected(one, two) for one, two in zip(error, score[:, :, LIMBS].double().numpy())]


def statistics(takes: list[Detected]) -> dict[str, float]:
    """The lines of the table: distances in person sizes, shares and correlations."""
    length = np.concatenate([np.linalg.norm(take.error, axis=-1) for take in takes])
    score = np.concatenate([take.score for take in takes])
    # The second difference has 6 times the variance of white noise, and little of a slow error.
    second = [np.linalg.norm(np.diff(take.error, 2, axis=0), axis=-1) / np.sqrt(6) for take in takes]
    quick = np.concatenate(second)
    found: dict[str, float] = {}
    for name, joints in GROUPS.items():
        for share in (50, 90, 99):
            found[f"error, {name}, {share} %"] = float(np.nanpercentile(length[:, joints], share))
        found[f"quick error, {name}, 50 %"] = float(np.nanpercentile(quick[:, joints], 50))
        found[f"quick error, {name}, 90 %"] = float(np.nanpercentile(quick[:, joints], 90))
        constant = [np.linalg.norm(np.nanmean(take.error[:, joints], axis=0), axis=-1) for take in takes]
        found[f"constant error, {name}"] = float(np.mean(constant))
    for lag in (1, 2, 5, 10):
        found[f"correlation of changing error after {lag} frames"] = float(np.mean([_correlation(t.error, lag) for t in takes]))
    known = np.isfinite(length)
    for low, high in SCORES:
        inside = (score >= low) & (score < high) & known
        found[f"share of scores {low:g} to {min(high, 1):g}"] = float(inside.sum() / known.sum())
        found[f"error at scores {low:g} to {min(high, 1):g}, 50 %"] = float(np.median(length[inside])) if inside.any() else np.nan
    varying = [take.score[:, joint] for take in takes for joint in range(len(LIMBS)) if take.score[:, joint].std() > 0.03]
    kept = [np.corrcoef(one[:-1], one[1:])[0, 1] for one in varying]
    found["correlation of a score after 1 frame"] = float(np.mean(kept)) if kept else np.nan
    return found


def _correlation(error: Array, lag: int) -> float:
    """Mean over joints of the autocorrelation of errors (T, J, 2) after their mean over time is removed."""
    left = error - np.nanmean(error, axis=0)
    before, after = left[:-lag], left[lag:]
    known = np.isfinite(before) & np.isfinite(after)
    before, after = np.where(known, before, 0), np.where(known, after, 0)
    both = (before * after).sum((0, 2)) / (0.5 * (before**2 + after**2)).sum((0, 2))
    return float(np.mean(both))


@click.command(help=__doc__)
@click.argument("videos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--detector", default="auto", help="As of `stpose mocap`.")
def main(videos: Path, detector: str) -> None:
    real = statistics(real_takes(videos, detector))
    fitted, varied = statistics(simulated_takes()), statistics(simulated_takes(variety=1.0))
    click.echo(f"| {'in person sizes (about 0.95 m); shares; correlations':55} | real | simulated | as drawn in training |")
    click.echo("|---|---|---|---|")
    for name, value in real.items():
        click.echo(f"| {name:55} | {value:.3f} | {fitted[name]:.3f} | {varied[name]:.3f} |")


if __name__ == "__main__":
    main()
