"""Makes a whole built-in detector (`stpose train detector`): renders pictures, trains both networks, calibrates.

Every part resumes after a stop, so the same command resumes the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stpose_core.errors import TrainingError
from stpose_core.networks.configs import PRESETS, SpatialConfig
from stpose_core.weights import FINDER_FILE, SPATIAL_FILE
from stpose_training.detector_recipe import DetectorRecipe
from stpose_training.finder.run import train_finder
from stpose_training.spatial.calibrate import calibrate
from stpose_training.spatial.recipe import SpatialPaths
from stpose_training.spatial.run import train
from stpose_training.synth.cache import FRAMES, fill_cache, open_kit
from stpose_training.vision.recipe import Paths

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, kw_only=True)
class DetectorPaths:
    """cache: folder of rendered pictures. assets, mocap: what they are rendered from, needed once per cache. output: folder of the
    two weights files. state: folder of checkpoints and logs. footage, labelled, videos: as in `SpatialPaths`."""

    cache: Path
    output: Path
    state: Path
    assets: Path | None = None
    mocap: Path | None = None
    footage: Path | None = None
    labelled: Path | None = None
    videos: Path | None = None


def config_of(network: str) -> SpatialConfig:
    """The dimensions of a spatial network by name. Raises TrainingError if there is none of that name."""
    if network not in PRESETS:
        raise TrainingError(f"there is no spatial network '{network}'; there are {', '.join(PRESETS)}")
    return PRESETS[network]


def train_detector(paths: DetectorPaths, *, recipe: DetectorRecipe, fabric: Fabric, say: Callable[[str], None] = print) -> None:
    """Starts or resumes all parts. Processes of torchrun share the rendering as well."""
    config, wanted = config_of(recipe.network), recipe.render
    paths.output.mkdir(parents=True, exist_ok=True)
    if fabric.global_rank == 0:
        open_kit(paths.cache, paths.assets, paths.mocap)
    fabric.barrier()
    kit = open_kit(paths.cache, paths.assets, paths.mocap).to(fabric.device.type)
    for kind, count, held_out in (("", wanted.pictures, wanted.held_out), (FRAMES, wanted.frames, wanted.held_out_frames)):
        fill_cache(kit, folder=paths.cache, count=count, held_out=held_out, seed=wanted.seed, say=say, kind=kind)
    del kit
    fabric.barrier()
    spatial = SpatialPaths(
        cache=paths.cache,
        output=paths.output / SPATIAL_FILE,
        state=paths.state / "spatial",
        labelled=paths.labelled,
        videos=paths.videos,
        footage=paths.footage,
    )
    train(spatial, config=config, recipe=recipe.spatial, fabric=fabric, say=say)
    finder = Paths(cache=paths.cache, output=paths.output / FINDER_FILE, state=paths.state / "finder", labelled=paths.labelled)
    train_finder(finder, recipe=recipe.finder, fabric=fabric, say=say)
    if fabric.global_rank == 0:
        say(calibrate(spatial.output, paths.cache))
