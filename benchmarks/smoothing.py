"""Smoothing filters at equal jitter: `python benchmarks/smoothing.py --data MOCAP` prints the table of the docs.

Poses are lifted from marker mocap of subjects that no training saw, through a static camera with a detector's noise (the CMU
pieces of world.py). The lifter's own output hardly trembles, so white noise of 6 mm is added to every joint: that of detectors on
real clips. Each filter smooths the root-relative joints as strongly as brings their jitter to that of the mocap itself. Then they
differ in what they cost: lag, peak speed of wrists and ankles kept, and error.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from scipy.signal import butter, savgol_filter, sosfiltfilt
from stpose_training.data.filmed import shoot
from world import lift, scenes

from stpose_core.animate.bones import bone_vectors, joints_from_bones
from stpose_core.animate.smooth import cutoff, smooth_bones, whittaker
from stpose_core.data import Array
from stpose_core.lift import load_lifter
from stpose_core.metrics import jitter
from stpose_core.skeletons import H36M17

FPS = 30.0
NOISE = 0.006  # m
ENDS = H36M17.index("l_wrist", "r_wrist", "l_ankle", "r_ankle")
LIMBS = [*ENDS, *H36M17.index("l_elbow", "r_elbow", "l_knee", "r_knee")]

#: A filter takes joints (T, 17, 3) and a strength in 0..1; more of it is smoother.
Filter = Callable[[Array, float], Array]


def stpose(joints: Array, strength: float) -> Array:
    """The smoother of the command."""
    bones = bone_vectors(joints)
    bones[:, 1:] = smooth_bones(bones[:, 1:], np.ones(bones.shape[:2])[:, 1:], strength, FPS)
    return joints_from_bones(bones)


def fixed(joints: Array, strength: float) -> Array:
    """Whittaker's smoother with one cut-off for all."""
    flat = joints.reshape(len(joints), -1)
    return whittaker(flat, np.ones(len(flat)), cutoff(strength), FPS).reshape(joints.shape)


def one_euro(joints: Array, strength: float) -> Array:
    """Casiez et al., CHI 2012; causal. Its beta is 1 / (2 m/s): the cut-off doubles at that speed, as in the command."""
    result, speed = joints.copy(), np.zeros_like(joints[0])
    lowest = cutoff(strength)
    for frame in range(1, len(joints)):
        raw = (joints[frame] - joints[frame - 1]) * FPS
        speed = speed + _gain(1.0) * (raw - speed)
        pace = np.linalg.norm(speed, axis=-1, keepdims=True)
        result[frame] = result[frame - 1] + _gain(lowest * (1 + pace / 2.0)) * (joints[frame] - result[frame - 1])
    return result


def _gain(hertz: Array | float) -> Array:
    step = 2 * np.pi * np.asarray(hertz) / FPS
    return np.asarray(step / (step + 1))


def savitzky_golay(joints: Array, strength: float) -> Array:
    """Cubic polynomials over a window of 5 to 41 frames, mixed between the two nearest widths."""
    half = 2 + 18 * strength
    low = int(half)
    part = half - low
    narrow, wide = (savgol_filter(joints, 2 * (low + more) + 1, 3, axis=0, mode="nearest") for more in (0, 1))
    return np.asarray((1 - part) * narrow + part * wide)


def butterworth(joints: Array, strength: float) -> Array:
    """Fourth order, run forwards and backwards."""
    hertz = min(cutoff(strength), 0.49 * FPS)
    return np.asarray(sosfiltfilt(butter(2, hertz / (FPS / 2), output="sos"), joints, axis=0))


FILTERS: dict[str, Filter] = {
    "stpose, cut-off by speed": stpose,
    "Whittaker, one cut-off": fixed,
    "Butterworth, both ways": butterworth,
    "Savitzky-Golay": savitzky_golay,
    "One Euro": one_euro,
}


def shaking(clips: list[Array]) -> float:
    """Jitter of limb joints, mm a frame squared, each frame alike."""
    return 1000 * float(np.average([jitter(clip[:, LIMBS]) for clip in clips], weights=[len(clip) for clip in clips]))


def matched(filter_: Filter, clips: list[Array], goal: float) -> tuple[float, list[Array]]:
    """The strength at which the filter's jitter is `goal`, by bisection, and what it makes of the clips."""
    low, high = 0.01, 0.99
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if shaking([filter_(clip, middle) for clip in clips]) < goal else (middle, high)
    return low, [filter_(clip, low) for clip in clips]


def lag(smooth: list[Array], raw: list[Array]) -> float:
    """Milliseconds by which wrists and ankles come late: where their correlation with the unsmoothed ones is greatest."""
    scores: list[float] = []
    for shift in range(-6, 7):
        total = 0.0
        for after, before in zip(smooth, raw):
            speeds = [np.diff(clip[:, ENDS], axis=0)[6:-6] for clip in (after, np.roll(before, shift, axis=0))]
            total += float((speeds[0] * speeds[1]).sum())
        scores.append(total)
    best = int(np.clip(np.argmax(scores), 1, len(scores) - 2))
    left, here, right = scores[best - 1 : best + 2]
    return 1000 / FPS * (best - 6 + 0.5 * (left - right) / (left - 2 * here + right))


def peak(clips: list[Array]) -> float:
    """99th percentile of the speed of wrists and ankles, m/s."""
    return float(
        np.percentile(np.concatenate([np.linalg.norm(np.diff(clip[:, ENDS], axis=0), axis=-1) for clip in clips]), 99) * FPS
    )


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of marker mocap.")
@click.option("--weights", type=click.Path(exists=True, path_type=Path), help="Lifter weights other than those that ship.")
def main(data: Path, weights: Path | None) -> None:
    """Compare smoothing filters."""
    torch.set_num_threads(1)
    lifter, rng = load_lifter(weights), np.random.default_rng(0)
    clean, raw, true = [], [], []
    for number, piece in enumerate(scenes(data)["CMU validation"]):
        shot = shoot(piece, "static", number)
        pose = lift(lifter, shot, known=True)[1]
        kept = pose.posed
        clean.append(pose.xyz[kept])
        raw.append(clean[-1] + NOISE * rng.normal(size=clean[-1].shape) * (np.arange(17) > 0)[:, None])
        true.append(((piece.joints - piece.joints[:, :1]) @ shot.turn.T)[kept])
    goal = shaking(true)
    click.echo(
        "| filter | strength | jitter, mm/frame^2 | lag, ms | peak speed kept | joint error, mm |\n|---|---|---|---|---|---|"
    )

    def row(name: str, strength: float | None, clips: list[Array]) -> None:
        error = 1000 * np.concatenate([np.linalg.norm(a - b, axis=-1).mean(1) for a, b in zip(clips, true)]).mean()
        figures = f"{shaking(clips):.1f} | {lag(clips, clean):.0f} | {100 * peak(clips) / peak(clean):.0f} % | {error:.2f}"
        click.echo(f"| {name} | {'' if strength is None else f'{strength:.2f}'} | {figures} |")

    row("the mocap itself", None, true)
    row("as lifted", None, clean)
    row("with noise", None, raw)
    for name, filter_ in FILTERS.items():
        row(name, *matched(filter_, raw, goal))


if __name__ == "__main__":
    main()
