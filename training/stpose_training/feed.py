"""Training batches of the lifter, drawn ahead of the steps that use them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from stpose_core.background import results
from stpose_core.errors import TrainingError
from stpose_training.data.bodies import Random
from stpose_training.data.footage import FootageBank, Window, draw_seen
from stpose_training.data.mocap import MotionBank
from stpose_training.data.samples import Batch, Faults, draw_batch
from stpose_training.recipe import Recipe

_AHEAD = 4  # batches


@dataclass(frozen=True)
class Source:
    """What batches are drawn from. reach: frames that the network needs on each side of an output; if the recipe asks for more,
    more are drawn and cut off. maps: whether samples have heat maps. footage: 2D-only clips, which get their share of each
    batch. causal: whether the network is."""

    bank: MotionBank
    reach: int
    maps: bool = False
    footage: FootageBank | None = None
    causal: bool = False


def feed(
    source: Source, recipe: Recipe, first: int, severity: Callable[[int], float], rank: int = 0, world: int = 1
) -> Generator[Batch, None, None]:
    """The batches of step `first` and all later steps, drawn in a thread. Each step has its own seed, so a resumed run sees the
    same.

    severity: of the occlusion at a step. rank, world: this process and the number of processes; each draws its own part of the
    batch.
    """
    if recipe.batch % world:
        raise TrainingError(f"a batch of {recipe.batch} cannot be divided evenly among {world} processes")
    seeds = ((recipe.seed * 1_000_003 + step) * world + rank for step in count(first))
    draws = (partial(_draw, source, recipe, recipe.batch // world, seed, severity, step) for step, seed in zip(count(first), seeds))
    yield from results(draws, size=_AHEAD)


def _draw(source: Source, recipe: Recipe, size: int, seed: int, severity: Callable[[int], float], step: int) -> Batch:
    random, hard = Random(seed, source.bank.frames.device), severity(step)
    drawn = max(source.reach, recipe.reach)
    unlabelled = min(size - 1, round(recipe.footage * size)) if source.footage else 0
    batch = draw_batch(
        source.bank,
        batch=size - unlabelled,
        window=Window(frames=recipe.frames, reach=drawn, causal=source.causal),
        random=random,
        faults=Faults(recipe.masked, hard, recipe.confused, recipe.overlapped),
        maps=source.maps,
        recorded=recipe.recorded,
    )
    batch = batch.narrowed(drawn - source.reach)
    if source.footage and unlabelled:
        seen = draw_seen(
            source.footage,
            batch=unlabelled,
            window=Window(frames=recipe.frames, reach=source.reach, causal=source.causal),
            random=random,
            severity=hard,
            share=recipe.masked,
        )
        batch = replace(batch, seen=seen)
    return batch
