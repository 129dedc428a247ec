"""What decides a training run of the lifter besides its data: recipe and dimensions of the network, and the presets of both.

Importing this loads no torch: the command line reads its options from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from stpose_core.errors import TrainingError
from stpose_training.fields import check_entries, filled, read_preset

PRESETS = Path(__file__).parent / "presets"

NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "multi-stride": ("multi-stride", {}),
    "dilated-81": ("dilated", {"kernels": [3, 3, 3, 3]}),
    "dilated-243": ("dilated", {"kernels": [3, 3, 3, 3, 3]}),
}
"""Networks that can replace the preset's, by name: architecture, and dimensions that differ from its defaults."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run besides data and network.

    steps, minutes: the budget; if minutes is not 0, minutes of training without validation count instead of steps.
    batch: samples a step, of all processes together. frames: outputs of a sample. reach: least number of frames drawn on each side
    of them, so that networks of different reach are trained on the same samples. rate, weight_decay, warmup (steps), ema: AdamW,
    its schedule, and the decay of the averaged weights. masked: share of samples with hidden joints; full_severity_at: share of the
    run after which occlusion is most severe. confused: share of samples with left and right exchanged in some joints;
    overlapped: in which another person passes in front. recorded: share of samples that keep their recorded posture, for which
    contacts are known. straight_knees: recorded knees are corrected so that legs that stand are straight
    (`stpose_training.data.knees`). one_skeleton: all people get one definition of the trunk's joints
    (`stpose_training.data.anatomy`). velocity, acceleration, bones, limbs, hinges,
    contacts: weights of those losses; that of MPJPE is 1.
    footage: share of a batch from 2D-only clips, if some are given; reprojection: weight of that loss on them.
    critic: weight of the discriminator, 0 for none; it starts to learn after a share critic_from of the run, and its weight then
    grows over a share critic_ramp. precision: "bf16-mixed" or "32-true". judged: batches of 24 windows of each held-out set in
    validation.
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
    overlapped: float = 0.0
    recorded: float = 0.0
    straight_knees: bool = False
    one_skeleton: bool = False
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
        for name in ("steps", "batch", "frames", "evaluate_every", "checkpoint_every", "threads", "judged"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("masked", "confused", "overlapped", "recorded", "full_severity_at", "critic_from", "critic_ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is a share, from 0 to 1, got {getattr(self, name)}")
        for name in ("footage", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingError(f"{name} must be from 0 to below 1, got {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainingError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.critic > 0:
            from stpose_core.networks.discriminator import Discriminator  # which needs torch

            if self.frames < Discriminator.window:
                raise TrainingError(
                    f"the critic judges {Discriminator.window} frames at once, more than the {self.frames} of a sample"
                )
        if self.precision not in ("bf16-mixed", "32-true"):
            raise TrainingError(f"precision must be bf16-mixed or 32-true, got '{self.precision}'")


_NOT_NEGATIVE = (
    *("minutes", "reach", "rate", "weight_decay", "warmup", "critic", "critic_rate", "velocity", "acceleration"),
    *("bones", "limbs", "hinges", "contacts", "reprojection"),
)
# Fields that may change when a run resumes: how often it reports, and how fast it runs.
_FREE = ("threads", "judged", "evaluate_every", "checkpoint_every")


@dataclass(frozen=True)
class Plan:
    """A planned run: its recipe, and the network by architecture ("multi-stride" or "dilated") and dimensions."""

    recipe: Recipe = field(default_factory=Recipe)
    architecture: str = "multi-stride"
    dimensions: Mapping[str, object] = field(default_factory=dict)

    def identity(self) -> dict[str, object]:
        """The fields that must be the same when a run resumes."""
        recipe = {name: value for name, value in asdict(self.recipe).items() if name not in _FREE}
        return {"architecture": self.architecture, "dimensions": dict(self.dimensions), **recipe}


def load_plan(preset: str, network: str | None = None, **changes: object) -> Plan:
    """The plan of a preset (by its name, or the path of a .toml file), with another network or with fields changed.

    network: a name of NETWORKS. changes: fields of Recipe; None leaves the preset's. Raises TrainingError with what is wrong.
    """
    path, values = read_preset(preset, PRESETS)
    check_entries(values, ("architecture", "dimensions", "recipe"), path)
    recipe = filled(Recipe, values.get("recipe", {}), path)
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    recipe = replace(recipe, **given)
    architecture, dimensions = str(values.get("architecture", "multi-stride")), dict(values.get("dimensions", {}))
    if network is not None:
        if network not in NETWORKS:
            raise TrainingError(f"unknown network '{network}'; known: {', '.join(NETWORKS)}")
        other, own = NETWORKS[network]
        # The preset's dimensions are kept where they are those of the same network.
        architecture, dimensions = other, dict(own) if other != architecture else {**dimensions, **own}
    return Plan(recipe, architecture, dimensions)


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Linear warm-up, over a tenth of the run at most, then a half cosine down to 1 % of the rate at step `total`."""
    # A large network makes few steps in a short budget of minutes: they may not all be warm-up.
    warmup = min(recipe.warmup, max(1, total // 10))
    if step < warmup:
        return recipe.rate * (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return recipe.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1))))


def severity(recipe: Recipe, step: int, total: int) -> float:
    """The occlusion curriculum: from slight to severe, linearly over the first part of the run."""
    return min(1.0, 0.2 + 0.8 * step / max(1, recipe.full_severity_at * total))


def critic_weight(recipe: Recipe, step: int, total: int) -> float | None:
    """Weight of the discriminator in the lifter's loss: None before it starts to learn, then a linear ramp."""
    begun = step / max(1, total) - recipe.critic_from
    if recipe.critic <= 0 or begun < 0:
        return None
    return recipe.critic * min(1.0, begun / recipe.critic_ramp if recipe.critic_ramp > 0 else 1.0)
