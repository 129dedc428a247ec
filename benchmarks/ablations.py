"""What each part of the method is worth: the same small network trained with and without it, over several seeds.

    python benchmarks/ablations.py --data MOCAP                       # every row, three seeds
    python benchmarks/ablations.py --data MOCAP --rows full critic    # some rows
    python benchmarks/ablations.py --data MOCAP --footage CLIPS       # with a row for .npz files of stpose mocap that join in

All rows get the same number of samples, drawn from the same numbers. Joints are the peaks of the heat maps that the row of that
name reads. Every run has its own folder in --state, so a benchmark that was stopped resumes and finished runs are not repeated;
--json holds the figures so far. Networks are a quarter as large as those that ship, so that a run takes minutes: the differences
matter, not the errors. Errors are in mm, under conditions of `stpose evaluate lifter`, on clips evenly spread over people whom
training never sees.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ablating import Figures, Job, Row, check_footage, parser_of, run_rows
from stpose_training.conditions import OCCLUSION, PLAIN
from stpose_training.data.mocap import load_mocap
from stpose_training.evaluate import SETS, lift, measure, some
from stpose_training.lifter import train
from stpose_training.loop import make_fabric
from stpose_training.recipe import Plan, load_plan

from stpose_core.lift import load_lifter

CONDITIONS = (PLAIN, next(condition for condition in OCCLUSION if condition.name == "30 % of joints"))
SMALL: dict[str, object] = {"latent": 256, "width": 128}
PROJECTIVE: dict[str, object] = {"output": "projective", "place_window": 2}


@dataclass(frozen=True)
class LifterRow(Row):
    """maps: judged on heat maps. trained: the row whose weights are judged, if not its own."""

    maps: bool = False
    trained: str = ""


ROWS = {
    "full": LifterRow("full: the plain preset, small"),
    "projective": LifterRow("metres from the projection, not from the last layer", dimensions=PROJECTIVE),
    "steady": LifterRow("no dropout", dimensions={"dropout": 0.0}),
    "window": LifterRow("the output averaged over five frames", dimensions={"output_window": 2}),
    "critic": LifterRow("critic on, weight 0.01", {"critic": 0.01}),
    "single": LifterRow("single stride 8 (129 frames), wider: as many weights", dimensions={"strides": [8], "width": 256}),
    "unmasked": LifterRow("no occlusion training", {"masked": 0.0}),
    "unflagged": LifterRow("no visibility channel: neither scores nor flags", dimensions={"visibility": False}),
    "footage": LifterRow("2D-only clips are a quarter of each batch", footage=True),
    "maps": LifterRow("heat maps instead of their peaks", dimensions={"inputs": "heatmaps"}, maps=True),
    "drawn": LifterRow("the same weights, on maps drawn from the joints", trained="maps"),
}


def plan_of(row: Row, seed: int, options: argparse.Namespace) -> Plan:
    """The plan of one run: the plain preset, small, with what the row changes."""
    changes: dict[str, Any] = {"steps": options.steps, "minutes": options.minutes, "seed": seed, "threads": options.threads}
    changes |= {"batch": options.batch, "judged": 1, "evaluate_every": 100, "checkpoint_every": 100, **row.recipe}
    plan = load_plan("plain", **changes)
    own = json.loads(options.dimensions) if options.dimensions else {}
    return replace(plan, dimensions={**plan.dimensions, **SMALL, **own, **row.dimensions})


def judge(weights: Path, maps: bool, data: Path, clips: int) -> Figures:
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


def job_of(name: str, seed: int, options: argparse.Namespace) -> Job:
    """The run of one row and seed."""
    row = ROWS[name]
    source = row.trained or name
    plan = plan_of(ROWS[source], seed, options)
    state = options.state / f"{source}-{seed}"
    weights = state / "lifter.safetensors"
    films = options.footage if row.footage else ()

    def trained() -> None:
        fabric = make_fabric("cpu", plan.recipe.precision)
        train(options.data, output=weights, plan=plan, state=state, fabric=fabric, say=lambda line: None, footage=films)

    key = {**plan.identity(), "clips": options.clips, "maps": row.maps, "films": len(films)}
    return Job(key, state, trained, lambda: judge(weights, row.maps, options.data, options.clips))


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all runs that are not done, and print the table after each seed."""
    parser = parser_of(__doc__, ROWS, "ablations")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--footage", nargs="*", type=Path, default=[], help="2D-only clips, for the row of that name")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--minutes", type=float, help="length of each run in minutes, instead of --steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clips", type=int, default=10, help="clips of each set")
    options = parser.parse_args(arguments)
    check_footage(parser, options, ROWS)
    run_rows(ROWS, options, lambda name, seed: job_of(name, seed, options), lambda column: "MPJPE" in column)


if __name__ == "__main__":
    main()
