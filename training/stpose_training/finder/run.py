"""Trains the finder on rendered frames and labelled photographs (`stpose train finder`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stpose_core.networks.configs import FinderConfig
from stpose_core.networks.finder import FinderNetwork
from stpose_training.finder.feed import FrameBatch, feed_frames
from stpose_training.finder.losses import finder_loss
from stpose_training.finder.measure import held_out_frames, held_out_photos, judge_finder
from stpose_training.finder.recipe import Recipe
from stpose_training.vision.labelled import prepare
from stpose_training.vision.recipe import Paths
from stpose_training.vision.run import Measures, PictureRun, begun, run_through

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class FinderRun(PictureRun):
    """The state of training."""

    kind = "finder"
    recipe: Recipe

    @staticmethod
    def built(config: Any) -> nn.Module:
        return FinderNetwork(config)

    def losses(self, batch: FrameBatch) -> tuple[Tensor, dict[str, float]]:
        return finder_loss(self._model(batch.pictures), batch, self.recipe)


def train_finder(
    paths: Paths, *, recipe: Recipe, fabric: Fabric, say: Callable[[str], None] = print, config: FinderConfig | None = None
) -> None:
    """Starts or resumes a run. config: dimensions of the network; those of the built-in finder by default."""
    torch.set_num_threads(recipe.threads)
    paths.state.mkdir(parents=True, exist_ok=True)
    chief = fabric.global_rank == 0
    sets = {"rendered": held_out_frames(paths.cache)} if chief else {}
    photos = paths.state / "labelled" if paths.labelled else None
    if chief and paths.labelled and photos:
        prepare(paths.labelled, photos, say)
        sets["photos"] = held_out_photos(photos)
    run = FinderRun(config or FinderConfig(), recipe, fabric, paths)
    journal = begun(run, say)
    share = max(1, recipe.batch // fabric.world_size)
    samples = feed_frames(paths.cache, batch=share, seed=run.draws(), recipe=recipe, device=fabric.device, photos=photos)

    def judged() -> Measures:
        return {name: judge_finder(run.averaged, frames, fabric.device) for name, frames in sets.items() if frames}

    try:
        run_through(run, samples, journal=journal, judged=judged)
    finally:
        if journal:
            journal.close()
