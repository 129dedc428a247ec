"""What each part of the method is worth: the same small network trained with and without it, over several seeds.

    python benchmarks/ablations.py --data MOCAP                       # every row, three seeds
    python benchmarks/ablations.py --data MOCAP --rows full critic    # some rows
    python benchmarks/ablations.py --data MOCAP --footage CLIPS       # with a row for .npz files of stpose mocap that join in

All rows get the same number of samples, drawn from the same numbers. Joints are the peaks of the heat maps that the row of that
name reads. Every run has a folder of its own in --state: a benchmark that is stopped goes on where it was, runs that are finished
are not repeated, and --json holds what there is so far. Networks are a quarter as large as those that ship, so that a run costs
minutes: the differences are meant, not the errors. Errors are in mm, under conditions of `stpose evaluate`, on clips evenly
spread over people whom training never sees.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from stpose_training.conditions import OCCLUSION, PLAIN
from stpose_training.data.mocap import load_mocap
from stpose_training.evaluate import SETS, lift, measure, some
from stpose_training.lifter import make_fabric, train
from stpose_training.recipe import Plan, load_plan

from stpose_core.files import written_whole
from stpose_core.lift import load_lifter

CONDITIONS = (PLAIN, next(condition for condition in OCCLUSION if condition.name == "30 % of joints"))
SMALL: dict[str, object] = {"latent": 256, "width": 128}
PROJECTIVE: dict[str, object] = {"output": "projective", "place_window": 2}


@dataclass(frozen=True)
class Row:
    """One line of the table. recipe, dimensions: what is other than in the first row. maps: judged on heat maps. footage: 2D-only
    clips join in. trained: the row whose weights are judged, if not its own."""

    says: str
    recipe: Mapping[str, object] = field(default_factory=dict)
    dimensions: Mapping[str, object] = field(default_factory=dict)
    maps: bool = False
    footage: bool = False
    trained: str = ""


ROWS = {
    "full": Row("full: the plain preset, small"),
    "projective": Row("metres by way of the picture, not from the last layer", dimensions=PROJECTIVE),
    "steady": Row("no dropout", dimensions={"dropout": 0.0}),
    "window": Row("the output averaged over five frames", dimensions={"output_window": 2}),
    "critic": Row("critic on, weight 0.01", {"critic": 0.01}),
    "single": Row("single stride 8 (129 frames), wider: as many weights", dimensions={"strides": [8], "width": 256}),
    "unmasked": Row("no occlusion training", {"masked": 0.0}),
    "unflagged": Row("no visibility channel: neither scores nor flags", dimensions={"visibility": False}),
    "footage": Row("2D-only clips are a quarter of each batch", footage=True),
    "maps": Row("heat maps in the place of their peaks", dimensions={"inputs": "heatmaps"}, maps=True),
    "drawn": Row("the same weights, on maps drawn of the joints", trained="maps"),
}


def plan_of(row: Row, seed: int, options: argparse.Namespace) -> Plan:
    """The plan of one run: the plain preset, small, with what the row changes."""
    changes: dict[str, Any] = {"steps": options.steps, "minutes": options.minutes, "seed": seed, "threads": options.threads}
    changes |= {"batch": options.batch, "judged": 1, "evaluate_every": 100, "checkpoint_every": 100, **row.recipe}
    plan = load_plan("plain", **changes)
    own = json.loads(options.dimensions) if options.dimensions else {}
    return replace(plan, dimensions={**plan.dimensions, **SMALL, **own, **row.dimensions})


def judge(weights: Path, maps: bool, data: Path, clips: int) -> dict[str, float]:
    """Figures of one lifter, in mm."""
    lifter = load_lifter(weights)
    figures = {}
    for name, which in SETS.items():
        chosen = some(load_mocap(data, *which), clips)
        for condition in CONDITIONS:
            measured = measure(lift(lifter, chosen, condition, maps))
            for title, value in (
                ("MPJPE", measured.mpjpe),
                ("PA-MPJPE", measured.pa_mpjpe),
                ("acceleration", measured.acceleration),
            ):
                figures[f"{name}, {condition.name}: {title}"] = value
    return figures


def run(name: str, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """The figures of one row and seed; trained and judged where that has not been done."""
    row = ROWS[name]
    source = row.trained or name
    plan = plan_of(ROWS[source], seed, options)
    state = options.state / f"{source}-{seed}"
    weights, kept = state / "lifter.safetensors", state / f"{name}.json"
    films = options.footage if row.footage else ()
    # As text, for what comes back from a file has lists for tuples.
    key = json.dumps({**plan.identity(), "clips": options.clips, "maps": row.maps, "films": len(films)}, sort_keys=True)
    if kept.is_file():
        saved = json.loads(kept.read_text(encoding="utf-8"))
        if saved["key"] == key:
            figures: dict[str, float] = saved["figures"]
            return figures
    print(f"{name}, seed {seed}: training", flush=True)
    state.mkdir(parents=True, exist_ok=True)
    train(options.data, weights, plan, state, make_fabric("cpu", plan.recipe.precision), lambda line: None, films)
    figures = judge(weights, row.maps, options.data, options.clips)
    with written_whole(kept, overwrite=True) as part:
        part.write_text(json.dumps({"key": key, "figures": figures}, indent=1), encoding="utf-8")
    return figures


def table(found: Mapping[str, Mapping[int, Mapping[str, float]]]) -> str:
    """Markdown: a line a row, with mean and standard deviation over its seeds."""
    columns = [name for name in next(iter(next(iter(found.values())).values())) if "MPJPE" in name]
    lines = ["| | seeds | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 2)]
    for name, seeds in found.items():
        cells = []
        for column in columns:
            values = [figures[column] for figures in seeds.values()]
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.1f}{spread}")
        lines.append(f"| {ROWS[name].says} | {len(seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all runs that are not done, and print the table after each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), help="all if none is named")
    parser.add_argument("--footage", nargs="*", type=Path, default=[], help="2D-only clips, for the row of that name")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each row")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--minutes", type=float, help="of each run, by the clock, in the place of --steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dimensions", help="JSON: other dimensions than those of the first row")
    parser.add_argument("--clips", type=int, default=10, help="clips of each set")
    parser.add_argument("--state", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures of each run to a file, too")
    options = parser.parse_args(arguments)
    if not options.footage and any(ROWS[name].footage for name in options.rows or ()):
        parser.error("the row 'footage' needs --footage")
    torch.set_num_threads(options.threads)
    rows = options.rows or [name for name, row in ROWS.items() if options.footage or not row.footage]
    found: dict[str, dict[int, dict[str, float]]] = {}
    for seed in range(options.seeds):
        for name in rows:
            found.setdefault(name, {})[seed] = run(name, seed, options)
            if options.json:
                content = {row: {"row": asdict(ROWS[row]), "seeds": seeds} for row, seeds in found.items()}
                with written_whole(options.json, overwrite=True) as part:
                    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        print(table(found), flush=True)


if __name__ == "__main__":
    main()
