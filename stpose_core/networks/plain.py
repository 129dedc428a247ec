"""The lifting networks in numpy, for use without torch: a weights file's tensors -> outputs equal to those of the torch modules.

Convolutions over time are matrix products, one for each tap; batch norms are part of the convolution before them. Only networks
that read keypoints: heat maps need `stpose_core.networks.lifting`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import WeightsError
from stpose_core.networks.lifting_configs import (
    CONTEXT_CHANNELS,
    KEYPOINT_CHANNELS,
    DilatedConfig,
    LiftingConfig,
    TemporalConfig,
    ahead_of,
    reach_of,
)
from stpose_core.networks.outputs import TemporalOutput, averaged, head_sizes, metric_output, places, projective_output

Single = NDArray[np.float32]
_EPSILON = 1e-5  # torch's, of a batch norm


@dataclass(frozen=True)
class _Layer:
    """A convolution over time: (in, T) -> (out, T - dilation * (taps - 1)). weight: (taps, out, in); bias: (out, 1)."""

    weight: Single
    bias: Single
    dilation: int = 1

    def __call__(self, values: Single) -> Single:
        frames = values.shape[1] - self.dilation * (len(self.weight) - 1)
        made = self.weight[0] @ values[:, :frames]
        for tap, weight in enumerate(self.weight[1:], 1):
            made += weight @ values[:, tap * self.dilation : tap * self.dilation + frames]
        made += self.bias
        return made


@dataclass(frozen=True)
class _Tensors:
    """The tensors of a weights file by name; each may be taken once."""

    left: dict[str, NDArray[np.generic]]

    def take(self, name: str, *shape: int) -> Single:
        """Raises ValueError if it is missing or of another shape."""
        found = self.left.pop(name, None)
        if found is None or found.shape != shape:
            told = "is missing" if found is None else f"has shape {found.shape} instead of {shape}"
            raise ValueError(f"{name[:60]} {told}")
        return np.asarray(found, np.float32)

    def layer(self, name: str, shape: tuple[int, int, int], *, norm: str = "", bias: bool = False, dilation: int = 1) -> _Layer:
        """A convolution of shape (outputs, inputs, taps), and the batch norm behind it, if it has a name."""
        weight, shift = self.take(f"{name}.weight", *shape), np.zeros(shape[0], np.float32)
        if bias:
            shift = self.take(f"{name}.bias", shape[0])
        if norm:
            scale, offset, mean, variance = (
                self.take(f"{norm}.{part}", shape[0]) for part in ("weight", "bias", "running_mean", "running_var")
            )
            self.take(f"{norm}.num_batches_tracked")
            with np.errstate(all="ignore"):
                scale = scale / np.sqrt(variance + _EPSILON)
                weight, shift = weight * scale[:, None, None], offset + (shift - mean) * scale
            if not (np.isfinite(weight).all() and np.isfinite(shift).all()):
                raise ValueError(f"the norm {norm} gives values that are not finite")
        return _Layer(np.ascontiguousarray(weight.transpose(2, 0, 1)), shift[:, None], dilation)


def _rectified(values: Single) -> Single:
    return np.maximum(values, 0, out=values)


@dataclass(frozen=True)
class _Block:
    """Residual block; see `stpose_core.networks.temporal.Block`."""

    wide: _Layer
    point: _Layer
    ahead: int

    def __call__(self, values: Single) -> Single:
        made = _rectified(self.point(_rectified(self.wide(values))))
        first = values.shape[1] - self.ahead - made.shape[1]
        made += values[:, first : values.shape[1] - self.ahead]
        return made


def _block(tensors: _Tensors, name: str, width: int, kernel: int, dilation: int, ahead: int) -> _Block:
    wide = tensors.layer(f"{name}.wide", (width, width, kernel), norm=f"{name}.norm1", dilation=dilation)
    return _Block(wide, tensors.layer(f"{name}.point", (width, width, 1), norm=f"{name}.norm2"), ahead)


class PlainNetwork:
    """A lifting network that reads keypoints: (joints (B, T, J, 4), context (B, T, 4)) -> TemporalOutput of the frames
    T - 2 * config.context in the middle, float32.

    Raises WeightsError where finite inputs give poses that are not finite.

    Raises ValueError if the tensors are not those of a network of these dimensions, or if it reads heat maps.
    """

    def __init__(self, config: LiftingConfig, tensors: Mapping[str, NDArray[np.generic]]) -> None:
        self.config = config
        left = _Tensors(dict(tensors))
        if isinstance(config, DilatedConfig):
            self._forward: Callable[[Single, Single], TemporalOutput] = _Dilated(config, left)
        elif config.inputs == "keypoints":
            self._forward = _MultiStride(config, left)
        else:
            raise ValueError("a network that reads heat maps is run in torch")
        if left.left:
            raise ValueError(f"{next(iter(left.left))[:60]} does not belong to the network")

    def __call__(self, inputs: Single, context: Single) -> TemporalOutput:
        if inputs.shape[1] <= 2 * self.config.context:
            raise ValueError(
                f"{inputs.shape[1]} frames are too few: the network needs {2 * self.config.context + 1} for one output"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            output = self._forward(inputs, context)
        if not np.isfinite(output.pose).all() and np.isfinite(inputs).all():
            raise WeightsError("the lifter's weights are damaged: its poses are not finite")
        return output


def _channels(joints: Single, context: Single) -> list[Single]:
    """Keypoints (B, T, J, C) and context (B, T, 4) as (channels, T) for each sample."""
    both = np.concatenate((joints.reshape(*joints.shape[:2], -1), context), -1)
    return [np.ascontiguousarray(sample.T, np.float32) for sample in both]


class _MultiStride:
    """See `stpose_core.networks.temporal.TemporalNetwork`."""

    def __init__(self, config: TemporalConfig, tensors: _Tensors) -> None:
        self.config, latent, width = config, config.latent, config.width
        inputs = config.joints * (KEYPOINT_CHANNELS if config.visibility else 2) + CONTEXT_CHANNELS
        self.encoder = tensors.layer("encoder.linear", (latent, inputs, 1), norm="norm", bias=True)
        self.frame = [
            [tensors.layer(f"frame.{n}.layers.{m}", (latent, latent, 1), norm=f"frame.{n}.layers.{m + 1}") for m in (0, 4)]
            for n in range(config.frame_blocks)
        ]
        self.branches = [self._branch(f"branches.{n}", stride, tensors) for n, stride in enumerate(config.strides)]
        merged = width * len(config.strides)
        self.merge = tensors.layer("merge.0", (latent, merged, 1), norm="merge.1")
        self.sizes = head_sizes(config.joints, config.contacts, config.output == "projective")
        self.heads = tensors.layer("heads", (sum(self.sizes), merged + latent, 1), bias=True)

    def _branch(self, name: str, stride: int, tensors: _Tensors) -> tuple[_Layer, _Block, _Block]:
        config = self.config
        enter = tensors.layer(f"{name}.enter.0", (config.width, config.latent, 1), norm=f"{name}.enter.1")
        near, far = ahead_of(config, stride)
        return (
            enter,
            _block(tensors, f"{name}.near", config.width, config.kernel, stride, near),
            _block(tensors, f"{name}.far", config.width, config.kernel, stride * config.spread, far),
        )

    def __call__(self, inputs: Single, context: Single) -> TemporalOutput:
        config, frames = self.config, inputs.shape[1]
        reach = config.context - config.output_window
        used = frames - reach + max(reach_of(config, stride)[1] for stride in config.strides)
        read = inputs[:, :used] if config.visibility else inputs[:, :used, :, :2]
        values = np.stack([self._values(sample, frames, reach).T for sample in _channels(read, context[:, :used])])
        if config.output != "projective":
            return averaged(metric_output(values, self.sizes), config.output_window)
        core = slice(reach, frames - reach)
        # Context: log of the angular size, and whether it is known.
        size = np.exp(context[:, core, 2]) * context[:, core, 3]
        if not config.visibility:
            inputs = np.concatenate((inputs[..., :3], np.ones_like(inputs[..., 3:])), -1)
        seen = places(inputs, config.place_window)[:, core]
        return averaged(projective_output(values, self.sizes, seen, size), config.output_window)

    def _values(self, sample: Single, frames: int, reach: int) -> Single:
        """(channels, T) -> (sum of sizes, T - 2 * reach), those of the last layer."""
        latent = _rectified(self.encoder(sample))
        for first, second in self.frame:
            latent += _rectified(second(_rectified(first(latent))))
        scales = []
        for stride, (enter, near, far) in zip(self.config.strides, self.branches):
            before, ahead = reach_of(self.config, stride)
            scales.append(far(near(_rectified(enter(latent[:, reach - before : frames - reach + ahead])))))
        merged = np.concatenate(scales)
        return self.heads(np.concatenate((merged, _rectified(self.merge(merged)))))


class _Dilated:
    """See `stpose_core.networks.dilated.DilatedNetwork`."""

    def __init__(self, config: DilatedConfig, tensors: _Tensors) -> None:
        first, *others = config.kernels
        self.read = KEYPOINT_CHANNELS if config.visibility else 2
        inputs = config.joints * self.read + CONTEXT_CHANNELS
        self.expand = tensors.layer("expand.0", (config.channels, inputs, first), norm="expand.1")
        dilations = [prod(config.kernels[: index + 1]) for index in range(len(others))]
        self.blocks = [
            _block(tensors, f"blocks.{n}", config.channels, taps, dilation, dilation * (taps // 2))
            for n, (taps, dilation) in enumerate(zip(others, dilations))
        ]
        self.sizes = head_sizes(config.joints, 0, projective=False)
        self.heads = tensors.layer("heads", (sum(self.sizes), config.channels, 1), bias=True)

    def __call__(self, inputs: Single, context: Single) -> TemporalOutput:
        return metric_output(
            np.stack([self._values(sample).T for sample in _channels(inputs[..., : self.read], context)]), self.sizes
        )

    def _values(self, sample: Single) -> Single:
        values = _rectified(self.expand(sample))
        for block in self.blocks:
            values = block(values)
        return self.heads(values)
