"""Rate, delay and memory of a live session: a clip, looped to a length, is played as a camera, and each pose goes to a socket.

    python benchmarks/live.py CLIP [--detector builtin] [--minutes 1]

The delay is the time from the arrival of a frame until its pose was handed to a client that reads. Memory is the resident size of
the process at the end of each minute.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import threading
import time
from pathlib import Path

import torch
from speed import loop

from stpose_core.detect import KeypointFile
from stpose_core.lift import load_lifter
from stpose_core.live import LiveReport, NewestFrame, run_live
from stpose_core.live.senders import JsonServer
from stpose_core.pipeline import open_detector
from stpose_core.weights import LIVE_LIFTER


def resident() -> float:
    """The resident size of this process, MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def drain(port: int) -> None:
    """A client that reads all that comes."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        while client.recv(65536):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--detector", default="builtin")
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detector = open_detector(options.detector)
    if isinstance(detector, KeypointFile):
        parser.error("a live session needs a detector")
    lifter = load_lifter(LIVE_LIFTER)
    report, sizes = LiveReport(), [resident()]

    def watch(*_: object) -> bool:
        if report.seconds > 60 * len(sizes):
            sizes.append(resident())
        return report.seconds < 60 * options.minutes

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"long{options.clip.suffix}"
        loop(options.clip, 60 * options.minutes + 30, path)
        server = JsonServer()
        threading.Thread(target=drain, args=(server.port,), daemon=True).start()
        began = time.process_time()
        with NewestFrame(str(path)) as source:
            run_live(source, detector=detector, lifter=lifter, senders=[server], watch=watch, report=report)
        server.close()
    print(f"{options.clip.name}, {detector.name}: {report}")
    print(f"processor time a frame: {1000 * (time.process_time() - began) / max(report.frames, 1):.0f} ms")
    print("resident MB, at the start and after each minute:", " ".join(f"{size:.0f}" for size in [*sizes, resident()]))


if __name__ == "__main__":
    main()
