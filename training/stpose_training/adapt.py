"""Fine-tunes a lifter on a user's own footage, of which only 2D is known (`stpose train adapt`).

Every step has three kinds of samples: motions with 3D filmed like the footage (cameras, distance and frame rate estimated from
it), motions with 3D filmed by any camera, so that nothing is forgotten, and the footage itself, with losses on its 2D joints.
The motions are marker mocap if the user has some, and otherwise the lifted footage. Batch norms keep their statistics. All of
this is a decision of this project.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch.optim.swa_utils import AveragedModel

from stpose_core.data import Keypoints
from stpose_core.detect import Detector, KeypointFile
from stpose_core.errors import DetectorError, TrainingError
from stpose_core.lift import Lifter
from stpose_core.lift.torch_network import TorchNetwork, torch_lifter
from stpose_core.networks.lifting import LiftingNetwork
from stpose_core.networks.lifting_configs import LiftingConfig, name_of
from stpose_core.options import CaptureOptions
from stpose_core.pipeline import capture, open_detector
from stpose_core.video import probe
from stpose_core.weights import LIFTER, write_weights
from stpose_training.data.bodies import Random
from stpose_training.data.footage import LEAST_SEEN, FootageBank, Window, draw_seen, frames_with_a_person, load_footage, usable
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Batch, Faults, draw_batch
from stpose_training.loop import hold_norms, make_fabric, moving_average
from stpose_training.losses import lifting_loss
from stpose_training.quality import Quality, quality, table
from stpose_training.replay import Look, draw_like, lifted_motions, looks_of, together
from stpose_training.unlabelled import both, check_inputs, parted, unlabelled_loss
from stpose_training.validation import held_out, validate

WORSE = 1.02
"""Greatest allowed error of an adapted lifter on held-out marker mocap, as a multiple of the old one's; it is not written above."""

_ROUNDS = 3  # times that the cameras are estimated from the footage, each time by a better lifter
_SEVERITY = 1.0


@dataclass(frozen=True)
class Adaptation:
    """Length, samples and losses.

    steps; batch: samples a step, of which a share `footage` is 2D-only and a share `like` is motion filmed like the footage; the
    rest is filmed by any camera. frames: outputs of a sample. rate, warmup (steps), ema: of AdamW and the averaged weights. masked:
    share of samples with hidden joints. velocity, bones, reprojection: weights of those losses; that of MPJPE is 1.
    """

    steps: int = 400
    batch: int = 16
    footage: float = 0.25
    like: float = 0.5
    frames: int = 64
    rate: float = 1.5e-4
    warmup: int = 20
    ema: float = 0.98
    masked: float = 0.5
    velocity: float = 1.0
    bones: float = 0.2
    reprojection: float = 0.3
    seed: int = 0
    threads: int = 1

    @property
    def shares(self) -> tuple[int, int, int]:
        """Samples of a step: 2D-only, filmed like the footage, filmed by any camera."""
        seen, like = round(self.footage * self.batch), round(self.like * self.batch)
        return seen, like, max(0, self.batch - seen - like)


@dataclass(frozen=True)
class Adapted:
    """The result. lifter: with the new weights, rounded as in a file. before, after: quality on the clips kept apart.

    checked: MPJPE in mm on each held-out set of marker mocap, (before, after); empty without such data.
    """

    lifter: Lifter
    before: Quality
    after: Quality
    checked: dict[str, tuple[float, float]]


def keep_apart(clips: Sequence[Keypoints]) -> tuple[list[Keypoints], list[Keypoints]]:
    """Clips to learn from and clips to measure on: every fifth, and at least one; of a single clip, the last fifth."""
    if len(clips) == 1:
        clip = clips[0]
        cut = max(1, round(0.8 * len(clip)))
        return [_part(clip, slice(0, cut))], [_part(clip, slice(cut, None))]
    judged = set(range(0, len(clips), 5)) if len(clips) >= 5 else {len(clips) - 1}
    return [clip for n, clip in enumerate(clips) if n not in judged], [clip for n, clip in enumerate(clips) if n in judged]


def read_clips(
    paths: Sequence[Path],
    *,
    detector: str = "auto",
    person: str = "largest",
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> list[Keypoints]:
    """Clips as 17 joints: from .npz files and folders of them, and from videos through the capture pipeline.

    Raises StposeError: FormatError, VideoError, DetectorError or NoPersonError, at the first path that gives no clip.
    """
    options = CaptureOptions(person=person, device=device, refine=False)
    if person == "all":
        raise TrainingError("training uses one person of each video, so --person all is not possible")
    source: Detector | KeypointFile | None = None
    found: list[Keypoints] = []
    for path in paths:
        if path.is_dir() or path.suffix.lower() == ".npz":
            found += load_footage([path])
            continue
        probe(path)  # raises before a detector is loaded
        if isinstance(source, KeypointFile):
            raise DetectorError(f"{detector} holds the keypoints of one video, but several videos are given")
        source = source or open_detector(detector, device)
        say(f"capturing {path}")
        found.append(usable(capture(path, options=options, detector=source).keypoints, str(path)))
    clips = _each_once(found)
    if len(clips) < len(found):
        say(f"left out {len(found) - len(clips)} clips that are given more than once")
    return clips


def _each_once(clips: Sequence[Keypoints]) -> list[Keypoints]:
    """The clips without those of the same joints as an earlier one: one of both might be kept apart to measure on."""
    found: dict[object, Keypoints] = {}
    for clip in clips:
        found.setdefault((clip.fps, clip.image_size, clip.xy.tobytes(), clip.score.tobytes()), clip)
    return list(found.values())


def _part(clip: Keypoints, frames: slice) -> Keypoints:
    return Keypoints(clip.xy[frames], clip.score[frames], clip.fps, clip.image_size, clip.skeleton)


def adapt(
    clips: Sequence[Keypoints],
    *,
    output: Path,
    weights: Path | None = None,
    data: Path | None = None,
    plan: Adaptation | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Adapted:
    """Adapts a lifter to clips (17 joints) and writes it to `output`, with the error before and after on clips kept apart.

    weights: initial weights; None for the built-in ones. data: marker mocap to learn from and to check on; without it nothing is
    checked. Raises TrainingError, and writes nothing, if the check fails.
    """
    plan = plan or Adaptation()
    torch.set_num_threads(plan.threads)
    learned, judged = keep_apart(clips)
    old = torch_lifter(weights, device)
    check_inputs(old.network.config)
    say(f"learning from {len(learned)} clips, measuring on {len(judged)}")
    if len(clips) == 1 and min(frames_with_a_person(learned[0]), frames_with_a_person(judged[0])) < LEAST_SEEN:
        raise TrainingError(
            f"one clip of {len(clips[0])} frames is too short to keep a fifth apart; "
            f"give more clips, or one of {5 * LEAST_SEEN} frames with a person"
        )
    sets = held_out(data, old.network.config, old.network.device) if data else {}
    new = Lifter(TorchNetwork(learn(old, learned, plan, data, say), device))
    before, after = quality(old, judged), quality(new, judged)
    say(table(before, after))
    checked = check(old, new, sets)
    for name, (was, now) in checked.items():
        say(f"marker mocap, {name}: MPJPE {was:.1f} -> {now:.1f} mm")
    worse = [name for name, (was, now) in checked.items() if not now <= WORSE * was]
    if worse:
        raise TrainingError(
            f"the adapted lifter got worse by more than {100 * (WORSE - 1):.0f} % on held-out marker mocap ({', '.join(worse)}); "
            f"{output} is not written: give more clips, fewer --steps or a lower --rate"
        )
    if not data:
        say("not checked on marker mocap: that needs --data")
    header = {
        "architecture": name_of(new.network.config),
        "network": new.network.config.to_dict(),
        "adaptation": asdict(plan),
        "adapted_from": (weights or LIFTER).name,
    }
    write_weights(output, new.network.module.state_dict(), "temporal", header)
    return Adapted(new, before, after, checked)


def check(old: Lifter, new: Lifter, sets: Mapping[str, list[Batch]]) -> dict[str, tuple[float, float]]:
    """MPJPE in mm of both on each set of held-out marker mocap (`held_out`), of people that are never trained on."""
    both_of = {name: [validate(lifter.network.module, batches)["mpjpe"] for lifter in (old, new)] for name, batches in sets.items()}
    for lifter in (old, new):
        lifter.network.module.eval()
    return {name: (was, now) for name, (was, now) in both_of.items()}


def learn(
    lifter: Lifter,
    clips: Sequence[Keypoints],
    plan: Adaptation,
    data: Path | None = None,
    say: Callable[[str], None] = print,
) -> LiftingNetwork:
    """An adapted copy of the lifter's network, on the lifter's device, rounded as in a weights file. The lifter is not changed.

    The same seed gives the same network on the same machine.
    """
    device = lifter.network.device
    fabric = make_fabric(device.type, "bf16-mixed")
    bank = MotionBank(load_mocap(data) if data else lifted_motions(lifter, clips), device)
    films = FootageBank(clips, device)
    network: LiftingNetwork = copy.deepcopy(lifter.network.module)
    average = AveragedModel(network, avg_fn=moving_average(plan.ema))
    model, optimiser = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.0))
    looks: list[Look] = []
    stage = max(1, plan.steps // _ROUNDS)
    means: dict[str, float] = {}
    for step in range(plan.steps):
        if step % stage == 0 and step // stage < _ROUNDS:
            looks = looks_of(Lifter(TorchNetwork(cast(LiftingNetwork, average.module), device)), clips)
        torch.manual_seed(plan.seed * 1_000_003 + step)  # dropout draws from the global generator
        random = Random(plan.seed * 1_000_003 + step, device)
        batch = _draw(bank, films, looks, plan, network.config, random, step >= stage)
        network.train()
        hold_norms(network)  # a few clips of one camera are too few for the statistics
        for group in optimiser.param_groups:
            group["lr"] = _rate(plan, step)
        output, rest = parted(model(*both(batch, network.config)), len(batch.pose))
        loss, parts = lifting_loss(output, batch, velocity=plan.velocity, bones=plan.bones)
        if batch.seen:
            added, more = unlabelled_loss(rest, batch.seen, plan.reprojection, plan.bones)
            loss, parts = loss + added, parts | more
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        fabric.clip_gradients(model, optimiser, max_norm=1.0)
        optimiser.step()
        average.update_parameters(network)
        means = {name: 0.95 * means.get(name, value) + 0.05 * value for name, value in parts.items()}
        if (step + 1) % 50 == 0 or step + 1 == plan.steps:
            shown = " ".join(f"{name} {means[name]:.4f}" for name in ("mpjpe", "up", "reprojection") if name in means)
            say(f"step {step + 1}/{plan.steps} {shown}")
    result = cast(LiftingNetwork, average.module)
    result.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in result.state_dict().items()})
    return result.eval()


def _draw(
    bank: MotionBank, films: FootageBank, looks: Sequence[Look], plan: Adaptation, config: LiftingConfig, random: Random, sure: bool
) -> Batch:
    seen, like, rest = plan.shares
    same: dict[str, Any] = {
        "window": Window(frames=plan.frames, reach=config.context, causal=config.causal),
        "random": random,
    }
    faults = Faults(plan.masked, _SEVERITY)
    parts = []
    if like:
        parts.append(draw_like(bank, looks, batch=like, faults=faults, sure=sure, **same))
    if rest:
        parts.append(draw_batch(bank, batch=rest, faults=faults, **same))
    batch = together(*parts)
    if seen:
        batch.seen = draw_seen(films, batch=seen, severity=_SEVERITY, share=plan.masked, **same)
    return batch


def _rate(plan: Adaptation, step: int) -> float:
    """Linear warm-up times a half cosine down to 1 %."""
    warm = min(1.0, (step + 1) / max(1, plan.warmup))
    return plan.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))
