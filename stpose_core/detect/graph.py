"""The detector's networks as ONNX graphs, made of the dimensions and tensors of a weights file, without torch.

Layer by layer these are `stpose_core.networks.spatial.SpatialNetwork` and `stpose_core.networks.finder.FinderNetwork` as they are
used, not trained; a tensor's name is that of the parameter there. A change of one is a change of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect import onnx_write
from stpose_core.detect.onnx_write import Attribute, Shape
from stpose_core.networks.configs import CELL, STRIDE, FinderConfig, SpatialConfig

Tensors = Mapping[str, NDArray[np.float32]]
_EPSILON = 1e-5  # of batch and group norms: torch's default


def spatial_graph(config: SpatialConfig, tensors: Tensors) -> bytes:
    """An .onnx file: picture (1, 3, H, W) -> maps (1, J, H / 4, W / 4), hidden (1, J), for the size in `config`.

    Raises ValueError if the tensors are not those of such a network.
    """
    graph = _Graph(tensors)
    width, height = config.size
    x = graph.convolution("picture", "stem.0", (3, config.stem), stride=2)
    x = graph.convolution(x, "stem.1", (config.stem, config.stem), stride=2)
    x = graph.blocks(x, "stem", range(2, 2 + config.first), config.stem)
    scales, channels = [graph.convolution(x, "enter", (config.stem, config.width))], [config.width]
    for stage, count in enumerate(config.modules or (1,)):
        if config.modules:
            scales.append(graph.convolution(scales[-1], f"deeper.{stage}", (channels[-1], 2 * channels[-1]), stride=2))
            channels.append(2 * channels[-1])
        for number in range(count):
            if config.heads and config.modules and stage == len(config.modules) - 1:
                size = (width // STRIDE >> len(config.modules), height // STRIDE >> len(config.modules))
                scales[-1] = _attention(graph, scales[-1], f"attention.{number}", channels[-1], config.heads, size)
            scales = _module(graph, scales, f"stages.{stage}.{number}", channels, config.blocks * (1 if config.modules else 2))
    read = [graph.convolve(x, f"read.{k}", (channels[k], config.head), bias=False) for k, x in enumerate(scales)]
    merged = graph.sum(x if k == 0 else graph.enlarged(x, 2**k, "linear") for k, x in enumerate(read))
    merged = graph.add("Relu", graph.norm(merged, "norm", config.head))
    maps = graph.convolve(merged, "maps", (config.head, config.joints), output="maps")
    # (1, J, cells) x (1, cells, head): what lies where a joint is.
    where = graph.add("Softmax", graph.shaped(maps, 1, config.joints, -1), axis=-1)
    columns = graph.add("Transpose", graph.shaped(merged, 1, config.head, -1), perm=(0, 2, 1))
    judged = graph.add("Mul", graph.add("MatMul", where, columns), graph.weight("seen", config.joints, config.head))
    own = graph.add("ReduceSum", judged, graph.constant([-1]), keepdims=0)
    whole = graph.shaped(graph.add("GlobalAveragePool", scales[-1]), 1, channels[-1])
    weight, bias = graph.weight("context.weight", config.joints, channels[-1]), graph.weight("context.bias", config.joints)
    graph.add("Add", own, graph.add("Gemm", whole, weight, bias, transB=1), output="hidden")
    shapes = {"maps": (1, config.joints, height // STRIDE, width // STRIDE), "hidden": (1, config.joints)}
    return graph.model((1, 3, height, width), shapes)


def finder_graph(config: FinderConfig, tensors: Tensors) -> bytes:
    """An .onnx file: picture (1, 3, H, W) -> centre (1, h, w), sides (1, 4, h, w), up (1, 2, h, w), for pictures of any size whose
    sides are multiples of 64. Raises ValueError if the tensors are not those of such a network."""
    graph = _Graph(tensors)
    widths, head = config.widths, config.head
    x = graph.convolution("picture", "stem.0", (3, config.stem), stride=2)
    x = graph.convolution(x, "stem.1", (config.stem, widths[0]), stride=2)
    scales = []
    for level, (before, after) in enumerate(zip(widths, widths[1:])):
        x = graph.convolution(x, f"levels.{level}.0", (before, after), stride=2)
        x = graph.blocks(x, f"levels.{level}", range(1, 1 + config.blocks), after)
        scales.append(x)
    top = ""
    for level in reversed(range(len(scales))):
        own = graph.convolve(scales[level], f"read.{level}", (widths[level + 1], head))
        whole = graph.add("Add", own, graph.enlarged(top, 2, "nearest")) if top else own
        top = graph.convolution(whole, f"merge.{level}", (head, head))
    out = graph.convolve(top, "out", (head, 7))
    graph.add("Gather", out, graph.constant(0), axis=1, output="centre")
    bounded = graph.add("Clip", graph.sliced(out, 1, 5), graph.constant(np.float32(-5)), graph.constant(np.float32(5)))
    graph.add("Mul", graph.add("Exp", bounded), graph.constant(np.float32(4 * CELL)), output="sides")
    graph.sliced(out, 5, 7, output="up")
    shapes = {"centre": (1, "h", "w"), "sides": (1, 4, "h", "w"), "up": (1, 2, "h", "w")}
    return graph.model((1, 3, "H", "W"), shapes)


def _module(graph: _Graph, scales: list[str], name: str, channels: list[int], blocks: int) -> list[str]:
    """Branches of blocks, then every branch receives the sum of all."""
    scales = [graph.blocks(x, f"{name}.branches.{k}", range(blocks), width) for k, (x, width) in enumerate(zip(scales, channels))]
    sums = []
    for target in range(len(channels)):
        values = [_path(graph, x, f"{name}.paths.{target}.{source}", channels, source, target) for source, x in enumerate(scales)]
        sums.append(graph.add("Relu", graph.sum(values)))
    return sums


def _path(graph: _Graph, x: str, name: str, channels: list[int], source: int, target: int) -> str:
    """Features of one resolution at another, with its channels."""
    if source == target:
        return x
    if source > target:
        x = graph.convolution(x, name, (channels[source], channels[target]), kernel=1, active=False)
        return graph.enlarged(x, 2 ** (source - target), "nearest")
    for step in range(source, target - 1):
        x = graph.convolution(x, f"{name}.{step - source}", (channels[source], channels[source]), stride=2)
    return graph.convolution(x, f"{name}.{target - source - 1}", (channels[source], channels[target]), stride=2, active=False)


def _attention(graph: _Graph, x: str, name: str, channels: int, heads: int, size: tuple[int, int]) -> str:
    """Every place of a branch of `size` (width, height) sees every other."""
    depth, places = channels // heads, size[0] * size[1]
    # A norm over all channels of a picture is that of one channel with all values.
    one, none = graph.constant(np.ones(1, np.float32)), graph.constant(np.zeros(1, np.float32))
    even = graph.add("InstanceNormalization", graph.shaped(x, 1, 1, -1), one, none, epsilon=_EPSILON)
    even = graph.add("Mul", graph.shaped(even, 1, channels, size[1], size[0]), graph.per_channel(f"{name}.norm.weight", channels))
    even = graph.add("Add", even, graph.per_channel(f"{name}.norm.bias", channels))
    placed = graph.add("Add", even, graph.weight(f"{name}.place", channels, size[1], size[0]))
    looked = graph.shaped(graph.convolve(placed, f"{name}.look", (channels, 3 * channels)), 3, heads, depth, places)
    query, key, value = (graph.add("Gather", looked, graph.constant(number), axis=0) for number in range(3))
    scaled = graph.add("Mul", graph.add("Transpose", query, perm=(0, 2, 1)), graph.constant(np.float32(1 / sqrt(depth))))
    weights = graph.add("Softmax", graph.add("MatMul", scaled, key), axis=-1)
    found = graph.add("MatMul", value, graph.add("Transpose", weights, perm=(0, 2, 1)))
    told = graph.convolve(graph.shaped(found, 1, channels, size[1], size[0]), f"{name}.tell", (channels, channels))
    return graph.add("Add", x, told)


class _Graph:
    """Operations and constants in the order in which they are added; arrays are known by name."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._nodes: list[bytes] = []
        self._constants: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {}

    def add(self, operation: str, *inputs: str, output: str = "", **attributes: Attribute) -> str:
        """An operation -> the name of its output."""
        output = output or f"{operation}.{len(self._nodes)}"
        self._nodes.append(onnx_write.node(operation, inputs, output, attributes))
        return output

    def weight(self, name: str, *shape: int) -> str:
        """A tensor of the weights file. Raises ValueError if it is missing or of another shape."""
        values = self._tensors.get(name)
        if values is None or values.shape != shape or values.dtype != np.float32:
            found = "missing" if values is None else f"{values.dtype} {'x'.join(map(str, values.shape))}"
            raise ValueError(f"{name} is {found}, expected float32 {'x'.join(map(str, shape))}")
        self._constants[name] = values
        return name

    def constant(self, values: object) -> str:
        """Numbers that are not weights; whole ones as int64."""
        array = np.asarray(values)
        name = f"constant.{len(self._constants)}"
        self._constants[name] = array if array.dtype == np.float32 else array.astype(np.int64)
        return name

    def per_channel(self, name: str, channels: int) -> str:
        """A tensor of the weights file (channels,) as (channels, 1, 1)."""
        return self.shaped(self.weight(name, channels), channels, 1, 1)

    def shaped(self, x: str, *shape: int) -> str:
        return self.add("Reshape", x, self.constant(shape))

    def sliced(self, x: str, first: int, end: int, output: str = "") -> str:
        """Channels from `first` to before `end`."""
        return self.add("Slice", x, self.constant([first]), self.constant([end]), self.constant([1]), output=output)

    def sum(self, values: Iterable[str]) -> str:
        total, *rest = values
        for value in rest:
            total = self.add("Add", total, value)
        return total

    def enlarged(self, x: str, times: int, mode: str) -> str:
        """So many times as wide and tall: by repeating values ("nearest"), or between them ("linear")."""
        how = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"} if mode == "nearest" else {}
        return self.add("Resize", x, "", self.constant(np.array([1, 1, times, times], np.float32)), mode=mode, **how)

    def convolve(
        self,
        x: str,
        name: str,
        channels: tuple[int, int],
        kernel: int = 1,
        stride: int = 1,
        bias: bool = True,
        output: str = "",
    ) -> str:
        """A convolution from channels[0] to channels[1], padded so that the size is kept but for the stride."""
        before, after = channels
        inputs = [x, self.weight(f"{name}.weight", after, before, kernel, kernel)]
        if bias:
            inputs.append(self.weight(f"{name}.bias", after))
        return self.add("Conv", *inputs, strides=(stride, stride), pads=(kernel // 2,) * 4, output=output)

    def norm(self, x: str, name: str, channels: int) -> str:
        """Batch norm by the statistics of training."""
        parts = (self.weight(f"{name}.{part}", channels) for part in ("weight", "bias", "running_mean", "running_var"))
        return self.add("BatchNormalization", x, *parts, epsilon=_EPSILON)

    def convolution(
        self, x: str, name: str, channels: tuple[int, int], kernel: int = 3, stride: int = 1, active: bool = True
    ) -> str:
        """`stpose_core.networks.spatial.Convolution`: without bias, with batch norm, and ReLU if `active`."""
        x = self.norm(self.convolve(x, f"{name}.0", channels, kernel, stride, bias=False), f"{name}.1", channels[1])
        return self.add("Relu", x) if active else x

    def blocks(self, x: str, name: str, numbers: range, channels: int) -> str:
        """`stpose_core.networks.spatial.Block`, one after the other."""
        for number in numbers:
            inner = self.convolution(x, f"{name}.{number}.one", (channels, channels))
            inner = self.convolution(inner, f"{name}.{number}.two", (channels, channels), active=False)
            x = self.add("Relu", self.add("Add", x, inner))
        return x

    def model(self, picture: Shape, outputs: Mapping[str, Shape]) -> bytes:
        """The file. Raises ValueError if the weights file holds tensors that the graph does not use."""
        unused = [name for name in self._tensors if name not in self._constants and not name.endswith(".num_batches_tracked")]
        if unused:
            raise ValueError(f"unknown tensors: {', '.join(sorted(unused))[:100]}")
        tensors = (onnx_write.tensor(name, values) for name, values in self._constants.items())
        return onnx_write.model(self._nodes, tensors, {"picture": picture}, outputs)
