"""What each part of the spatial network's training is worth: the same network trained with and without it, over several seeds.

    python benchmarks/spatial_ablations.py --cache CACHE                            # every row that needs no footage
    python benchmarks/spatial_ablations.py --cache CACHE --rows full single         # some rows
    python benchmarks/spatial_ablations.py --cache CACHE --footage FOLDER --videos VIDEOS
    python benchmarks/spatial_ablations.py --cache CACHE --start FILE --rows full footage --footage FOLDER --videos VIDEOS

With --start all rows go on from a weights file: a network that finds nobody yet learns nothing from real people.
All rows see the same number of samples. Every run has a folder of its own in --state: a benchmark that is stopped goes on where it
was, runs that are finished are not repeated, and --json holds what there is so far. Runs are much shorter than those of weights
that ship: the differences are meant, not the figures. Those are shares of joints found within a fifth of the torso's length, in
per cent: of visible and of hidden joints of held-out rendered people, of those with others beside them, and with --videos on real
footage of which the truth is known.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev

import torch
from stpose_training.lifter import make_fabric
from stpose_training.spatial.measure import Truth, footage_truth, judge, rendered_truth
from stpose_training.spatial.recipe import Recipe
from stpose_training.spatial.run import train

from stpose_core.detect.networks import load_spatial
from stpose_core.files import written_whole
from stpose_core.networks.spatial import PRESETS, SpatialConfig

SHOWN = {"visible": "rendered, visible", "hidden": "rendered, hidden", "with_others": "rendered, with others"}


@dataclass(frozen=True)
class Row:
    """One line of the table. recipe, dimensions: what is other than in the first row. footage: real people join in."""

    says: str
    recipe: Mapping[str, object] = field(default_factory=dict)
    dimensions: Mapping[str, object] = field(default_factory=dict)
    footage: bool = False


ROWS = {
    "full": Row("full: four scales, half size first, half of the pictures recomposed, rendered people alone"),
    "single": Row("one scale, as deep as one module", dimensions={"modules": ()}),
    "footage": Row("with real people without labels", footage=True),
    "nobody": Row("without other people beside the subject", {"others": False}),
    "rendered": Row("pictures as they were rendered", {"recomposed": 0.0}),
    "hard": Row("as hard from the first sample as at the end", {"hardening": 0.0}),
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
    recipe = recipe.going_on() if options.start else recipe
    return config, replace(recipe, **row.recipe)  # type: ignore[arg-type]


def run(name: str, seed: int, options: argparse.Namespace, truths: Mapping[str, Truth]) -> dict[str, float]:
    """The figures of one row and seed, in per cent; trained and judged where that has not been done."""
    row = ROWS[name]
    config, recipe = plan_of(row, seed, options)
    state = options.state / f"{name}-{seed}"
    weights, kept = state / "spatial.safetensors", state / "figures.json"
    plan = {**asdict(recipe), **config.to_dict(), "footage": row.footage, "sets": sorted(truths), "start": str(options.start or "")}
    del plan["threads"]
    # As text, for what comes back from a file has lists for tuples.
    key = json.dumps(plan, sort_keys=True)
    if kept.is_file():
        saved = json.loads(kept.read_text(encoding="utf-8"))
        if saved["key"] == key:
            figures: dict[str, float] = saved["figures"]
            return figures
    print(f"{name}, seed {seed}: training", flush=True)
    state.mkdir(parents=True, exist_ok=True)
    fabric = make_fabric("cpu", recipe.precision)
    footage = options.footage if row.footage else None
    train(options.cache, weights, config, recipe, state, fabric, None, lambda line: None, footage, options.start)
    network, figures = load_spatial(weights)[0], {}
    for title, truth in truths.items():
        found = judge(network, truth, torch.device("cpu"))
        shown = {words: found[group] for group, words in SHOWN.items() if group in found} or {title: found["pck"]}
        figures |= {words: 100 * value for words, value in shown.items()}
    with written_whole(kept, overwrite=True) as part:
        part.write_text(json.dumps({"key": key, "figures": figures}, indent=1), encoding="utf-8")
    return figures


def table(found: Mapping[str, Mapping[int, Mapping[str, float]]]) -> str:
    """Markdown: a line a row, with mean and standard deviation over its seeds."""
    columns = list(next(iter(next(iter(found.values())).values())))
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
    parser.add_argument("--cache", type=Path, required=True, help="folder of rendered pictures")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), help="all if none is named")
    parser.add_argument("--footage", type=Path, help="clips and photographs without labels, for the row of that name")
    parser.add_argument("--videos", type=Path, help="folder with balance/reference.npz, to measure on as well")
    parser.add_argument("--start", type=Path, help="weights that all rows go on from")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each row")
    parser.add_argument("--samples", type=int, default=40_000, help="of each run")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--dimensions", help="JSON: other dimensions than those of the preset small")
    parser.add_argument("--state", type=Path, default=Path("runs/spatial_ablations"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures of each run to a file, too")
    options = parser.parse_args(arguments)
    if options.footage is None and any(ROWS[name].footage for name in options.rows or ()):
        parser.error("the row 'footage' needs --footage")
    torch.set_num_threads(options.threads)
    rows = options.rows or [name for name, row in ROWS.items() if options.footage or not row.footage]
    size = plan_of(ROWS["full"], 0, options)[0].size
    truths = {"rendered": rendered_truth(options.cache, size)}
    truths |= footage_truth(options.videos, size) if options.videos else {}
    found: dict[str, dict[int, dict[str, float]]] = {}
    for seed in range(options.seeds):
        for name in rows:
            found.setdefault(name, {})[seed] = run(name, seed, options, truths)
            if options.json:
                content = {row: {"row": asdict(ROWS[row]), "seeds": seeds} for row, seeds in found.items()}
                with written_whole(options.json, overwrite=True) as part:
                    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        print(table(found), flush=True)


if __name__ == "__main__":
    main()
