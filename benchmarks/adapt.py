"""`stpose train adapt` on 2D of people it never saw, from an unusual camera: does it err less on other clips of them?

    python benchmarks/adapt.py --data MOCAP                                # all rows, on both sets
    python benchmarks/adapt.py --data MOCAP --rows mocap --weights lifter.safetensors

The camera stands 0.2 m above the floor, 2.5 m from the person, is tilted by 25 degrees, and films 12 frames a second; noise is the
detector's that training draws. The clips of each held-out subject go in turns to those that are adapted to, as 2D alone, and those
that are judged. Rows: "mocap", what the command does with --data; "alone", without; and controls with as many steps: "rate 0"
(nothing may change), "ordinary" (the same people filmed by ordinary cameras at 30 fps), "shuffled" (joints in a wrong order), and
"no 2D" (filmed like the footage, but without its own 2D). Errors in mm; "ordinary cameras" are the judged clips filmed by such:
what was forgotten.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from stpose_training.adapt import WORSE, Adaptation, check, learn
from stpose_training.conditions import PLAIN, Take, at_tempo, film_clip
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import Stands, film
from stpose_training.data.mocap import Clip, load_mocap
from stpose_training.data.samples import detections_of
from stpose_training.evaluate import SETS, Measures, measure
from stpose_training.validation import held_out

from stpose_core.data import Camera, Keypoints
from stpose_core.files import written_whole
from stpose_core.lift import Lifter
from stpose_core.lift.torch_network import TorchNetwork, torch_lifter
from stpose_core.skeletons import H36M17

HEIGHT, DISTANCE, ROLL = 0.2, 2.5, 25.0  # metres, metres, degrees
FPS, BETWEEN = 12.0, 2  # filmed at 24, of which every second frame is seen
TARGET = 0.9
ROWS = ("mocap", "alone", "rate 0", "ordinary", "shuffled", "no 2D")
_SEED = 77_000
_LONGER_SIDE = 1920


def film_low(clip: Clip, number: int) -> Take:
    """The take of one clip by the unusual camera. Where it stands around the person, and the noise, depend on `number` alone."""
    positions = at_tempo(clip.positions, 30.0 / (FPS * BETWEEN))
    random = Random(_SEED + 1000 * number)
    below = float(clip.positions[:, 0, 2].mean()) - HEIGHT
    stands = Stands(*(torch.tensor([v]) for v in (-math.asin(below / DISTANCE), math.radians(ROLL), math.log(DISTANCE))))
    views = film(torch.from_numpy(positions)[None], random, stands=stands)
    found = detections_of(views, random)
    rays, score = found.rays[0, ::BETWEEN].double().numpy(), found.score[0, ::BETWEEN].double().numpy()
    reach = views.reach[0].numpy()
    width, height = np.maximum(2, np.round(_LONGER_SIDE * reach / reach.max())).astype(int)
    camera = Camera.assumed((int(width), int(height)))
    xy = np.where(score[..., None] > 0, camera.focal * rays + np.asarray(camera.centre), np.nan)
    truth = (found.points - found.points[:, :, :1])[0, ::BETWEEN].double().numpy()
    keypoints = Keypoints(xy, score, FPS, (int(width), int(height)), H36M17.name)
    return Take(keypoints, truth, np.zeros(score.shape, bool))


@dataclass(frozen=True)
class Filmed:
    """One set: takes of the clips to adapt to and of those to judge on, by the unusual camera and by ordinary ones."""

    adapt: list[Take]
    adapt_ordinary: list[Take]
    judge: list[Take]
    judge_ordinary: list[Take]


def filmed(clips: Sequence[Clip]) -> Filmed:
    """Clips of each subject in turns to either side; the unusual camera's and the ordinary takes of the same clips."""
    turn: Counter[str] = Counter()
    parts: tuple[list[Take], ...] = ([], [], [], [])
    for number, clip in enumerate(clips):
        side = 2 * (turn[clip.subject] % 2)
        turn[clip.subject] += 1
        parts[side].append(film_low(clip, number))
        parts[side + 1].append(film_clip(clip, number, PLAIN))
    return Filmed(*parts)


def judged(lifter: Lifter, takes: Sequence[Take]) -> Measures:
    """The errors on takes."""
    return measure([(take, lifter(take.keypoints)) for take in takes])


def shuffled(clip: Keypoints, generator: np.random.Generator) -> Keypoints:
    """The clip with its joints in a wrong order."""
    order = generator.permutation(len(H36M17.joints))
    return Keypoints(clip.xy[:, order], clip.score[:, order], clip.fps, clip.image_size, clip.skeleton)


def adapted(row: str, old: Lifter, takes: Filmed, data: Path, plan: Adaptation) -> Lifter:
    """The lifter of one row."""
    source = takes.adapt_ordinary if row == "ordinary" else takes.adapt
    clips = [take.keypoints for take in source if take.keypoints.seen.sum() >= 20]
    if row == "shuffled":
        generator = np.random.default_rng(0)
        clips = [shuffled(clip, generator) for clip in clips]
    if row == "rate 0":
        plan = replace(plan, rate=0.0, steps=min(plan.steps, 20))
    if row == "no 2D":
        plan = replace(plan, footage=0.0)
    return Lifter(TorchNetwork(learn(old, clips, plan, None if row == "alone" else data)))


def figures(low: Measures, ordinary: Measures) -> str:
    """A cell group of the table."""
    return f"{low.mpjpe:.1f} | {low.pa_mpjpe:.1f} | {ordinary.mpjpe:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Adapt, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="the ones that ship, if not given")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--every", type=int, default=4, help="of the clips of HDM05, each so many")
    parser.add_argument("--steps", type=int, default=Adaptation.steps)
    parser.add_argument("--rate", type=float, default=Adaptation.rate)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    plan = Adaptation(steps=options.steps, rate=options.rate, threads=options.threads)
    old = torch_lifter(options.weights)
    sets = held_out(options.data, old.network.config, old.network.device)
    found: dict[str, dict[str, list[float]]] = {}
    for name in options.sets:
        clips = load_mocap(options.data, *SETS[name])
        takes = filmed(clips if name == next(iter(SETS)) else clips[:: options.every])
        print(f"{name}: adapts to {len(takes.adapt)} clips, judged on {len(takes.judge)} others of the same people", flush=True)
        before = judged(old, takes.judge), judged(old, takes.judge_ordinary)
        lines = [
            f"| {name} | MPJPE | PA-MPJPE | MPJPE, ordinary cameras | PA-MPJPE / before | marker mocap / before |",
            "|---|---|---|---|---|---|",
            f"| before | {figures(*before)} | 1.000 | |",
        ]
        found[name] = {"before": [before[0].mpjpe, before[0].pa_mpjpe, before[1].mpjpe]}
        for row in options.rows:
            new = adapted(row, old, takes, options.data, plan)
            after = judged(new, takes.judge), judged(new, takes.judge_ordinary)
            ratio = after[0].pa_mpjpe / before[0].pa_mpjpe
            worst = max(now / was for was, now in check(old, new, sets).values())
            lines.append(f"| {row} | {figures(*after)} | {ratio:.3f} | {worst:.3f}{'' if worst <= WORSE else ', refused'} |")
            found[name][row] = [after[0].mpjpe, after[0].pa_mpjpe, after[1].mpjpe, worst]
            print(lines[-1], flush=True)
            if options.json:
                with written_whole(options.json, overwrite=True) as part:
                    part.write_text(json.dumps(found, indent=1), encoding="utf-8")
        print("\n".join(lines), flush=True)
        if "mocap" in options.rows:
            reached = found[name]["mocap"][1] <= TARGET * before[0].pa_mpjpe
            print(f"{name}: PA-MPJPE falls by 10 %: {'yes' if reached else 'NO'}", flush=True)


if __name__ == "__main__":
    main()
