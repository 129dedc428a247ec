"""What decides a training run beside its data: the recipe, the network's dimensions, and the presets that name both.

Importing this loads no torch: the command line reads its options from here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from stpose_core.errors import TrainingError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = Path(__file__).parent / "presets"

NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "multi-stride": ("multi-stride", {}),
    "dilated-81": ("dilated", {"kernels": [3, 3, 3, 3]}),
    "dilated-243": ("dilated", {"kernels": [3, 3, 3, 3, 3]}),
}
"""Networks that can be asked for by name in the place of the preset's: architecture, and dimensions that are not its defaults."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run beside data and network.

    steps, minutes: the budget; minutes of training, without its validation, are what counts where they are not 0.
    batch: samples a step, of all processes together. frames: outputs of a sample. reach: frames drawn on each side of them, if the
    network needs no more: networks that need less are then trained on the same samples. rate, weight_decay, warmup (steps), ema:
    AdamW, its schedule, and the decay of the averaged weights. masked: share of samples with hidden joints; full_severity_at:
    share of the run after which they are hidden most severely. confused: share of samples in which sides are taken for each
    other. recorded: share of samples that keep their recorded posture, for which contacts are known. velocity, acceleration, bones,
    limbs, hinges, contacts: weights of those losses, that of MPJPE being 1.
    footage: share of a batch that comes from 2D-only clips, where some are given; reprojection: weight of that loss on them.
    critic: weight of the discriminator, 0 for none; it starts to learn after a share critic_from of the run, and its weight then
    grows over a share critic_ramp. precision: "bf16-mixed" or "32-true". judged: batches of 24 windows of each held-out set
    that the curves are measured on.
    """

    steps: int = 8000
    minutes: float = 0.0
    batch: int = 16
    frames: int = 128
    reach: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 300
    ema: float = 0.998
    masked: float = 0.5
    confused: float = 0.0
    recorded: float = 0.0
    full_severity_at: float = 0.4
    velocity: float = 1.0
    acceleration: float = 0.0
    bones: float = 0.2
    limbs: float = 0.0
    hinges: float = 0.0
    contacts: float = 0.0
    footage: float = 0.25
    reprojection: float = 0.3
    critic: float = 0.0
    critic_from: float = 0.4
    critic_ramp: float = 0.2
    critic_rate: float = 2e-4
    precision: str = "bf16-mixed"
    seed: int = 0
    threads: int = 1
    judged: int = 6
    evaluate_every: int = 500
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "frames", "evaluate_every", "checkpoint_every", "threads"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.footage < 1:
            raise TrainingError(f"footage is a share of a batch, from 0 to below 1, got {self.footage}")
        if self.precision not in ("bf16-mixed", "32-true"):
            raise TrainingError(f"precision must be bf16-mixed or 32-true, got '{self.precision}'")


# What may differ between a run and the one that goes on with it: how often it tells, and how fast it works.
_FREE = ("threads", "judged", "evaluate_every", "checkpoint_every")


@dataclass(frozen=True)
class Plan:
    """A run to do: its recipe, and the network by architecture ("multi-stride" or "dilated") and dimensions."""

    recipe: Recipe = field(default_factory=Recipe)
    architecture: str = "multi-stride"
    dimensions: Mapping[str, object] = field(default_factory=dict)

    def identity(self) -> dict[str, object]:
        """What must be the same for a run that goes on from another's checkpoint."""
        recipe = {name: value for name, value in asdict(self.recipe).items() if name not in _FREE}
        return {"architecture": self.architecture, "dimensions": dict(self.dimensions), **recipe}


def load_plan(preset: str, network: str | None = None, **changes: object) -> Plan:
    """The plan of a preset (by its name, or the path of a .toml file), with another network or with fields changed.

    network: a name of NETWORKS. changes: fields of Recipe; None leaves the preset's. Raises TrainingError with what is wrong.
    """
    path = Path(preset) if preset.endswith(".toml") else PRESETS / f"{preset}.toml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in PRESETS.glob("*.toml")))
        raise TrainingError(f"there is no preset {preset}; there are {names}, or give a .toml file")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: {error}") from error
    unknown = set(values) - {"architecture", "dimensions", "recipe"}
    if unknown:
        raise TrainingError(f"{path}: unknown entry {', '.join(sorted(unknown))}")
    recipe = _recipe(values.get("recipe", {}), str(path))
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    recipe = replace(recipe, **given)
    architecture, dimensions = str(values.get("architecture", "multi-stride")), dict(values.get("dimensions", {}))
    if network is not None:
        if network not in NETWORKS:
            raise TrainingError(f"there is no network '{network}'; there are {', '.join(NETWORKS)}")
        other, own = NETWORKS[network]
        # The preset's dimensions are kept where they are those of the same network.
        architecture, dimensions = other, dict(own) if other != architecture else {**dimensions, **own}
    return Plan(recipe, architecture, dimensions)


def _recipe(values: Mapping[str, object], where: str) -> Recipe:
    kinds: dict[str, Any] = {entry.name: type(entry.default) for entry in fields(Recipe)}
    for name, value in values.items():
        if name not in kinds:
            raise TrainingError(f"{where}: a recipe has no '{name}'; it has {', '.join(kinds)}")
        right = isinstance(value, (int, float)) if kinds[name] is float else isinstance(value, kinds[name])
        if not right or isinstance(value, bool):
            raise TrainingError(f"{where}: {name} must be of type {kinds[name].__name__}, got {value!r}")
    try:
        return Recipe(**{name: kinds[name](value) for name, value in values.items()})
    except TrainingError as error:
        raise TrainingError(f"{where}: {error}") from error


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Linear warm-up, over a tenth of the run at most, then a half cosine down to 1 % of the rate at step `total`."""
    # A large network makes few steps in a short budget by the clock: it may not spend them all on warming up.
    warmup = min(recipe.warmup, max(1, total // 10))
    if step < warmup:
        return recipe.rate * (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return recipe.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1))))


def severity(recipe: Recipe, step: int, total: int) -> float:
    """The occlusion curriculum: from minor to severe, linearly over the first part of the run."""
    return min(1.0, 0.2 + 0.8 * step / max(1, recipe.full_severity_at * total))


def critic_weight(recipe: Recipe, step: int, total: int) -> float | None:
    """Weight of the discriminator in the lifter's loss: None while it does not even learn, then a linear ramp."""
    begun = step / max(1, total) - recipe.critic_from
    if recipe.critic <= 0 or begun < 0:
        return None
    return recipe.critic * min(1.0, begun / recipe.critic_ramp if recipe.critic_ramp > 0 else 1.0)
