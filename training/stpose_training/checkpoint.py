"""Checkpoints of training runs, and the weights that a run starts from."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stpose_core.errors import TrainingError
from stpose_core.weights import read_weights


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes the file whole or not at all: a run may be killed while it saves."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote; empty if there is no file. Raises TrainingError if the file is damaged."""
    if not path.is_file():
        return {}
    try:
        saved: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is damaged and the run cannot resume; remove it, or give another --state folder") from error
    return saved


def check_same_run(path: Path, was: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Raises TrainingError, with all differences, unless the checkpoint's settings `was` have every value of `now`."""
    changed = [f"{name} {was.get(name)} -> {value}" for name, value in now.items() if was.get(name) != value]
    if changed:
        raise TrainingError(f"{path.parent} holds another run ({', '.join(changed)}); give another --state folder")


_MAPS = ("encoder.cnn.", "encoder.doubts.")  # parts of encoders that read heat maps


def load_start(network: torch.nn.Module, weights: Path, kind: str) -> None:
    """Loads a weights file into a network that is to be trained.

    A lifter that reads heat maps may start from one that reads keypoints, except for its encoder of maps; a lifter with contact
    outputs from one without; a spatial network with attention from one without. The missing parts keep their initial values.
    Raises TrainingError if the file holds a network of other dimensions.
    """
    tensors, _ = read_weights(weights, kind)
    own = network.state_dict()
    if getattr(network.config, "inputs", "") == "heatmaps" and not any(name.startswith(_MAPS) for name in tensors):
        kept = ("encoder.linear.weight", "encoder.linear.bias") if getattr(network.config, "peaks", False) else ()
        tensors = {name: value for name, value in tensors.items() if not name.startswith("encoder.") or name in kept}
        tensors |= {name: value for name, value in own.items() if name.startswith("encoder.") and name not in kept}
    if not any(name.startswith("attention.") for name in tensors):
        tensors = tensors | {name: value for name, value in own.items() if name.startswith("attention.")}
    added = getattr(network.config, "contacts", 0)
    for name in ("heads.weight", "heads.bias") if added else ():
        if len(tensors[name]) + added == len(own[name]):  # the contacts are the last channels of the heads
            tensors = tensors | {name: torch.cat((tensors[name], own[name][-added:]))}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{weights} holds another network than this run's: {network.config}") from error
