"""Footage for tests: a figure whose limbs swing, as a detector would report it, and files of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from small_mocap import moving
from stpose_training.conditions import PLAIN, film_clip
from stpose_training.data.mocap import Clip

from stpose_core.data import Keypoints
from stpose_core.lift import Lifter
from stpose_core.lift.torch_network import TorchNetwork
from stpose_core.networks.lifting import make_network
from stpose_core.networks.lifting_configs import config_of
from stpose_core.weights import write_weights

TINY = {"latent": 16, "width": 8, "strides": [1, 2], "dropout": 0.1}


def footage(seed: int = 0, frames: int = 60, fps: float = 30.0) -> Keypoints:
    """A filmed clip."""
    clip = film_clip(Clip("", "", "", moving(frames, seed)), seed, PLAIN).keypoints
    return Keypoints(clip.xy, clip.score, fps, clip.image_size, clip.skeleton)


def write_keypoints(path: Path, clip: Keypoints) -> Path:
    """An .npz of keypoints alone."""
    np.savez(path, xy=clip.xy, score=clip.score, fps=clip.fps, image_size=np.array(clip.image_size), skeleton=clip.skeleton)
    return path


def tiny_lifter(seed: int = 1) -> Lifter:
    """An untrained lifter whose outputs are not all near zero."""
    torch.manual_seed(seed)
    network = make_network(config_of("multi-stride", TINY))
    torch.nn.init.normal_(network.heads.weight, std=0.05)
    return Lifter(TorchNetwork(network))


def write_tiny(path: Path) -> Path:
    """Weights of `tiny_lifter`."""
    header = {"architecture": "multi-stride", "network": config_of("multi-stride", TINY).to_dict()}
    write_weights(path, tiny_lifter().network.module.state_dict(), "temporal", header)
    return path
