"""Trains the spatial network on rendered pictures (`stpose train spatial`), labelled photographs and real people without labels."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stpose_core.networks.configs import SpatialConfig
from stpose_core.networks.spatial import SpatialNetwork, SpatialOutput
from stpose_training.journal import Journal
from stpose_training.spatial.crops import Crops, people_in
from stpose_training.spatial.feed import Batch, Source, feed
from stpose_training.spatial.footage import Pairs, pairs, pseudo_labels
from stpose_training.spatial.losses import place_loss, spatial_loss
from stpose_training.spatial.measure import Truth, footage_truth, judge, rendered_truth
from stpose_training.spatial.oks import judge_photos, kept_apart
from stpose_training.spatial.recipe import Recipe, SpatialPaths
from stpose_training.synth.pictures import VISIBLE
from stpose_training.vision.labelled import prepare
from stpose_training.vision.run import Measures, PictureRun, begun, run_through

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Step = tuple[Batch, "Pairs | None"]
"""What a step learns from: labelled samples, rendered or photographs, and people of footage from the time they join in."""


class Run(PictureRun):
    """The state of training."""

    kind = "spatial"
    recipe: Recipe
    paths: SpatialPaths

    @staticmethod
    def built(config: Any) -> nn.Module:
        return SpatialNetwork(config)

    def count(self, batch: Step) -> int:
        return len(batch[0].pictures)

    def hardness(self) -> float:
        """0..1 difficulty of samples at this point of the run."""
        return self.recipe.hardness(self.seen)

    def losses(self, batch: Step) -> tuple[Tensor, dict[str, float]]:
        recipe, (labelled, seen) = self.recipe, batch
        count = len(labelled.pictures)
        # One pass for both, so that norms that are not held see rendered and real people together.
        output = self._model(labelled.pictures if seen is None else torch.cat((labelled.pictures, seen.changed)))
        own = SpatialOutput(output.maps[:count], output.hidden[:count])
        loss, parts = spatial_loss(own, labelled, recipe)
        if seen is not None:
            with self.fabric.autocast():
                labels = pseudo_labels(self._teacher, seen, recipe.trust)
            footage = place_loss(output.maps[count:], labels, recipe.sigma, recipe.hidden)
            loss = loss + recipe.unlabelled * footage
            share = (labels.state == VISIBLE).float().mean()
            parts |= {"footage": float(footage.detach()), "pseudo_labels": float(share)}
        return loss, parts


def train(
    paths: SpatialPaths, *, config: SpatialConfig, recipe: Recipe, fabric: Fabric, say: Callable[[str], None] = print
) -> None:
    """Starts or resumes a run. config: dimensions of the network."""
    torch.set_num_threads(recipe.threads)
    torch.backends.cudnn.benchmark = True  # all pictures have one size
    chief = fabric.global_rank == 0
    paths.state.mkdir(parents=True, exist_ok=True)
    photos = paths.state / "labelled" if paths.labelled else None
    if chief:
        rendered_truth(paths.cache, config.size, most=1)  # what is missing is reported before anything begins
        if paths.labelled and photos:
            prepare(paths.labelled, photos, say)
    run = Run(config, recipe, fabric, paths)
    journal = begun(run, say)
    try:
        while not run.finished:
            size = recipe.size(run.seen, config.size)
            people = None
            if paths.footage is not None and recipe.joined(run.seen):
                search: dict[str, Any] = {"kept": paths.state / "footage.npz", "network": run.averaged, "size": size}
                search |= {"device": fabric.device, "say": say}
                if chief:
                    people_in(paths.footage, **search)
                fabric.barrier()
                people = people_in(paths.footage, **search)
            _train_at(run, Source(paths.cache, size, photos), journal, people)
    finally:
        if journal:
            journal.close()


def _train_at(run: Run, source: Source, journal: Journal | None, people: Crops | None) -> None:
    """Trains until the recipe asks for another size, for footage, or the run is finished. Measures at the size of training."""
    recipe, fabric, full, size = run.recipe, run.fabric, run.config.size, source.size
    sets: dict[str, Truth] = {}
    if journal:
        videos = run.paths.videos
        sets = {"rendered": rendered_truth(source.cache, size), **(footage_truth(videos, size) if videos else {})}
    photos = kept_apart(source.photos, size) if journal and source.photos else None
    share = max(1, recipe.batch // fabric.world_size)
    seed = run.draws()
    asked = size, recipe.joined(run.seen)

    def batches() -> Generator[Step, None, None]:
        unlabelled = max(1, round(share * recipe.unlabelled))
        samples = feed(source, batch=share, seed=seed, device=fabric.device, recipe=recipe, hardness=run.hardness)
        real = (
            pairs(people, size=size, count=unlabelled, seed=seed, device=fabric.device, workers=-(-recipe.workers // 2))
            if people
            else None
        )
        try:
            while True:
                yield next(samples), next(real) if real else None
        finally:
            samples.close()
            if real:
                real.close()

    def judged() -> Measures:
        found = {name: judge(run.averaged, truth, fabric.device) for name, truth in sets.items()}
        return found | ({"photos": judge_photos(run.averaged, photos, fabric.device)} if photos else {})

    def more() -> bool:
        return (recipe.size(run.seen, full), recipe.joined(run.seen)) == asked

    run_through(run, batches(), journal=journal, judged=judged, more=more, noted={"width": size[0], "height": size[1]})
