"""Shared parts of the training commands: options as one object, path types, and the device."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from stpose_core.errors import TrainingError


class Named(click.Path):
    """The path of a file or folder. An empty one, as an unset variable of a shell gives it, would be the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name is empty; give that of a file or folder", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = Named(path_type=Path, file_okay=False)
FILE = Named(path_type=Path, dir_okay=False)
ANY = Named(path_type=Path)
NAME = Named()  # as text, with the / that ends the name of a folder
DEVICE = click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
THREADS = click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: 1, with CUDA all]")
CACHE = click.option("--cache", required=True, metavar="FOLDER", type=FOLDER, help="Rendered pictures.")

Options = TypeVar("Options")
Recipe = TypeVar("Recipe")

_CUDA_BATCH = 256


def into(kind: Callable[..., Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Decorator: collect click's options into one object, which the command receives."""

    def decorated(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def called(**options: object) -> None:
            command(kind(**options))

        return called

    return decorated


def choose_place(device: str, threads: int | None) -> tuple[str, int]:
    """The device, "cpu" or "cuda", and the number of threads. Sets torch's thread count to it.

    Raises TrainingError if CUDA is requested and not available.
    """
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise TrainingError("cannot use 'cuda': there is no CUDA device")
    place = "cuda" if available and device != "cpu" else "cpu"
    count = threads or (os.cpu_count() or 1 if place == "cuda" else 1)
    torch.set_num_threads(count)
    return place, count


def adjusted(recipe: Recipe, place: str, **given: object) -> Recipe:
    """A recipe with the given fields that are not None. With CUDA, the batch size is 256 unless given."""
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if place == "cuda":
        fields.setdefault("batch", _CUDA_BATCH)
    return replace(recipe, **fields)  # type: ignore[type-var]


def workers_for(given: int | None, place: str, footage: Path | None) -> int | None:
    """Number of processes that draw samples. With CUDA: most cores of this process; a third of them are for footage."""
    if given is not None or place != "cuda":
        return given
    spare = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 2
    return max(1, spare * 2 // 3 if footage else spare)


def check_footage(folder: Path | None) -> None:
    """Raise TrainingError if the folder is missing. It is not read before the second half of a run."""
    if folder is not None and not folder.is_dir():
        raise TrainingError(f"there is no folder {folder}")
