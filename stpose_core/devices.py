"""Where networks run."""

from __future__ import annotations

from stpose_core.errors import StposeError
from stpose_core.options import DEVICES


def choose_device(name: str) -> str:
    """ "cpu", "cuda" or "mps": "auto" selects the fastest available one. Raises StposeError if the device is missing."""
    import torch

    if name not in DEVICES:
        raise StposeError(f"unknown device '{name}'; use one of {', '.join(DEVICES)}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise StposeError(f"no {name} device on this machine; use --device cpu or auto")
    return name
