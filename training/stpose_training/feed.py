"""Training batches, drawn ahead of the steps that use them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import count

from stpose_core.errors import TrainingError
from stpose_training.data.bodies import Random
from stpose_training.data.footage import FootageBank, draw_seen
from stpose_training.data.mocap import MotionBank
from stpose_training.data.samples import Batch, draw_batch
from stpose_training.recipe import Recipe


def feed(
    bank: MotionBank,
    recipe: Recipe,
    reach: int,
    first: int,
    severity: Callable[[int], float],
    rank: int = 0,
    world: int = 1,
    maps: bool = False,
    footage: FootageBank | None = None,
) -> Generator[Batch, None, None]:
    """The batches of step `first` and of all after it, drawn in a thread. Each step has its own seed: a resumed run sees the same.

    reach: frames that the network needs on each side; more are drawn if the recipe says so, and cut off. severity: of a step.
    rank, world: this process and how many there are; each draws its own part of the batch. maps: with heat maps, of the same
    samples. footage: 2D-only clips, which get their share of it. Ends when it is closed.
    """
    if recipe.batch % world:
        raise TrainingError(f"a batch of {recipe.batch} cannot be shared evenly by {world} processes")
    size = recipe.batch // world
    ready: queue.Queue[Batch | Exception] = queue.Queue(maxsize=3)
    stop = threading.Event()
    drawn = max(reach, recipe.reach)
    unlabelled = min(size - 1, round(recipe.footage * size)) if footage else 0

    def put(item: Batch | Exception) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def draw() -> None:
        try:
            for step in count(first):
                random = Random((recipe.seed * 1_000_003 + step) * world + rank, bank.frames.device)
                labelled = size - unlabelled
                batch = draw_batch(
                    bank,
                    labelled,
                    recipe.frames,
                    drawn,
                    random,
                    severity(step),
                    recipe.masked,
                    maps,
                    recipe.confused,
                    recipe.recorded,
                )
                batch = batch.narrowed(drawn - reach)
                if footage and unlabelled:
                    seen = draw_seen(footage, unlabelled, recipe.frames, reach, random, severity(step), recipe.masked)
                    batch = replace(batch, seen=seen)
                put(batch)
                if stop.is_set():
                    return
        except Exception as error:
            put(error)  # raised again where the batch is awaited

    worker = threading.Thread(target=draw, daemon=True)
    worker.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        worker.join()  # an interpreter that ends while a thread computes is aborted
