"""Initial values of parameters."""

from __future__ import annotations

from torch import Tensor, nn


def normal_(values: Tensor, std: float) -> Tensor:
    """Fill with normally distributed values. Tensors on the device "meta" are skipped: torch would spend seconds on imports."""
    return values if values.is_meta else nn.init.normal_(values, std=std)


def zeros_(values: Tensor) -> Tensor:
    """Fill with zeros, except on the device "meta"."""
    return values if values.is_meta else nn.init.zeros_(values)
