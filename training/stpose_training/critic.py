"""The spatio-temporal discriminator in training: it learns to distinguish lifted from recorded motion, the lifter to fool it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stpose_core.networks.discriminator import Discriminator, DiscriminatorConfig, critic_loss, fooling_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric


RESTS = 0.15
"""Loss below which the critic pauses, so that the lifter can catch up: a perfect critic (loss 0) gives the lifter no useful
gradient; 0.25 is the loss at chance. The discriminator of Wu et al. (NeurIPS 2016) pauses likewise, above 80 % accuracy on a
batch."""


class Critic:
    """A Discriminator with its own optimiser. Poses are (B, T, 17, 3), metres, root-relative; T of at least 28 frames."""

    def __init__(self, rate: float, fabric: Fabric, state: Mapping[str, Any] | None = None) -> None:
        self.network = Discriminator(DiscriminatorConfig()).to(fabric.device)
        # Little momentum, because the lifted motion keeps changing (Radford et al., ICLR 2016).
        self._raw = torch.optim.Adam(self.network.parameters(), lr=rate, betas=(0.5, 0.9))
        if state is not None:
            self.network.load_state_dict(state["network"])
            self._raw.load_state_dict(state["optimiser"])
        self._fabric = fabric
        self._model, self._optimiser = fabric.setup(self.network, self._raw)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: includes the vectors of the power iteration, so that a resumed run is identical."""
        return {"network": self.network.state_dict(), "optimiser": self._raw.state_dict()}

    def fooled(self, made: Tensor) -> Tensor:
        """The lifter's loss: how far the critic is from accepting its motion as real. The critic itself gets no gradient."""
        with _frozen(self.network):
            return fooling_loss(self.network(made))

    def learn(self, real: Tensor, made: Tensor) -> dict[str, float]:
        """One step of the critic, unless it pauses -> its loss, and the mean scores of both."""
        # One pass for both, because processes exchange gradients once per pass.
        scores = self._model(torch.cat((real, made.detach())))
        good, bad = scores.split((len(real), len(made)))
        loss = critic_loss(good, bad)
        value = self._fabric.all_reduce(loss.detach())  # all processes pause, or none
        if value > RESTS:
            self._optimiser.zero_grad(set_to_none=True)
            self._fabric.backward(loss)
            self._optimiser.step()
        return {"critic": float(value), "real": float(good.detach().mean()), "made": float(bad.detach().mean())}


@contextmanager
def _frozen(network: torch.nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
