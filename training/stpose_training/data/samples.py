"""Training samples of the lifter: motions with new bodies, filmed, with detector noise and occlusion, as network inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stpose_core.lift.heatmaps import Blobs
from stpose_core.lift.normalise import BOX_REACH, network_inputs, person_view
from stpose_core.networks.lifting_configs import LiftingConfig, reads_both
from stpose_training.data.bodies import Random, mirror, perturb, put_together, recombine, reorient, reshape, take_apart
from stpose_training.data.cameras import Views, film
from stpose_training.data.confusion import confuse
from stpose_training.data.flexion import flex, grounded
from stpose_training.data.footage import Seen, Window
from stpose_training.data.heatmaps import draw_blobs, independent
from stpose_training.data.mocap import MotionBank
from stpose_training.data.noise import detect
from stpose_training.data.occlusion import hide
from stpose_training.data.overlap import overlap


@dataclass
class Batch:
    """Inputs over T + 2 * reach frames, targets over the T in the middle; axes of the person's own camera.

    joints: (B, T+, 17, 4), context: (B, T+, 4) as TemporalNetwork reads them. pose: (B, T, 17, 3) metres relative to the pelvis.
    root: (B, T, 3) target of the root head. up: (B, T, 3) unit. wrong: (B, T, 17) inputs that were masked or displaced. contacts:
    (B, T, 4) left heel, left toe, right heel, right toe on the ground: 0 or 1, NaN where unknown.
    seen: samples without 3D for the same step. blobs: over T+ frames, for a network that reads heat maps instead of joints.
    """

    joints: Tensor
    context: Tensor
    pose: Tensor
    root: Tensor
    up: Tensor
    wrong: Tensor
    contacts: Tensor
    blobs: Blobs | None = None
    seen: Seen | None = None

    @property
    def inputs(self) -> Tensor:
        """The joints as the network reads them: (B, T+, 17, 4), or maps (B, T+, 17, cells, cells). Maps are drawn on each call,
        because they are a hundred times as large."""
        return self.joints if self.blobs is None else self.blobs.draw()

    def shown_to(self, config: LiftingConfig) -> tuple[Tensor, ...]:
        """What a network of these dimensions is called with: joints or maps, context, and the joints if it reads both."""
        return (self.inputs, self.context, *((self.joints,) if reads_both(config) else ()))

    def narrowed(self, frames: int) -> Batch:
        """The batch without so many frames at each end of the inputs; the targets stay."""
        inner = slice(frames, self.joints.shape[1] - frames)
        blobs = None if self.blobs is None else self.blobs.frames(inner)
        return Batch(self.joints[:, inner], self.context[:, inner], self.pose, self.root, self.up, self.wrong, self.contacts, blobs)


def new_motions(
    bank: MotionBank, *, batch: int, frames: int, random: Random, pace: float = 1.0, recorded: float = 0.0
) -> tuple[Tensor, Tensor]:
    """New motions (B, T, 17, 3): recombined, bent further, reshaped, mirrored and turned; z up, metres. And their contacts
    (B, T, 4), NaN where unknown.

    pace: recorded frames per frame, at true tempo. recorded: share of samples that keep their recorded posture, with natural
    flexion of the joints; only those have contacts.
    """
    positions, contacts = bank.labelled_windows(batch, frames, random.generator, (0.5 * pace, 2.0 * pace))
    own = take_apart(positions)
    posture = reshape(perturb(recombine(own, random), random), random, bank.proportions)
    drawn = grounded(put_together(flex(posture, random)), put_together(posture))
    flipped = random.chance(0.5, batch)
    keep = torch.zeros_like(flipped)
    if recorded:
        keep = random.chance(recorded, batch)
        kept = put_together(replace(own, root=posture.root, lengths=posture.lengths))
        drawn = torch.where(keep[:, None, None, None], kept, drawn)
    contacts = torch.where(flipped[:, None, None], contacts[..., [2, 3, 0, 1]], contacts)
    contacts = torch.where(keep[:, None, None], contacts, torch.nan)
    return reorient(mirror(drawn, flipped), random), contacts


@dataclass
class Detections:
    """What a detector reports of views. points: (B, T, 17, 3) true joints in camera axes, metres. true: (B, T, 17, 2) their
    projections in the assumed camera, in tangent units; rays: (B, T, 17, 2) the detected ones, likewise; score: (B, T, 17), 0
    outside of the picture, where `outside` is true."""

    points: Tensor
    true: Tensor
    rays: Tensor
    score: Tensor
    outside: Tensor


def detections_of(views: Views, random: Random) -> Detections:
    """Projects views and adds a detector's errors. People are kept 0.5 m away at least, because a limb behind the camera has no
    projection."""
    points = views.points
    points = points + torch.nn.functional.pad((0.5 - points[..., 2].amin((1, 2))).clamp_min(0)[:, None], (2, 0))[:, None, None]
    true = points[..., :2] / points[..., 2:]
    outside = (true.abs() > views.reach[:, None, None]).any(-1)
    true = true * views.zoom[:, None, None, None]
    rays, score = detect(true, size_of(true), random)
    return Detections(points, true, rays, torch.where(outside, torch.zeros_like(score), score), outside)


def size_of(rays: Tensor) -> Tensor:
    """(B, T, 17, 2) -> (B, T) the person's angular size."""
    return 2 * ((rays - rays.mean(2, keepdim=True)) ** 2).sum(-1).mean(2).sqrt()


def thin(rays: Tensor, score: Tensor, every: int) -> tuple[Tensor, Tensor]:
    """(B, T, 17, 2) and (B, T, 17) of which the detector reads one frame in `every`; the lifter's interpolation between them."""
    if every == 1:
        return rays, score
    when = torch.arange(rays.shape[1], device=rays.device)
    before = when - when % every
    after = (before + every).where(before + every < len(when), before)
    part = ((when % every) / every)[None, :, None]
    low, high = score[:, before], score[:, after]
    return rays[:, before].lerp(rays[:, after], part.unsqueeze(-1)), torch.where(part > 0, torch.minimum(low, high), low)


@dataclass(frozen=True)
class Faults:
    """Faults of the detections of a batch. masked: share of samples with hidden joints; severity: 0..1 of their occlusion;
    confused: share of samples in which the detector confuses left and right; overlapped: in which another person passes in
    front."""

    masked: float = 0.0
    severity: float = 1.0
    confused: float = 0.0
    overlapped: float = 0.0


NO_FAULTS = Faults(severity=0.0)


def observe(
    views: Views,
    random: Random,
    reach: int,
    faults: Faults = NO_FAULTS,
    *,
    maps: bool = False,
    every: int = 1,
    contacts: Tensor | None = None,
    causal: bool = False,
) -> Batch:
    """Simulated detections of these views as network inputs, and the truth as targets. every: see `thin`. maps: with heat maps; the
    rest of the batch is the same with and without. contacts: (B, T, 4) of the views, where known. causal: see `person_view`."""
    found = detections_of(views, random)
    points, zoom = found.points, views.zoom[:, None, None]
    rays, score, mixed = found.rays, found.score, torch.zeros_like(found.outside)
    if faults.confused:
        rays, score, mixed = confuse(rays, score, size_of(found.true), random, faults.confused)
    if faults.overlapped:
        rays, score, covered = overlap(rays, score, size_of(found.true), random, faults.overlapped)
        mixed = mixed | covered
    rays, score, wrong = hide(rays, score, random, severity=faults.severity, share=faults.masked)
    wrong = wrong | mixed
    rays, score = thin(rays, score, every)
    view = person_view(rays, score, causal)
    joints, context = network_inputs(rays, score, view)
    blobs = None
    if maps:
        blobs = draw_blobs(found.true, found.rays, rays, score, wrong, view.size, independent(random)).in_view(view)
    pelvis = points[:, :, 0] * torch.cat((torch.ones_like(zoom[:, 0].expand(-1, 2)), 1 / zoom[:, 0]), -1)[:, None]
    pose = (points - points[:, :, :1]) @ view.rotation.transpose(-1, -2)
    up = (view.rotation @ views.up.unsqueeze(-1)).squeeze(-1)
    inner = slice(BOX_REACH, points.shape[1] - BOX_REACH)
    core = slice(BOX_REACH + reach, points.shape[1] - BOX_REACH - reach)
    return Batch(
        joints[:, inner],
        context[:, inner],
        pose[:, core],
        view.camera_to_root(pelvis)[:, core],
        up[:, core],
        (wrong | found.outside)[:, core],
        (torch.full_like(points[:, :, :4, 0], torch.nan) if contacts is None else contacts)[:, core],
        None if blobs is None else blobs.frames(inner),
    )


def draw_batch(
    bank: MotionBank,
    *,
    batch: int,
    window: Window,
    random: Random,
    faults: Faults = NO_FAULTS,
    maps: bool = False,
    recorded: float = 0.0,
) -> Batch:
    """One batch of `batch` samples. maps: with heat maps. recorded: see `new_motions`."""
    motions, contacts = new_motions(bank, batch=batch, frames=window.total, random=random, recorded=recorded)
    return observe(film(motions, random), random, window.reach, faults, maps=maps, contacts=contacts, causal=window.causal)
