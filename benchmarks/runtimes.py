"""Speed of the built-in detector's networks in the runtimes that are installed: torch, ONNX Runtime, OpenVINO.

    python benchmarks/runtimes.py [--threads 1 2] [--rounds 15] [--processor-time]

Random weights of the shipped sizes, one picture at a time, as a capture runs them. Rounds go through all runtimes in turn and the
least time of each counts, as other work on the machine only ever adds. Runtimes that are not installed are left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stpose_core.detect.graph import finder_graph, spatial_graph
from stpose_core.networks.configs import PRESETS, FinderConfig
from stpose_core.networks.finder import FinderNetwork
from stpose_core.networks.spatial import SpatialNetwork, count_multiplications

Run = Callable[[], object]


def with_torch(network: nn.Module, picture: Tensor, threads: int, half: bool) -> Run:
    last = picture.contiguous(memory_format=torch.channels_last)

    def run() -> object:
        torch.set_num_threads(threads)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            return network(last)

    return run


def with_onnxruntime(graph: bytes, picture: Tensor, threads: int) -> Run:
    package = import_module("onnxruntime")
    options = package.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = package.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name, array = session.get_inputs()[0].name, picture.numpy()
    return lambda: session.run(None, {name: array})


def with_openvino(graph: bytes, picture: Tensor, threads: int, precision: str) -> Run:
    core: Any = import_module("openvino").Core()
    model = core.read_model(graph)
    model.reshape({model.inputs[0]: list(picture.shape)})
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    array = picture.numpy()
    return lambda: request.infer([array])


def runs_of(network: nn.Module, graph: bytes, picture: Tensor, threads: int) -> dict[str, Run]:
    """The runtimes that are there, by name. graph: the network as an .onnx file."""
    runs = {
        "torch, fp32": with_torch(network, picture, threads, False),
        "torch, bf16": with_torch(network, picture, threads, True),
    }
    if find_spec("onnxruntime"):
        runs["ONNX Runtime, fp32"] = with_onnxruntime(graph, picture, threads)
    if find_spec("openvino"):
        runs["OpenVINO, fp32"] = with_openvino(graph, picture, threads, "f32")
        runs["OpenVINO, bf16"] = with_openvino(graph, picture, threads, "bf16")
    return runs


def least(runs: dict[str, Run], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Milliseconds of each run by the clock, the least of all rounds."""
    best = dict.fromkeys(runs, float("inf"))
    for number in range(rounds + 2):
        for name, run in runs.items():
            began = clock()
            run()
            if number >= 2:  # the first ones prepare
                best[name] = min(best[name], 1000 * (clock() - began))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--processor-time", action="store_true", help="of all threads, for a machine that is busy with other work")
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    torch.manual_seed(0)
    small, config = PRESETS["small"], FinderConfig()
    pose, finder = SpatialNetwork(small).eval(), FinderNetwork(config).eval()
    networks: tuple[tuple[str, nn.Module, bytes, tuple[int, int]], ...] = (
        ("pose, small", pose, spatial_graph(small, arrays_of(pose)), small.size),
        ("finder", finder, finder_graph(config, arrays_of(finder)), (config.side, 192)),
    )
    print("| network | runtime | " + " | ".join(f"ms, {count} thread{'s' * (count > 1)}" for count in options.threads) + " |")
    print("|---|---|" + "---|" * len(options.threads))
    for title, network, graph, size in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        picture = torch.rand(1, 3, size[1], size[0]) - 0.5
        name = f"{title}, {size[0]} x {size[1]}, {count_multiplications(network, size) / 1e9:.2f} GMAC"
        times = [least(runs_of(network, graph, picture, count), options.rounds, clock) for count in options.threads]
        for runtime in times[0]:
            print(f"| {name} | {runtime} | " + " | ".join(f"{each[runtime]:.1f}" for each in times) + " |")


def arrays_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """The parameters and buffers of a network by name."""
    return {name: values.numpy() for name, values in network.state_dict().items()}


if __name__ == "__main__":
    main()
