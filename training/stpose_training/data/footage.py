"""Footage: 2D joints of clips without 3D, as `stpose mocap` writes them, and windows of them for training.

Clips are prepared by the same code as in lifting: conversion to 17 joints, rays of the assumed camera, and resampling to the
training rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpose_core.data import Camera, Keypoints
from stpose_core.detect.keypoint_file import MOST_FRAMES, load_keypoints
from stpose_core.errors import FormatError
from stpose_core.lift.lifter import phases, strands
from stpose_core.lift.normalise import BOX_REACH, VISIBLE_SCORE, network_inputs, person_view
from stpose_core.skeletons import H36M17, convert
from stpose_training.data.bodies import Random
from stpose_training.data.occlusion import hide

LEAST_SEEN = 20
"""Frames with a detected person that a clip needs to be useful."""


def load_footage(paths: Sequence[str | Path]) -> list[Keypoints]:
    """The clips of .npz files, and of all .npz files in folders: captures or keypoints alone, as 17 joints.

    Raises FormatError for other files, for a folder without any, and for a clip with too few detections.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not found:
            raise FormatError(f"{path} holds no .npz of keypoints")
        files += found
    if not files:
        raise FormatError("no footage was given")
    return [usable(load_keypoints(file), str(file)) for file in files]


def usable(keypoints: Keypoints, name: str) -> Keypoints:
    """Keypoints as 17 joints. Raises FormatError, with the clip's name, if too few frames have detections, or if the size of the
    picture or the frame rate is unusable."""
    if min(keypoints.image_size) <= 0:
        raise FormatError(f"{name}: a picture of {keypoints.image_size[0]} x {keypoints.image_size[1]} pixels has no joints in it")
    if len(keypoints) * phases(keypoints.fps)[1] > MOST_FRAMES:
        raise FormatError(f"{name}: {len(keypoints)} frames at {keypoints.fps:g} fps are too long a clip")
    points = keypoints if keypoints.skeleton == H36M17.name else convert(keypoints, H36M17.name)
    seen = frames_with_a_person(points)
    if seen < LEAST_SEEN:
        raise FormatError(f"{name}: a person is detected in {seen} frames; {LEAST_SEEN} are needed to learn from a clip")
    return points


def frames_with_a_person(points: Keypoints) -> int:
    """Number of frames of 17 joints with enough of them visible for a person's position and size."""
    return int(((points.score >= VISIBLE_SCORE).sum(1) >= 3).sum())


class FootageBank:
    """All clips in one tensor, at about the training rate. A clip is drawn with a weight of the square root of its length."""

    def __init__(self, clips: Sequence[Keypoints], device: torch.device | str = "cpu") -> None:
        found = [strand for clip in clips for strand in strands(clip, Camera.assumed(clip.image_size))]
        self.rays = torch.from_numpy(np.concatenate([np.nan_to_num(strand.rays) for strand in found])).float().to(device)
        self.score = torch.from_numpy(np.concatenate([strand.score for strand in found])).float().to(device)
        lengths = torch.tensor([len(strand.rays) for strand in found], device=device)
        self.lengths, self.starts = lengths, torch.cumsum(lengths, 0) - lengths
        self.weights = lengths.float().sqrt()

    def windows(self, batch: int, frames: int, random: Random) -> tuple[Tensor, Tensor]:
        """Rays (B, T, 17, 2) and scores (B, T, 17) around random frames; beyond a clip's ends all scores are 0, as in lifting."""
        clip = torch.multinomial(self.weights, batch, replacement=True, generator=random.generator)
        length = self.lengths[clip]
        centre = (random.uniform(0, 1, batch) * length).long().minimum(length - 1)
        when = centre[:, None] + torch.arange(frames, device=centre.device) - frames // 2
        inside = (when >= 0) & (when < length[:, None])
        index = self.starts[clip][:, None] + when.clamp_min(0).minimum(length[:, None] - 1)
        return self.rays[index] * inside[..., None, None], self.score[index] * inside[..., None]


@dataclass
class Seen:
    """2D-only samples: inputs over T + 2 * reach frames, with some joints hidden, and the detections.

    joints: (B, T+, 17, 4), context: (B, T+, 4) as TemporalNetwork reads them. flat: (B, T, 17, 2) the joints as detected, hidden
    or not, in the person's own camera, in person sizes; score: (B, T, 17), 0 for joints not detected. size: (B, T) angular.
    """

    joints: Tensor
    context: Tensor
    flat: Tensor
    score: Tensor
    size: Tensor


@dataclass(frozen=True, kw_only=True)
class Window:
    """The frames of a sample. frames: outputs. reach: input frames on each side of the outputs. causal: see `person_view`."""

    frames: int
    reach: int
    causal: bool = False

    @property
    def total(self) -> int:
        """Frames of a clip that a sample is made from, including those that smooth the person's box."""
        return self.frames + 2 * (self.reach + BOX_REACH)


def draw_seen(bank: FootageBank, *, batch: int, window: Window, random: Random, severity: float, share: float) -> Seen:
    """2D-only samples. Half of them are mirrored; in a `share`, joints are hidden from the network."""
    rays, score = bank.windows(batch, window.total, random)
    flipped = random.chance(0.5, batch)
    mirror = list(H36M17.mirror)
    other = rays[:, :, mirror] * torch.tensor([-1.0, 1.0], device=rays.device)
    rays = torch.where(flipped[:, None, None, None], other, rays)
    score = torch.where(flipped[:, None, None], score[:, :, mirror], score)
    shown, shown_score, _ = hide(rays, score, random, severity=severity, share=share)
    # Outputs are in the axes of the network's view, so the detections are brought into the same axes.
    view = person_view(shown, shown_score, window.causal)
    joints, context = network_inputs(shown, shown_score, view)
    whole, _ = network_inputs(rays, score, view)
    inner = slice(BOX_REACH, rays.shape[1] - BOX_REACH)
    core = slice(BOX_REACH + window.reach, rays.shape[1] - BOX_REACH - window.reach)
    return Seen(joints[:, inner], context[:, inner], whole[:, core, :, :2], whole[:, core, :, 2], view.size[:, core])
