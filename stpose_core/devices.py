"""Where networks run."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from stpose_core.errors import StposeError
from stpose_core.extras import how_to_install
from stpose_core.options import DEVICES

_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
_AMD = Path("/dev/kfd")


def choose_device(name: str) -> str:
    """ "cpu", "cuda" or "mps": "auto" selects the fastest available one. Raises StposeError if the device, or torch, is missing.

    Torch is asked, and so imported, only where there may be another device than the processor.
    """
    if name not in DEVICES:
        raise StposeError(f"unknown device '{name}'; use one of {', '.join(DEVICES)}")
    if name == "cpu" or (name == "auto" and not may_accelerate()):
        return "cpu"
    try:
        import torch
    except ModuleNotFoundError as error:
        if name == "auto":
            return "cpu"
        raise StposeError(f"device '{name}' needs PyTorch; {how_to_install('gpu')}") from error

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next((device for device, present in there.items() if present), "cpu")
    if not there[name]:
        raise StposeError(f"no {name} device on this machine; use --device cpu or auto")
    return name


def may_accelerate() -> bool:
    """Whether torch is worth asking for a device: on a Mac, with a driver of NVIDIA or AMD, and where it is imported anyway."""
    return sys.platform == "darwin" or "torch" in sys.modules or _AMD.exists() or any(map(_loads, _DRIVERS))


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
