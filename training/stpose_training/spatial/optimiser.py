"""The optimiser of networks of convolutions: Muon for their kernels, AdamW for all else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stpose_training.spatial.recipe import Recipe

_COLOURS = 3  # a kernel that reads a picture is not one of features


class Muon(torch.optim.Muon):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) for kernels (out, in, h, w) of convolutions, in
    channels-last memory: each is taken as the matrix (out, h * w * in) that it multiplies patches by. Rates are those of AdamW
    (Liu et al. 2025, "Muon is scalable for LLM training")."""

    def __init__(self, kernels: list[nn.Parameter], rate: float, weight_decay: float) -> None:
        self._kernels = kernels
        self._matrices = [nn.Parameter(_matrix(kernel.data)) for kernel in kernels]
        if any(kernel.data_ptr() != matrix.data_ptr() for kernel, matrix in zip(kernels, self._matrices)):
            raise ValueError("kernels must lie in channels-last memory")
        super().__init__(self._matrices, rate, weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves the kernels along their gradients, made orthogonal."""
        for kernel, matrix in zip(self._kernels, self._matrices):
            matrix.grad = None if kernel.grad is None else _matrix(kernel.grad)
        return super().step(closure)


def make_optimisers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """For kernels, for other weights, and for norms and biases, which are not decayed."""
    parameters = list(network.parameters())
    kernels = [value for value in parameters if value.ndim == 4 and value.shape[1] > _COLOURS]
    deep = [value for value in parameters if value.ndim >= 2 and not any(value is kernel for kernel in kernels)]
    flat = [value for value in parameters if value.ndim < 2]
    groups = [{"params": deep, "weight_decay": recipe.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    return [Muon(kernels, recipe.rate, recipe.weight_decay), torch.optim.AdamW(groups, lr=recipe.rate, fused=True)]


def _matrix(kernel: Tensor) -> Tensor:
    return kernel.permute(0, 2, 3, 1).flatten(1)
