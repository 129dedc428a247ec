"""Speed of the whole command against its detector alone on the same clip, and memory over the length of a video.

    python benchmarks/speed.py CLIP [--detector mediapipe] [--rounds 3] [--minutes 1 10]

Both are whole processes, started in turns, and their time is from start to end, imports and all. "Detector alone"
decodes the clip and runs the detector's pose network once a frame in the box of the frame before; it searches where
there is no box. For memory the clip is looped to the lengths in --minutes without encoding it again; --minutes 0 leaves that out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import av

from stpose_core.video import probe


@dataclass(frozen=True)
class Run:
    """What a process took. memory: its largest resident size in MB."""

    seconds: float
    memory: float


def run(command: list[str]) -> Run:
    """Run a command to its end. Raises CalledProcessError with what it said if it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, said.read().decode(errors="replace"))
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Run(time.perf_counter() - began, usage.ru_maxrss / unit)


def whole(clip: Path, detector: str, out: Path) -> list[str]:
    """The command that does it all."""
    command = [sys.executable, "-m", "stpose_cli.main", "mocap", str(clip), "-o", str(out)]
    return [*command, "--detector", detector, "--overwrite", "--progress", "none"]


def detector_alone(clip: Path, name: str) -> int:
    """Detect in every frame and forget it; the number of frames. Runs in a process of its own."""
    from stpose_core.detect import KeypointFile, load_detector
    from stpose_core.video import read_frames

    detector = load_detector(name)
    if isinstance(detector, KeypointFile):
        raise SystemExit("a keypoint file is no detector")
    box, frames = None, 0
    for frame in read_frames(clip):
        frames += 1
        if box is None:
            box = next(iter(detector.find(frame.image)), None)
        if box is not None:
            pose = detector.pose(frame.image, box)
            box = pose.box if pose.presence >= 0.5 else None
    return frames


def loop(clip: Path, seconds: float, out: Path) -> None:
    """Repeat a clip until it lasts so long, copying its packets."""
    with av.open(str(out), "w") as target:
        offset, length, stream, place = 0, 0, None, 0.0
        while place < seconds:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                tick = video.time_base or 1
                packets = [packet for packet in source.demux(video) if packet.dts is not None and packet.pts is not None]
                length = max(packet.pts + (packet.duration or 1) for packet in packets)
                length -= min(packet.pts for packet in packets)
                for packet in packets:
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    target.mux(packet)
            offset += length
            place = float(offset * tick)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--detector", default="mediapipe")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(detector_alone(options.clip, options.detector))
        return
    frames = probe(options.clip).frames or 0
    alone = [sys.executable, __file__, str(options.clip), "--detector", options.detector, "--alone"]
    with tempfile.TemporaryDirectory() as folder:
        command = whole(options.clip, options.detector, Path(folder, "a.bvh"))
        turns = [(run(alone), run(command)) for _ in range(options.rounds)]
        title = f"{options.clip.name}, {frames} frames, {os.cpu_count()} cores, median of {options.rounds}"
        print(f"| {title} | frames/s | memory MB |")
        print("|---|---|---|")
        for name, runs in (("detector alone", [a for a, _ in turns]), ("stpose mocap", [b for _, b in turns])):
            print(f"| {name} | {frames / median(r.seconds for r in runs):.1f} | {max(r.memory for r in runs):.0f} |")
        print(f"\nstpose mocap / detector alone: {median(a.seconds / b.seconds for a, b in turns):.2f}\n")
        if max(options.minutes) <= 0:
            return
        print("| length | frames | seconds | memory MB |\n|---|---|---|---|", flush=True)
        for minutes in options.minutes:
            long = Path(folder, f"long{options.clip.suffix}")
            loop(options.clip, 60 * minutes, long)
            result = run(whole(long, options.detector, Path(folder, "b.bvh")))
            print(f"| {minutes:g} min | {probe(long).frames} | {result.seconds:.0f} | {result.memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
