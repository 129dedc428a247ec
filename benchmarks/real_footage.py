"""The whole way on real footage: `python benchmarks/real_footage.py --videos VIDEOS [-o OUT]` prints the table of the docs.

VIDEOS holds the clips named below (balance/ with a triangulated reference.npz). Every figure is measured on the BVH that the
command would write, read back from disk, unless the row says otherwise. Exits with 1 if a row misses its target. The other rows
there have commands of their own: people_footage.py (same person throughout), blender_open.py, speed.py.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

import stpose_core as sp
from stpose_core.animate import MOTION_FROM_H36M, animate, forward_kinematics
from stpose_core.animate.motion import smoothed_joints
from stpose_core.data import Array, Capture, Mask, Motion
from stpose_core.lift.flexion import PARTS, bend
from stpose_core.metrics import bone_lengths, jitter, procrustes
from stpose_core.skeletons import H36M17
from stpose_core.video import probe, read_frames

CLIPS = (
    "balance/cam01.mp4",
    "balance/cam03.mp4",
    "derived_sports2d_walk_cropped.mp4",
    "sports2d_demo_two_people.mp4",
    "sam2_football_juggle.mp4",
    "tfjs_squats.mp4",
    "intel_one_by_one.mp4",
    "intel_asl_walk_upper_body.mkv",
)
BALANCE = ("balance/cam01.mp4", "balance/cam03.mp4")
# Joints of reference.npz by their names there.
REFERENCE = {
    **{f"R{part}": f"r_{part.lower()}" for part in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")},
    **{f"L{part}": f"l_{part.lower()}" for part in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")},
}
BENDS, FEWEST = ((0, 10), (10, 30), (30, 60), (60, 100), (100, 140)), 12  # degrees; samples of a range
LIMBS = ("r_elbow", "r_wrist", "l_elbow", "l_wrist", "r_knee", "r_ankle", "l_knee", "l_ankle")
# Frames of intel_one_by_one.mp4 without people, 0-based and inclusive, checked by eye.
EMPTY = ((4, 55), (207, 222), (457, 497), (709, 740), (878, 916), (1211, 1229), (1371, 1388))


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    where: str
    figure: str
    target: str
    reached: bool


# PA-MPJPE on balance that is asked for with a detector, mm.
MOST_ERROR = {"mediapipe": 60.0, "builtin": 65.0}


def joints_of(motion: Motion, names: tuple[str, ...] | list[str]) -> Array:
    """(T, len(names), 3) world positions of h36m17 joints of a motion."""
    places = forward_kinematics(motion)
    return places[:, [motion.names.index(MOTION_FROM_H36M[name]) for name in names]]


def aligned_error(predicted: Array, true: Array, valid: Mask) -> float:
    """PA-MPJPE over the valid joints of each frame that has at least six, in mm."""
    errors = []
    for p, t, v in zip(predicted, true, valid):
        if v.sum() >= 6:
            errors += list(np.linalg.norm(procrustes(p[v], t[v]) - t[v], axis=-1))
    return 1000 * float(np.mean(errors))


def accuracy(folder: Path, captures: dict[str, Capture], motions: dict[str, Motion]) -> list[Row]:
    """PA-MPJPE of the BVH against the triangulated reference."""
    reference = np.load(folder / "balance" / "reference.npz", allow_pickle=False)
    names = [REFERENCE[str(name)] for name in reference["joints"]]
    figures, raw = [], []
    for clip in BALANCE:
        figures.append(aligned_error(joints_of(motions[clip], names), reference["xyz_m"], reference["valid"]))
        lifted = captures[clip].pose3d.xyz[:, [H36M17.joints.index(name) for name in names]]
        raw.append(aligned_error(lifted, reference["xyz_m"], reference["valid"]))
    mean = float(np.mean(figures))
    text = f"{figures[0]:.1f} / {figures[1]:.1f}, mean {mean:.1f} mm (lifted joints before animation {raw[0]:.1f} / {raw[1]:.1f})"
    most = MOST_ERROR.get(captures[BALANCE[0]].detector, 75.0)
    return [Row("PA-MPJPE, 12 limb joints", "balance cam01 / cam03", text, f"mean <= {most:g} mm", mean <= most)]


def flexion(folder: Path, motions: dict[str, Motion]) -> list[Row]:
    """How far the BVH bends knees and elbows, by how far the reference does: medians of both cameras, degrees."""
    reference = np.load(folder / "balance" / "reference.npz", allow_pickle=False)
    places = np.full((len(reference["xyz_m"]), len(H36M17.joints), 3), np.nan)
    columns = [H36M17.joints.index(REFERENCE[str(name)]) for name in reference["joints"]]
    places[:, columns] = np.where(reference["valid"][..., None], reference["xyz_m"], np.nan)
    true, rows = np.degrees(bend(places)), []
    made = [np.degrees(bend(joints_of(motions[clip], H36M17.joints))) for clip in BALANCE]
    for part, limbs in PARTS.items():
        texts, reached = [], True
        said, told = np.stack([true[:, limbs]] * 2), np.stack([angles[:, limbs] for angles in made])
        for low, high in BENDS:
            inside = (said >= low) & (said < high)
            if inside.sum() >= FEWEST:
                was, now = float(np.median(said[inside])), float(np.median(told[inside]))
                texts.append(f"{was:.0f} -> {now:.0f} ({inside.sum()})")
                reached &= now <= 9 if high == 10 else abs(now - was) <= 4
        rows.append(
            Row(f"flexion of the {part}: reference -> BVH", "balance", ", ".join(texts), "0-10 <= 9, others within 4", reached)
        )
    return rows


def smoothness(clip: str, capture: Capture, motion: Motion) -> list[Row]:
    """Jitter of the BVH's limb joints, and the peak wrist speed kept."""
    shaken = 1000 * jitter(joints_of(motion, LIMBS))
    unsmoothed = animate(capture.pose3d, 0.0)

    def peak(which: Motion, wrist: str) -> float:
        # The root's own path is left out: a hand's speed is judged against the body.
        hand = joints_of(which, [wrist])[:, 0] - joints_of(which, ["pelvis"])[:, 0]
        return float(np.quantile(np.linalg.norm(np.diff(hand, axis=0), axis=-1), 0.99) * which.fps)

    kept = [peak(motion, wrist) / peak(unsmoothed, wrist) for wrist in ("l_wrist", "r_wrist")]
    good = all(abs(share - 1) <= 0.15 for share in kept)
    return [
        Row("jitter of limb joints", clip, f"{shaken:.1f} mm/frame^2", "<= 8", shaken <= 8),
        Row(
            "peak wrist speed kept (left, right; 99th percentile, against the pelvis)",
            clip,
            f"{kept[0]:.2f}, {kept[1]:.2f} of unsmoothed",
            "within 15 %",
            good,
        ),
    ]


def rigidity(captures: dict[str, Capture], motions: dict[str, Motion]) -> list[Row]:
    """Bone lengths of the BVH over time, and how far its joints are from the smoothed 3D joints."""
    rows, worst = [], 0.0
    for clip, motion in motions.items():
        places = forward_kinematics(motion)
        bones = bone_lengths(places, motion.parents)
        worst = max(worst, float((bones.max(0) - bones.min(0)).max()))
        goal = smoothed_joints(captures[clip].pose3d)
        goal = goal - goal[:, :1]
        have = joints_of(motion, list(H36M17.joints))
        fit = 1000 * float(np.linalg.norm(have - have[:, :1] - goal, axis=-1)[~captures[clip].motion.filled].mean())
        rows.append(Row("fit of BVH joints to smoothed joints", clip, f"{fit:.1f} mm", "<= 25 mm", fit <= 25))
    return [Row("bone length variation", "all clips", f"{1000 * worst:.4f} mm", "0", worst < 1e-5), *rows]


def duration(folder: Path, clip: str, motion: Motion) -> Row:
    """The BVH lasts as long as the video."""
    info = probe(folder / clip)
    stamps = [frame.time for frame in read_frames(folder / clip)]
    lasts, video = len(motion) / motion.fps, stamps[-1] + 1 / info.fps
    off = abs(lasts - video) * motion.fps
    text = f"{len(motion)} frames at {motion.fps:.4g} fps = {lasts:.3f} s; video {len(stamps)} frames, {video:.3f} s"
    return Row("lasts as long as the video", clip, text, "+- 1 frame", off <= 1)


def emptiness(people: list[Capture]) -> list[Row]:
    """Frames that hold a pose, bridged ones too, of any person found."""
    empty = np.zeros(len(people[0].pose3d), bool)
    for first, last in EMPTY:
        empty[first : last + 1] = True
    seen = np.any([capture.pose3d.posed for capture in people], axis=0)
    share, present = float(seen[empty].mean()), float(seen[~empty].mean())
    return [
        Row("empty frames with a pose", "intel_one_by_one", f"{100 * share:.1f} % of {empty.sum()}", "<= 2 %", share <= 0.02),
        Row("other frames with a pose", "intel_one_by_one", f"{100 * present:.1f} %", "as found", present > 0),
    ]


@click.command()
@click.option("--videos", type=click.Path(path_type=Path), required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder to keep the BVH files in.")
@click.option("--detector", default="auto", show_default=True)
@click.option("--weights", type=click.Path(exists=True, path_type=Path), help="Lifter weights other than those that ship.")
def main(videos: Path, output: Path | None, detector: str, weights: Path | None) -> None:
    """Measure the whole way on real clips."""
    missing = [clip for clip in CLIPS if not (videos / clip).is_file()]
    if missing:
        click.echo(f"skipped: {videos} has no {', '.join(missing)}")
        return
    keep = output or Path(tempfile.mkdtemp())
    keep.mkdir(parents=True, exist_ok=True)
    captures: dict[str, Capture] = {}
    motions: dict[str, Motion] = {}
    lifter = sp.load_lifter(weights)
    for clip in CLIPS:
        click.echo(f"capturing {clip}", err=True)
        captures[clip] = sp.capture(videos / clip, detector=detector, lifter=lifter)
        path = keep / (clip.replace("/", "_").rsplit(".", 1)[0] + ".bvh")
        sp.save(captures[clip].motion, path, overwrite=True)
        motions[clip] = sp.load_motion(path)
    rows = accuracy(videos, captures, motions) + flexion(videos, motions) + rigidity(captures, motions)
    for clip in BALANCE:
        rows += smoothness(clip, captures[clip], motions[clip])
    rows += emptiness(sp.capture_people(videos / "intel_one_by_one.mp4", detector=detector, person="all", lifter=lifter))
    rows += [duration(videos, clip, motions[clip]) for clip in ("tfjs_squats.mp4", "balance/cam01.mp4")]
    click.echo("| what | on | figure | target | reached |\n|---|---|---|---|---|")
    for row in rows:
        click.echo(f"| {row.what} | {row.where} | {row.figure} | {row.target} | {'yes' if row.reached else 'NO'} |")
    sys.exit(0 if all(row.reached for row in rows) else 1)


if __name__ == "__main__":
    main()
