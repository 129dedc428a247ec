"""Lifting networks run by torch: on graphics cards, those that read heat maps, and those in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.data import Camera
from stpose_core.lift.heatmaps import HeatMaps, keypoint_blobs
from stpose_core.lift.lifter import Lifter, read_lifter
from stpose_core.lift.normalise import PersonView
from stpose_core.networks.lifting import LiftingNetwork, make_network
from stpose_core.networks.lifting_configs import LiftingConfig, reads_both, reads_maps
from stpose_core.networks.outputs import TemporalOutput
from stpose_core.skeletons import H36M17
from stpose_core.weights import filled


class TorchNetwork:
    """A torch module as a `stpose_core.lift.lifter.Network`: arrays in, arrays out."""

    def __init__(self, module: LiftingNetwork, device: torch.device | str = "cpu") -> None:
        self.module = module.eval().to(device)
        self.config, self.device = module.config, torch.device(device)

    @torch.inference_mode()
    def __call__(self, inputs: NDArray[np.float32], context: NDArray[np.float32]) -> TemporalOutput:
        """inputs: joints (B, T, J, 4), of which a network that reads maps gets one Gaussian each."""
        joints = torch.from_numpy(inputs).to(self.device)
        if not reads_maps(self.config):
            return self._run(joints, context)
        return self._run(keypoint_blobs(joints).draw(), context, inputs)

    @torch.inference_mode()
    def read_maps(
        self,
        maps: HeatMaps,
        view: PersonView,
        camera: Camera,
        joints: NDArray[np.float32],
        context: NDArray[np.float32],
        *,
        inner: slice,
        mirrored: bool,
    ) -> TemporalOutput:
        """Outputs for the frames `inner` of heat maps of one person, or of the mirror image. view: of the person or the image.
        joints, context: of the frames `inner`, as for `__call__`."""
        # The view of the mirror image is the mirror image of the view: x changes sign, and so do rotations about y and z.
        sign = np.array([-1, 1, 1] if mirrored else [1, 1, 1], np.float32)
        own = (view.rotation * sign[:, None] * sign, view.size, view.known)
        drawn = maps.seen_in(PersonView(*(torch.from_numpy(part).to(self.device) for part in own)), camera)
        if mirrored:
            drawn = drawn[:, :, list(H36M17.mirror)].flip(-1)
        return self._run(drawn[:, inner], context, joints)

    def _run(self, inputs: torch.Tensor, context: NDArray[np.float32], joints: NDArray[np.float32] | None = None) -> TemporalOutput:
        more = (torch.from_numpy(joints).to(self.device),) if joints is not None and reads_both(self.config) else ()
        output = self.module(inputs, torch.from_numpy(context).to(self.device), *more)
        return TemporalOutput(**{entry.name: getattr(output, entry.name).float().cpu().numpy() for entry in fields(output)})


def made_of(config: LiftingConfig, tensors: Mapping[str, NDArray[Any]], device: str = "cpu") -> TorchNetwork:
    """A network of these dimensions with these tensors. Raises RuntimeError if they do not belong together."""
    own = {name: torch.from_numpy(values) for name, values in tensors.items()}
    return TorchNetwork(filled(lambda: make_network(config), own), device)


def torch_lifter(path: str | Path | None = None, device: str = "cpu") -> Lifter:
    """As `stpose_core.load_lifter`, with the network in torch, whatever it reads."""
    return Lifter(read_lifter(path, lambda config, tensors: made_of(config, tensors, device)))
