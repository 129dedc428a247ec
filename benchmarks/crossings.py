"""Whether people who cross stay who they are: rendered clips with known truth, captured with all people in them.

    stpose render --cache CACHE --assets ASSETS --mocap MOCAP --preview sheet.png      # bakes CACHE/kit.npz
    python benchmarks/crossings.py --folder FOLDER --kit CACHE/kit.npz --mocap MOCAP [--detector builtin] [--seed 2] [--count 20]

Scenes are rendered once (about 20 s of processor time each) into FOLDER; later runs need neither kit nor mocap.
An identity is kept where there is one capture for each person, and its joints lie on this person before and after the crossing.
PA-MPJPE: all 17 lifted joints, in frames in which the person has a pose with the others and alone.
A frame has another's joints where two or more of the 12 limb joints lie far from the person and near the same joint of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from crossing_scenes import Truth, rendered
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

import stpose_core as sp
from stpose_core.detect import load_detector
from stpose_core.metrics import procrustes
from stpose_core.skeletons import H36M17, convert

LIMBS = H36M17.index(*(f"{side}_{name}" for side in "rl" for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")))
OTHER_SIDE = [*range(6, 12), *range(6)]  # of LIMBS
TRUNK = H36M17.index("pelvis", "neck")
SEEN = 0.15  # score from which the lifter takes a joint as seen
OWN, OTHERS = 0.4, 0.25  # torsos: farther from the person, and nearer to another person, a joint is another's
STOLEN = 2  # limb joints from which a frame has another's joints
PURE, PRESENT, LEAST = 0.97, 0.5, 0.1  # share of a kept capture on its person; of the frames after the crossing; of a real capture

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Person:
    """How one person of a scene was captured. kept: by one capture before and after the crossing. error, alone: PA-MPJPE in mm.
    frames: with joints. stolen: of these, with another's joints. posed: share of the frames in which half of the person is open
    that have a pose. apart: (T,) metres that the distance vector to the largest person is off, NaN for the largest."""

    kept: bool
    error: float
    alone: float
    frames: int
    stolen: int
    posed: float
    apart: Floats


def limbs_of(capture: sp.Capture) -> tuple[Floats, NDArray[np.bool_]]:
    """(T, 12, 2) pixels of LIMBS, and (T, 12) whether they count as seen."""
    joints = convert(capture.keypoints, H36M17.name)
    return joints.xy[:, LIMBS], joints.score[:, LIMBS] >= SEEN


def distances(truth: Truth, capture: sp.Capture) -> Floats:
    """(P, T, 12) torsos from each limb joint of a capture to that of each person, on the nearer side; NaN where it was not seen."""
    xy, seen = limbs_of(capture)
    true = truth.xy[:, :, LIMBS]
    torso = np.linalg.norm(truth.xy[:, :, TRUNK[0]] - truth.xy[:, :, TRUNK[1]], axis=-1)[..., None]
    straight, crossed = (np.linalg.norm(xy - places, axis=-1) for places in (true, true[:, :, OTHER_SIDE]))
    return np.where(seen, np.minimum(straight, crossed) / torso, np.nan)


def owners(far: Floats) -> NDArray[np.int64]:
    """(T,) the person on whom a capture's joints lie, -1 where on nobody. far: (P, T, 12) as `distances` gives."""
    known = np.isfinite(far).any(-1)
    middle = np.full(far.shape[:2], np.inf)
    middle[known] = np.nanmedian(far[known], axis=-1)
    return np.where(middle.min(0) < 0.5, middle.argmin(0), -1)


def measure(truth: Truth, together: list[sp.Capture], alone: list[sp.Capture]) -> list[Person]:
    """Each person of a scene. together: all captures of it. alone: the first capture of each person alone."""
    people, frames = truth.open.shape
    real = [capture for capture in together if capture.keypoints.seen.mean() >= LEAST]
    far = [distances(truth, capture) for capture in real]
    owner = np.array([owners(each) for each in far]).reshape(len(real), frames)
    counts = np.array([[int((row == person).sum()) for row in owner] for person in range(people)]).reshape(people, len(real))
    chosen = dict(zip(*(index.tolist() for index in linear_sum_assignment(-counts))))
    covered = np.flatnonzero((truth.open < 0.9).any(0))
    last = int(covered.max()) if len(covered) else frames // 2
    result = []
    for person in range(people):
        if person not in chosen:
            result.append(Person(False, np.nan, np.nan, 0, 0, 0.0, np.full(frames, np.nan)))
            continue
        capture, own, others = real[chosen[person]], far[chosen[person]][person], np.delete(far[chosen[person]], person, axis=0)
        on, seen = owner[chosen[person]], capture.keypoints.seen
        after = seen[last + 1 :][truth.open[person, last + 1 :] > 0.5]
        pure = (on[on >= 0] == person).mean() if (on >= 0).any() else 0.0
        one = sum(int((row == person).sum()) >= LEAST * frames for row in owner) == 1
        taken = ((own > OWN) & (others < OTHERS).any(0)).sum(-1) >= STOLEN
        errors = [pa_mpjpe(each, truth.joints[person]) for each in (capture, alone[person])]
        both = np.isfinite(errors[0]) & np.isfinite(errors[1])
        result.append(
            Person(
                kept=bool(len(real) == people and one and pure >= PURE and (not len(after) or after.mean() >= PRESENT)),
                error=float(errors[0][both].mean()),
                alone=float(errors[1][both].mean()),
                frames=int(seen.sum()),
                stolen=int((taken & seen).sum()),
                posed=float(capture.pose3d.posed[truth.open[person] >= 0.5].mean()),
                apart=apart(truth, person, capture, chosen, real),
            )
        )
    return result


def pa_mpjpe(capture: sp.Capture, joints: Floats) -> Floats:
    """(T,) mm, NaN in frames without a pose. joints: (T, 17, 3) in any axes."""
    posed = capture.pose3d.posed
    error = np.full(len(posed), np.nan)
    for frame in np.flatnonzero(posed):
        placed = procrustes(capture.pose3d.xyz[frame], joints[frame])
        error[frame] = 1000 * np.linalg.norm(placed - joints[frame], axis=-1).mean()
    return error


def apart(truth: Truth, person: int, capture: sp.Capture, chosen: dict[int, int], real: list[sp.Capture]) -> Floats:
    """(T,) metres on the floor by which the vector from the largest person to this one is wrong."""
    largest = next((other for other, index in chosen.items() if index == 0), person)
    if largest == person:
        return np.full(len(capture), np.nan)
    first = real[0]
    # The motion's z points towards the camera, the world's y away from it.
    have = (capture.motion.root - first.motion.root)[:, [0, 2]] * [1, -1]
    true = (truth.joints[person, :, 0] - truth.joints[largest, :, 0])[:, :2]
    posed = capture.pose3d.posed & first.pose3d.posed
    return np.where(posed, np.linalg.norm(have - true, axis=-1), np.nan)


def measured(truth: Truth, detector: Any, lifter: Any) -> list[Person]:
    """Capture a scene and each person alone, and compare."""
    together = sp.capture_people(truth.film(), detector=detector, lifter=lifter)
    alone = [sp.capture(truth.film(person), detector=detector, lifter=lifter) for person in range(len(truth.open))]
    return measure(truth, together, alone)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Where the rendered scenes are kept.")
@click.option("--kit", type=click.Path(exists=True, path_type=Path))
@click.option("--mocap", type=click.Path(exists=True, path_type=Path))
@click.option("--detector", default="builtin", show_default=True)
@click.option("--seed", default=2, show_default=True)
@click.option("--count", default=20, show_default=True)
def main(folder: Path, kit: Path | None, mocap: Path | None, detector: str, seed: int, count: int) -> None:
    """Print a line for each scene, and the figures of all."""
    try:
        truths = rendered(seed, count, folder, kit, mocap)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    source, lifter = load_detector(detector), sp.load_lifter()
    scenes = []
    print("| scene | kind | clothes | kept | PA-MPJPE, mm (alone) | another's joints | posed |\n|---|---|---|---|---|---|---|")
    for truth in truths:
        scenes.append(measured(truth, source, lifter))
        print(line(truth, scenes[-1]), flush=True)
    print(summary(scenes))


def line(truth: Truth, people: list[Person]) -> str:
    """A scene as a row of the table."""
    errors = ", ".join(f"{person.error:.0f} ({person.alone:.0f})" for person in people)
    stolen = ", ".join(f"{person.stolen}/{person.frames}" for person in people)
    posed = ", ".join(f"{person.posed:.0%}" for person in people)
    known = "yes" if all(person.kept for person in people) else "NO"
    return f"| {truth.name} | {truth.kind} | {'same' if truth.alike else 'own'} | {known} | {errors} | {stolen} | {posed} |"


def summary(scenes: list[list[Person]]) -> str:
    """The figures of all scenes."""
    everybody = [person for people in scenes for person in people]
    kept = sum(all(person.kept for person in people) for people in scenes)
    error, alone = (np.nanmean([getattr(person, name) for person in everybody]) for name in ("error", "alone"))
    near = sum(person.error <= 1.2 * person.alone for person in everybody)
    frames, stolen = (sum(getattr(person, name) for person in everybody) for name in ("frames", "stolen"))
    off = np.concatenate([person.apart for person in everybody])
    return "\n".join(
        (
            f"identities kept: {kept} of {len(scenes)}",
            f"PA-MPJPE {error:.1f} mm, alone {alone:.1f} mm: {error / alone:.2f} x; within 1.2 x: {near} of {len(everybody)}",
            f"frames with another's joints: {stolen} of {frames}, {stolen / max(frames, 1):.2%}",
            f"open frames with a pose: {np.mean([person.posed for person in everybody]):.1%}",
            f"place against the largest person: median error {np.nanmedian(off):.2f} m",
        )
    )


if __name__ == "__main__":
    main()
