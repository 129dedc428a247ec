"""What the commands of training share: options as one object, kinds of paths, and the device."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from stpose_core.errors import TrainingError

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
ANY = click.Path(path_type=Path)
DEVICE = click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
THREADS = click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: 1, with CUDA all]")
CACHE = click.option("--cache", required=True, metavar="FOLDER", type=FOLDER, help="Rendered pictures.")

Options = TypeVar("Options")
Recipe = TypeVar("Recipe")

_CUDA_BATCH = 256


def into(kind: Callable[..., Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Decorator: click's options become the fields of one object, which the command receives."""

    def decorated(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def called(**options: object) -> None:
            command(kind(**options))

        return called

    return decorated


def choose_place(device: str, threads: int | None) -> tuple[str, int]:
    """The device, "cpu" or "cuda", and the number of threads, which torch is set to.

    Raises TrainingError if CUDA is asked for and missing.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise TrainingError("cannot use 'cuda': there is no CUDA device")
    place = "cuda" if there and device != "cpu" else "cpu"
    count = threads or (os.cpu_count() or 1 if place == "cuda" else 1)
    torch.set_num_threads(count)
    return place, count


def adjusted(recipe: Recipe, place: str, **given: object) -> Recipe:
    """A recipe with the fields that are not None; with CUDA, batches of 256 unless another size is given."""
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if place == "cuda":
        fields.setdefault("batch", _CUDA_BATCH)
    return replace(recipe, **fields)  # type: ignore[type-var]


def workers_for(given: int | None, place: str, footage: Path | None) -> int | None:
    """Processes that draw samples: with CUDA, most cores of this process, of which footage gets a third."""
    if given is not None or place != "cuda":
        return given
    spare = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 2
    return max(1, spare * 2 // 3 if footage else spare)


def check_footage(folder: Path | None) -> None:
    """Raises TrainingError if the folder is missing. It is read only after half of a run."""
    if folder is not None and not folder.is_dir():
        raise TrainingError(f"there is no folder {folder}")
