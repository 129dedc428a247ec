"""What each part of the spatial network's training is worth: the same network trained with and without it, over several seeds.

    python benchmarks/spatial_ablations.py --cache CACHE                            # every row that needs no footage
    python benchmarks/spatial_ablations.py --cache CACHE --rows full single         # some rows
    python benchmarks/spatial_ablations.py --cache CACHE --footage FOLDER --videos VIDEOS
    python benchmarks/spatial_ablations.py --cache CACHE --start FILE --rows full footage --footage FOLDER --videos VIDEOS

With --start all rows start from a weights file: a network that finds no people yet learns nothing from real people.
All rows see the same number of samples. Every run has its own folder in --state, so a benchmark that was stopped resumes and
finished runs are not repeated; --json holds the figures so far. Runs are much shorter than those of weights that ship: the
differences matter, not the figures. Those are shares of joints found within a fifth of the torso's length, in per cent: of visible
and of hidden joints of held-out rendered people, of those with others beside them, and with --videos on real footage with a
reference.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from ablating import Figures, Job, Row, check_footage, parser_of, run_rows
from stpose_training.loop import make_fabric
from stpose_training.spatial.measure import Truth, footage_truth, judge, rendered_truth
from stpose_training.spatial.recipe import Recipe, SpatialPaths
from stpose_training.spatial.run import train

from stpose_core.detect.networks import load_spatial
from stpose_core.networks.configs import PRESETS, SpatialConfig

SHOWN = {"visible": "rendered, visible", "hidden": "rendered, hidden", "with_others": "rendered, with others"}

ROWS = {
    "full": Row("full: four scales, half size first, half of the pictures recomposed, rendered people alone"),
    "single": Row("one scale, as deep as one module", dimensions={"modules": ()}),
    "footage": Row("with real people without labels", footage=True),
    "nobody": Row("without other people beside the subject", {"others": False}),
    "rendered": Row("pictures as they were rendered", {"recomposed": 0.0}),
    "hard": Row("as difficult from the first sample as at the end", {"hardening": 0.0}),
    "fine": Row("full size throughout (about twice the time)", {"coarse": 0.0}),
}


def plan_of(row: Row, seed: int, options: argparse.Namespace) -> tuple[SpatialConfig, Recipe]:
    """Network and recipe of one run: the defaults with what the row changes."""
    own = json.loads(options.dimensions) if options.dimensions else {}
    config = SpatialConfig.from_dict({**PRESETS["small"].to_dict(), **own, **row.dimensions})
    length = options.samples
    recipe = Recipe(
        samples=length,
        batch=options.batch,
        seed=seed,
        threads=options.threads,
        rate=options.rate,
        warmup=length // 10,
        ema=length // 10,
        judge_every=length,
    )
    recipe = recipe.continued() if options.start else recipe
    return config, replace(recipe, **row.recipe)  # type: ignore[arg-type]


def judged(weights: Path, truths: Mapping[str, Truth]) -> Figures:
    """Figures of one network, in per cent."""
    network = load_spatial(weights)[0]
    figures: Figures = {}
    for title, truth in truths.items():
        found = judge(network, truth, torch.device("cpu"))
        shown = {words: found[group] for group, words in SHOWN.items() if group in found} or {title: found["pck"]}
        figures |= {words: 100 * value for words, value in shown.items()}
    return figures


def job_of(name: str, seed: int, options: argparse.Namespace, truths: Mapping[str, Truth]) -> Job:
    """The run of one row and seed."""
    row = ROWS[name]
    config, recipe = plan_of(row, seed, options)
    state = options.state / f"{name}-{seed}"
    paths = SpatialPaths(
        cache=options.cache,
        output=state / "spatial.safetensors",
        state=state,
        start=options.start,
        footage=options.footage if row.footage else None,
    )

    def trained() -> None:
        train(paths, config=config, recipe=recipe, fabric=make_fabric("cpu", recipe.precision), say=lambda line: None)

    key = {**asdict(recipe), **config.to_dict(), "footage": row.footage, "sets": sorted(truths), "start": str(options.start or "")}
    del key["threads"]
    return Job(key, state, trained, lambda: judged(paths.output, truths))


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all runs that are not done, and print the table after each seed."""
    parser = parser_of(__doc__, ROWS, "spatial_ablations")
    parser.add_argument("--cache", type=Path, required=True, help="folder of rendered pictures")
    parser.add_argument("--footage", type=Path, help="clips and photographs without labels, for the row of that name")
    parser.add_argument("--videos", type=Path, help="folder with balance/reference.npz, to measure on as well")
    parser.add_argument("--start", type=Path, help="weights that all rows start from")
    parser.add_argument("--samples", type=int, default=40_000, help="of each run")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    options = parser.parse_args(arguments)
    check_footage(parser, options, ROWS)
    size = plan_of(ROWS["full"], 0, options)[0].size
    truths = {"rendered": rendered_truth(options.cache, size)}
    truths |= footage_truth(options.videos, size) if options.videos else {}
    run_rows(ROWS, options, lambda name, seed: job_of(name, seed, options, truths))


if __name__ == "__main__":
    main()
