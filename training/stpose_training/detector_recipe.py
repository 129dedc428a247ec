"""The recipe of a whole built-in detector in one TOML file: pictures, spatial network and finder. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from stpose_core.errors import TrainingError
from stpose_training.fields import check_entries, filled, read_preset
from stpose_training.finder.recipe import Recipe as FinderRecipe
from stpose_training.spatial.recipe import Recipe as SpatialRecipe

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Rendering:
    """Pictures to render. pictures, held_out: crops of one person to train and to measure on. frames, held_out_frames: the same for
    whole frames. seed: of them all."""

    pictures: int = 300_000
    held_out: int = 1000
    frames: int = 20_000
    held_out_frames: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("pictures", "held_out", "frames", "held_out_frames"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class DetectorRecipe:
    """network: name of the spatial network's dimensions (`stpose_core.networks.spatial.PRESETS`)."""

    render: Rendering = field(default_factory=Rendering)
    network: str = "small"
    spatial: SpatialRecipe = field(default_factory=SpatialRecipe)
    finder: FinderRecipe = field(default_factory=FinderRecipe)


def load_recipe(preset: str = "builtin") -> DetectorRecipe:
    """The recipe of a name in `recipes`, or of a .toml file. Raises TrainingError with what is wrong in it."""
    path, values = read_preset(preset, RECIPES)
    check_entries(values, ("render", "network", "spatial", "finder"), path)
    network = values.get("network", "small")
    tables = {name: values.get(name, {}) for name in ("render", "spatial", "finder")}
    wrong = next((name for name, table in tables.items() if not isinstance(table, dict)), None)
    if wrong or not isinstance(network, str):
        raise TrainingError(f"{path}: {wrong or 'network'} must be {'a table' if wrong else 'a name'}")
    return DetectorRecipe(
        render=filled(Rendering, tables["render"], path),
        network=network,
        spatial=filled(SpatialRecipe, tables["spatial"], path),
        finder=filled(FinderRecipe, tables["finder"], path),
    )
