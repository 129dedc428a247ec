"""What ablation benchmarks share: rows are trained over several seeds, once each, and printed as a table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev

import torch

from stpose_core.files import written_whole

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One line of a table. title: printed. recipe, dimensions: what differs from the first row. footage: whether footage joins
    in."""

    title: str
    recipe: Mapping[str, object] = field(default_factory=dict)
    dimensions: Mapping[str, object] = field(default_factory=dict)
    footage: bool = False


@dataclass(frozen=True)
class Job:
    """The run of one row and seed. key: everything that decides its figures. state: its folder. train: makes `weights`; skipped if
    the figures of the same key are there. judge: the figures of `weights`."""

    key: Mapping[str, object]
    state: Path
    train: Callable[[], None]
    judge: Callable[[], Figures]


def parser_of(description: str | None, rows: Mapping[str, Row], state: str) -> argparse.ArgumentParser:
    """A parser with the options that all ablations have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(rows), help="all by default")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each row")
    parser.add_argument("--dimensions", help="JSON: dimensions that differ from those of the first row")
    parser.add_argument("--state", type=Path, default=Path("runs") / state)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures of each run to a file as well")
    return parser


def figures_of(name: str, seed: int, job: Job) -> Figures:
    """The figures of a run; trained and judged unless a file of its folder holds them."""
    kept = job.state / f"{name}.json"
    # As text, because lists read from a file are tuples in the key.
    key = json.dumps(job.key, sort_keys=True)
    if kept.is_file():
        saved = json.loads(kept.read_text(encoding="utf-8"))
        if saved["key"] == key:
            figures: Figures = saved["figures"]
            return figures
    print(f"{name}, seed {seed}: training", flush=True)
    job.state.mkdir(parents=True, exist_ok=True)
    job.train()
    figures = job.judge()
    with written_whole(kept, overwrite=True) as part:
        part.write_text(json.dumps({"key": key, "figures": figures}, indent=1), encoding="utf-8")
    return figures


def run_rows(
    rows: Mapping[str, Row],
    options: argparse.Namespace,
    job_of: Callable[[str, int], Job],
    shown: Callable[[str], bool] = lambda column: True,
) -> None:
    """Does all runs that are not done, and prints the table after each seed. Rows with footage are left out if there is none.

    options: of `parser_of`, and `footage`. job_of: the run of a row and a seed. shown: whether a column is in the table.
    """
    torch.set_num_threads(options.threads)
    chosen = options.rows or [name for name, row in rows.items() if options.footage or not row.footage]
    found: dict[str, dict[int, Figures]] = {}
    for seed in range(options.seeds):
        for name in chosen:
            found.setdefault(name, {})[seed] = figures_of(name, seed, job_of(name, seed))
            if options.json:
                content = {row: {"row": asdict(rows[row]), "seeds": seeds} for row, seeds in found.items()}
                with written_whole(options.json, overwrite=True) as part:
                    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        print(table(rows, found, shown), flush=True)


def check_footage(parser: argparse.ArgumentParser, options: argparse.Namespace, rows: Mapping[str, Row]) -> None:
    """Ends with an error if a row is asked for that needs footage, and there is none."""
    if not options.footage and any(rows[name].footage for name in options.rows or ()):
        parser.error("the row 'footage' needs --footage")


def table(rows: Mapping[str, Row], found: Mapping[str, Mapping[int, Figures]], shown: Callable[[str], bool]) -> str:
    """Markdown: a line a row, with mean and standard deviation over its seeds."""
    columns = [name for name in next(iter(next(iter(found.values())).values())) if shown(name)]
    lines = ["| | seeds | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 2)]
    for name, seeds in found.items():
        cells = []
        for column in columns:
            values = [figures[column] for figures in seeds.values()]
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.1f}{spread}")
        lines.append(f"| {rows[name].title} | {len(seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
