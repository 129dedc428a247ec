"""Our lifter against the single-stride dilated TCN of Pavllo et al. 2019: accuracy, hidden joints, and speed in one run.

    python benchmarks/lifter.py --data MOCAP --ours lifter.safetensors --baseline dilated.safetensors
    python benchmarks/lifter.py --data MOCAP --minutes 15                     # trains both, each for so long
    python benchmarks/lifter.py --data MOCAP --baseline dilated-81 dilated-243

What is not a file is the name of a network, and is trained first: with the same preset, data, cameras, noise, budget and seed.
A benchmark that is stopped goes on from its checkpoints in --state. Errors are in mm; ratios below 1 are in our favour, but for
the speed. Conditions are those of `stpose evaluate lifter`; "hidden" is the error of the hidden joints alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from stpose_training.conditions import DISTANCES, OCCLUSION, PLAIN, TEMPOS, Condition, takes
from stpose_training.data.mocap import load_mocap
from stpose_training.evaluate import Measures, Report, evaluate, some
from stpose_training.lifter import train
from stpose_training.loop import make_fabric
from stpose_training.recipe import load_plan

from stpose_core.data import Keypoints
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift.torch_network import torch_lifter

_MASKED = ("30 % of joints", "one limb, 30 frames", "person, 10 frames")
TABLES: dict[str, tuple[Condition, ...]] = {
    "accuracy": (PLAIN,),
    "occlusion": tuple(condition for condition in OCCLUSION if condition.name in _MASKED),
    "distance": DISTANCES,
    "tempo": TEMPOS,
}
_ERRORS = {"MPJPE": "mpjpe", "PA-MPJPE": "pa_mpjpe", "MPJVE": "velocity", "acceleration": "acceleration"}


def weights_of(what: str, options: argparse.Namespace) -> Path:
    """The file, or the network of that name after its training."""
    if what.endswith(".safetensors"):
        return Path(what)
    plan = load_plan(options.preset, what, steps=options.steps, minutes=options.minutes, seed=options.seed)
    plan = replace(plan, recipe=replace(plan.recipe, threads=options.threads))
    folder = Path(options.state)
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{what}.safetensors"
    print(f"training {what}", flush=True)
    train(options.data, output=out, plan=plan, state=folder / what, fabric=make_fabric(options.device, plan.recipe.precision))
    return out


def speeds(lifters: Sequence[Lifter], keypoints: Keypoints, rounds: int) -> list[float]:
    """Frames/s of each lifter on the same clip, in turns; the median of the rounds."""
    for lifter in lifters:
        lifter(keypoints)
    taken: list[list[float]] = [[] for _ in lifters]
    for _ in range(rounds):
        for lifter, seconds in zip(lifters, taken):
            began = time.perf_counter()
            lifter(keypoints)
            seconds.append(time.perf_counter() - began)
    return [len(keypoints) / median(seconds) for seconds in taken]


def long_clip(data: Path, frames: int) -> Keypoints:
    """Keypoints of validation clips, one after the other, again and again, up to so many frames."""
    found = [take.keypoints for take in takes(some(load_mocap(data, "free", "validation"), 8), PLAIN)]
    xy, score = np.concatenate([k.xy for k in found]), np.concatenate([k.score for k in found])
    again = -(-frames // len(xy))
    first = found[0]
    return Keypoints(
        np.tile(xy, (again, 1, 1))[:frames], np.tile(score, (again, 1))[:frames], 30.0, first.image_size, first.skeleton
    )


def spread(rows: dict[str, Measures]) -> float:
    """The worst MPJPE of a range over that of its middle row."""
    values = [row.mpjpe for row in rows.values()]
    return max(values) / values[len(values) // 2]


def rows_of(report: Report) -> dict[str, float]:
    """Every line of the table: what it says, and the figure."""
    rows: dict[str, float] = {}
    for name, tables in report.measures.items():
        plain = tables["accuracy"][PLAIN.name]
        rows |= {f"{name}: {title}": float(getattr(plain, error)) for title, error in _ERRORS.items()}
        for condition, measured in tables["occlusion"].items():
            rows[f"{name}: MPJPE, {condition}"] = measured.mpjpe
            rows[f"{name}: MPJPE, {condition}, hidden"] = measured.masked
            rows[f"{name}: MPJPE, {condition} / plain"] = measured.mpjpe / plain.mpjpe
        rows[f"{name}: MPJPE, worst distance / middle"] = spread(tables["distance"])
        rows[f"{name}: MPJPE, worst tempo / middle"] = spread(tables["tempo"])
    first, other = (tables["accuracy"][PLAIN.name].mpjpe for tables in report.measures.values())
    rows["MPJPE, HDM05 / CMU validation"] = other / first
    return rows


def table(names: Sequence[str], columns: Sequence[dict[str, float]]) -> str:
    """Markdown: a line for each figure of ours, of each other lifter, and the ratio of ours to it."""
    head = ["", *names, *(f"{names[0]} / {name}" for name in names[1:])]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row, ours in columns[0].items():
        others = [column[row] for column in columns[1:]]
        digits = 0 if "frames/s" in row else 2
        figures = [f"{value:.{digits}f}" for value in (ours, *others)]
        lines.append("| " + " | ".join([row, *figures, *(f"{ours / value:.3f}" for value in others)]) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is to be trained, judge all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ours", default="multi-stride", help="a .safetensors file, or the network to train")
    parser.add_argument("--baseline", nargs="+", default=["dilated-81"], help="files, or dilated-81 and dilated-243")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--state", default="runs/benchmark")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--refine", action="store_true", help="of all: fit lifted joints to the 2D ones, as stpose mocap does")
    parser.add_argument("--clips", type=int, help="clips of each set; all if it is not given")
    parser.add_argument("--frames", type=int, default=9000, help="length of the clip that the speed is measured on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    names = [options.ours, *options.baseline]
    files = [weights_of(what, options) for what in names]
    torch.set_num_threads(options.threads)
    lifters = [load_lifter(file, options.device) for file in files]
    columns = [
        rows_of(evaluate(lifter, options.data, most=options.clips, tables=TABLES, refined=options.refine)) for lifter in lifters
    ]
    rates = speeds(lifters, long_clip(options.data, options.frames), options.rounds)
    for column, file, rate in zip(columns, files, rates):
        column["lifting, frames/s"] = rate
        column["parameters, millions"] = sum(p.numel() for p in torch_lifter(file).network.module.parameters()) / 1e6
    print(table([Path(name).stem for name in names], columns))
    if options.json:
        options.json.write_text(json.dumps(dict(zip(names, columns)), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
