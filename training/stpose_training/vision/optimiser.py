"""The optimiser of convolutional networks: Muon for kernels, AdamW for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stpose_training.precision import pays_in_bfloat16
from stpose_training.vision.recipe import PictureRecipe

_COLOURS = 3  # kernels with so many inputs read the picture and are left to AdamW
_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) for convolution kernels (out, in, h, w), each as the
    matrix (out, h * w * in) that multiplies patches. Rates are on the scale of AdamW (Liu et al. 2025, "Muon is scalable for LLM
    training"). torch's own Muon takes matrices only, and computes in bfloat16 on any processor."""

    def __init__(self, kernels: list[nn.Parameter], rate: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(kernels, {"lr": rate, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Moves the kernels along their orthogonalised gradients, with Nesterov momentum."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    if kernel not in self.state:
                        self.state[kernel]["momentum"] = torch.zeros_like(kernel)
                    mean = self.state[kernel]["momentum"]
                    mean.lerp_(kernel.grad, 1 - group["momentum"])
                    rows = kernel.grad.lerp(mean, group["momentum"]).permute(0, 2, 3, 1)
                    change = orthogonal(rows.flatten(1)).view_as(rows).permute(0, 3, 1, 2)
                    kernel.mul_(1 - group["lr"] * group["weight_decay"])
                    kernel.add_(change, alpha=-0.2 * math.sqrt(max(len(rows), rows[0].numel())) * group["lr"])


def orthogonal(matrix: Tensor) -> Tensor:
    """(n, m) -> approximately the nearest matrix whose singular values are all 1 (they end at 0.7 to 1.2), by five steps of the
    Newton-Schulz iteration with the coefficients of Jordan et al."""
    wide = matrix.T if len(matrix) > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp_min(1e-7)
    if pays_in_bfloat16(matrix.device.type):
        wide = wide.bfloat16()
    for _ in range(_STEPS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), wide, beta=_A)
    return (wide.T if len(matrix) > matrix.shape[1] else wide).to(matrix.dtype)


def make_optimisers(network: nn.Module, recipe: PictureRecipe) -> list[torch.optim.Optimizer]:
    """Muon for kernels, and AdamW for other weights and for norms and biases, which have no weight decay."""
    parameters = list(network.parameters())
    kernels = [value for value in parameters if value.ndim == 4 and value.shape[1] > _COLOURS]
    deep = [value for value in parameters if value.ndim >= 2 and not any(value is kernel for kernel in kernels)]
    flat = [value for value in parameters if value.ndim < 2]
    groups = [{"params": deep, "weight_decay": recipe.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    return [Muon(kernels, recipe.rate, recipe.weight_decay), torch.optim.AdamW(groups, lr=recipe.rate, fused=True)]
