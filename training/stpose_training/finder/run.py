"""Trains the finder on a folder of rendered frames (`stpose train finder`); it goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stpose_core.networks.finder import FinderConfig, FinderNetwork
from stpose_training.finder.feed import feed_frames
from stpose_training.finder.losses import finder_loss
from stpose_training.finder.measure import held_out_frames, judge_finder
from stpose_training.spatial.recipe import Recipe
from stpose_training.spatial.run import Run, begun, run_through

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class FinderRun(Run):
    """All that changes in training."""

    kind = "finder"

    @staticmethod
    def built(config: Any) -> nn.Module:
        return FinderNetwork(config)

    def losses(self, batch: Any, seen: Any) -> tuple[Tensor, dict[str, float]]:
        return finder_loss(self._model(batch.pictures), batch)


def train_finder(
    cache: Path, output: Path, recipe: Recipe, state: Path, fabric: Fabric, say: Callable[[str], None] = print,
    config: FinderConfig | None = None, start: Path | None = None,
) -> None:  # fmt: skip
    """Does a run or goes on with it.

    cache: folder of rendered frames, which may grow meanwhile. output: the weights file (averaged, fp16), written at every
    measurement. state: folder of the checkpoint and the log. config: other dimensions than usual. start: weights to begin with
    instead of random ones.
    """
    torch.set_num_threads(recipe.threads)
    state.mkdir(parents=True, exist_ok=True)
    frames = held_out_frames(cache) if fabric.global_rank == 0 else []
    run = FinderRun(config or FinderConfig(), recipe, fabric, state / "checkpoint.pt", start)
    share = max(1, recipe.batch // fabric.world_size)
    samples = feed_frames(cache, share, run.draws(), recipe.threads, fabric.device)
    journal = begun(run, state, say)
    try:
        run_through(run, samples, lambda: {"rendered": judge_finder(run.averaged, frames, fabric.device)}, output, journal)
    finally:
        if journal:
            journal.close()
