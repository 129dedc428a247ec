"""Small ONNX models that tests run: pose networks that know each joint by its colour, and what a hostile file may hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = helper.make_opsetid("", 13)
MEAN, DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])  # published for RTMPose, RGB


def colours(joints: int) -> np.ndarray:
    """(J, 3) RGB, 0..255: each joint's own, on a circle around grey. Red and blue tell joints apart, green does not."""
    angle = np.arange(joints) * 2 * np.pi / joints
    return np.round(np.column_stack([128 + 100 * np.cos(angle), np.full(joints, 128), 128 + 100 * np.sin(angle)]))


def painted(places: np.ndarray, size: tuple[int, int], half: int = 4, joints: int = 17) -> np.ndarray:
    """A grey picture with a square of its own colour around each of the first (N, 2) of so many joints."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for (x, y), colour in zip(places, colours(joints)):
        image[max(0, int(y) - half) : int(y) + half + 1, max(0, int(x) - half) : int(x) + half + 1] = colour
    return image


def constant(name: str, values: Any, dtype: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.array(values, dtype), name)


def model(
    nodes: Sequence[Any],
    weights: Sequence[Any] = (),
    shape: Sequence[int | str] = ("batch", 3, 8, 8),
    outputs: Sequence[str] = ("out",),
    kind: int = TensorProto.FLOAT,
    **more: Any,
) -> Any:
    """A model of these nodes, whose input is named `input`."""
    taken = [helper.make_tensor_value_info("input", kind, list(shape))]
    given = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "network", taken, given, list(weights))
    opsets = [OPSET, *(helper.make_opsetid(domain, 1) for domain in sorted({node.domain for node in nodes} - {""}))]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)


def pose_model(
    joints: int = 17,
    size: tuple[int, int] = (192, 256),
    heatmaps: bool = False,
    names: Sequence[str] = ("simcc_x", "simcc_y"),
    half: bool = False,
) -> Any:
    """A pose network for pictures of `size` (width, height): a joint is in the middle of what has its colour, with a peak of 1.

    heatmaps: maps of cells four pixels wide, else SimCC vectors of two bins a pixel. half: in float16. names: of the vectors along
    x and along y; they come out sorted by name.
    """
    (width, height), kind = size, np.float16 if half else np.float32
    # exp(-30 d^2) of the distance d of a pixel's colour from the joint's, in units of a hundred; averaged over 5 x 5 pixels.
    known, kernel = colours(joints) / 100, (1, 1)
    weights = [
        constant("scale", np.diag(DEVIATION / 100)[..., None, None], kind),
        constant("offset", MEAN / 100, kind),
        constant("ones", np.full((joints, 3, *kernel), -30.0), kind),
        constant("colours", 60 * known[:, :, None, None], kind),
        constant("squares", -30 * (known**2).sum(1), kind),
    ]
    nodes = [
        helper.make_node("Conv", ["input", "scale", "offset"], ["pixels"]),
        helper.make_node("Mul", ["pixels", "pixels"], ["squared"]),
        helper.make_node("Conv", ["squared", "ones"], ["first"]),
        helper.make_node("Conv", ["pixels", "colours", "squares"], ["second"]),
        helper.make_node("Add", ["first", "second"], ["near"]),
        helper.make_node("Exp", ["near"], ["there"]),
        helper.make_node("AveragePool", ["there"], ["alike"], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
    ]
    if heatmaps:
        nodes.append(helper.make_node("AveragePool", ["alike"], ["heatmap"], kernel_shape=[4, 4], strides=[4, 4]))
        names = ["heatmap"]
    else:
        for name, axis, length in zip(names, (2, 3), (width, height)):
            weights += [constant(name + "_axis", [3], np.int64), constant(name + "_twice", [1, joints, length, 2], np.int64)]
            weights.append(constant(name + "_all", [1, joints, 2 * length], np.int64))
            nodes += [
                helper.make_node("ReduceMax", ["alike"], [name + "_line"], axes=[axis], keepdims=0),
                helper.make_node("Unsqueeze", [name + "_line", name + "_axis"], [name + "_bins"]),
                helper.make_node("Expand", [name + "_bins", name + "_twice"], [name + "_both"]),
                helper.make_node("Reshape", [name + "_both", name + "_all"], [name]),
            ]
    dtype = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    return model(nodes, weights, ("batch", 3, height, width), sorted(names), dtype)


def box_model(boxes: np.ndarray, size: tuple[int, int], labels: Sequence[int] | None = None) -> Any:
    """A person detector that gives these boxes (N, 5) for any picture of `size`; to negative scores it adds the picture's highest
    value."""
    width, height = size
    rows = np.asarray(boxes, np.float32)[None]
    brightest = np.zeros((1, 1, 5), np.float32)
    brightest[..., 4] = 1
    weights = [constant("boxes", rows), constant("column", brightest), constant("dark", (rows < 0) * 1.0)]
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "column"], ["added"]),
        helper.make_node("Mul", ["added", "dark"], ["more"]),
        helper.make_node("Add", ["boxes", "more"], ["dets"]),
    ]
    if labels is None:
        return model(nodes, weights, ("batch", 3, height, width), ["dets"])
    weights += [constant("classes", [labels], np.int64)]
    nodes += [helper.make_node("Identity", ["classes"], ["labels"])]
    made = model(nodes, weights, ("batch", 3, height, width), ["dets", "labels"])
    made.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    return made


def expanding(gigabytes: float) -> Any:
    """A network that makes an array of so many gigabytes of its picture, and averages it."""
    count = int(gigabytes * 1e9 / (4 * 3 * 8 * 8))
    shape = constant("shape", [count, 3, 8, 8], np.int64)
    nodes = [
        helper.make_node("Expand", ["input", "shape"], ["large"]),
        helper.make_node("ReduceMean", ["large"], ["out"], keepdims=0),
    ]
    return model(nodes, [shape])


def endless() -> Any:
    """A network that counts to a million million."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Relu", ["x"], ["y"])],
        "body",
        [
            value("step", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("x", TensorProto.FLOAT, [1, 3, 8, 8]),
        ],
        [value("goes", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    weights = [constant("count", 10**12, np.int64), constant("yes", True, np.bool_)]
    return model([helper.make_node("Loop", ["count", "yes", "input"], ["out"], body=body)], weights, (1, 3, 8, 8))


def slow(layers: int = 100) -> Any:
    """A network that takes a second or more, in many steps, and no more memory than others."""
    kernel = constant("kernel", np.zeros((64, 64, 3, 3)))
    nodes = [helper.make_node("Concat", ["input"] * 21 + ["one"], ["a0"], axis=1)]
    for layer in range(layers):
        nodes.append(helper.make_node("Conv", [f"a{layer}", "kernel"], [f"a{layer + 1}"], pads=[1, 1, 1, 1]))
    nodes.append(helper.make_node("Relu", [f"a{layers}"], ["out"]))
    return model(nodes, [kernel, constant("one", np.zeros((1, 1, 128, 128)))], (1, 3, 128, 128))


def doubling(depth: int) -> Any:
    """A network of functions that call the one before twice each: 2 ** depth operations."""
    functions = []
    for level in range(depth):
        name, domain = ("Relu", "") if level == 0 else (f"F{level - 1}", "f")
        nodes = [helper.make_node(name, ["x"], ["a"], domain=domain), helper.make_node(name, ["a"], ["y"], domain=domain)]
        functions.append(helper.make_function("f", f"F{level}", ["x"], ["y"], nodes, [OPSET, helper.make_opsetid("f", 1)]))
    return model([helper.make_node(f"F{depth - 1}", ["input"], ["out"], domain="f")], functions=functions)


def elsewhere(path: str) -> Any:
    """A network whose weights are in another file."""
    weights = constant("weights", np.ones((1, 3, 8, 8)))
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", path
    return model([helper.make_node("Add", ["input", "weights"], ["out"])], [weights])


def write(path: Path, made: Any) -> Path:
    path.write_bytes(made.SerializeToString())
    return path
