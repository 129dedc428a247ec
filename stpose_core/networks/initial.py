"""Initial values of parameters."""

from __future__ import annotations

from torch import Tensor, nn


def normal_(values: Tensor, std: float) -> Tensor:
    """Normally distributed values, in place. Tensors on the device "meta" have none: there torch would import for seconds."""
    return values if values.is_meta else nn.init.normal_(values, std=std)
