"""Speed of the whole command against its detector alone on the same clip, and memory over the length of a video.

    python benchmarks/speed.py CLIP [--detector mediapipe] [--against NAME] [--rounds 3] [--minutes 1 10]

Both run as processes of their own, in turns. Frames/s are those of the work on the clip, from the first frame to the
written file; "with start" counts the whole process, with its imports and the loading of networks. "Detector alone"
decodes the clip and runs the detector's pose network once a frame in the box of the frame before; it searches where
there is no box. For memory the clip is looped to the lengths in --minutes without encoding it again; --minutes 0 leaves
that out.

    python benchmarks/speed.py CLIP --growth

prints instead how the processor time of the command grows with length, resolution and people: the clip is repeated, scaled,
and put beside itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np

from stpose_core.video import probe, read_frames


@dataclass(frozen=True)
class Run:
    """What a process took. seconds: for its work; whole: from its start to its end; memory: largest resident size, MB;
    processor: seconds of processor time."""

    seconds: float
    whole: float
    memory: float
    processor: float


def run(command: list[str]) -> Run:
    """Run a command whose last line is an object with "seconds". Raises CalledProcessError with its output if it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        whole = time.perf_counter() - began
        said.seek(0)
        output = said.read().decode(errors="replace")
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    seconds = json.loads(output.splitlines()[-1])["seconds"]
    return Run(seconds, whole, usage.ru_maxrss / unit, usage.ru_utime + usage.ru_stime)


def whole(clip: Path, detector: str, out: Path) -> list[str]:
    """The command that does it all."""
    command = [sys.executable, "-m", "stpose_cli.main", "mocap", str(clip), "-o", str(out)]
    return [*command, "--detector", detector, "--overwrite", "--progress", "json"]


def detector_alone(clip: Path, name: str) -> float:
    """Detect in every frame and forget it; the seconds it took. Runs in a process of its own."""
    from stpose_core.detect import KeypointFile, load_detector

    detector = load_detector(name)
    if isinstance(detector, KeypointFile):
        raise SystemExit("a keypoint file is no detector")
    began = time.perf_counter()
    box = None
    for frame in read_frames(clip):
        if box is None:
            box = next(iter(detector.find(frame.image)), None)
        if box is not None:
            pose = detector.pose(frame.image, box)
            box = pose.box if pose.presence >= 0.5 else None
    return time.perf_counter() - began


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


def changed(clip: Path, out: Path, scale: float = 1.0, people: int = 1) -> Path:
    """The clip at another size, or several times beside itself."""
    with av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=round(probe(clip).fps), options={"preset": "veryfast"})
        for frame in read_frames(clip):
            size = [2 * round(side * scale / 2) for side in frame.image.shape[1::-1]]
            picture = np.concatenate([cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)] * people, axis=1)
            if frame.index == 0:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode(None))
    return out


def growth(clip: Path, detector: str, folder: Path) -> None:
    """Print the processor time of the command for longer, smaller, larger and fuller versions of a clip."""
    print("| what | pixels | frames | processor, s | ms a frame |\n|---|---|---|---|---|", flush=True)
    rows = [("short", 0.0, 1.0, 1)]  # its cost is that of the start
    rows += [(f"length x {count}", float(count), 1.0, 1) for count in (1, 2, 4)]
    rows += [(f"sides x {scale:g}", 1.0, scale, 1) for scale in (0.5, 2.0)]
    rows += [(f"people: {people}", 1.0, 1.0, people) for people in (2, 3)]
    start = 0.0
    for name, length, scale, people in rows:
        video = folder / "growth.mp4"
        loop(changed(clip, folder / "once.mp4", scale, people), max(length, 0.01) * probe(clip).duration - 0.01, video)
        person = ["--person", "all"] if people > 1 else []
        out = folder / "out.npz" if people == 1 else folder / "people"
        command = [*whole(video, detector, out), *person, *(["--end", "0.1"] if not length else [])]
        found, info = run(command), probe(video)
        if not length:
            start = found.processor
            continue
        each = 1000 * (found.processor - start) / (info.frames or 1)
        print(f"| {name} | {info.width} x {info.height} | {info.frames} | {found.processor:.1f} | {each:.1f} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--detector", default="mediapipe")
    parser.add_argument("--against", help="the detector that runs alone, if another")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--growth", action="store_true", help="how the cost grows with length, resolution and people")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps({"seconds": detector_alone(options.clip, options.detector)}))
        return
    if options.growth:
        with tempfile.TemporaryDirectory() as folder:
            growth(options.clip, options.detector, Path(folder))
        return
    frames = probe(options.clip).frames or 0
    alone = [sys.executable, __file__, str(options.clip), "--detector", options.against or options.detector, "--alone"]
    with tempfile.TemporaryDirectory() as folder:
        command = whole(options.clip, options.detector, Path(folder, "a.bvh"))
        turns = [(run(alone), run(command)) for _ in range(options.rounds)]
        title = f"{options.clip.name}, {frames} frames, {os.cpu_count()} cores, median of {options.rounds}"
        print(f"| {title} | frames/s | with start | memory MB |")
        print("|---|---|---|---|")
        for name, runs in (("detector alone", [a for a, _ in turns]), ("stpose mocap", [b for _, b in turns])):
            rates = [frames / median(seconds) for seconds in ([r.seconds for r in runs], [r.whole for r in runs])]
            print(f"| {name} | {rates[0]:.1f} | {rates[1]:.1f} | {max(r.memory for r in runs):.0f} |")
        shares = (median(a.seconds / b.seconds for a, b in turns), median(a.whole / b.whole for a, b in turns))
        print(f"\nstpose mocap / detector alone: {shares[0]:.2f}, with start {shares[1]:.2f}\n")
        if max(options.minutes) <= 0:
            return
        print("| length | frames | seconds | memory MB |\n|---|---|---|---|", flush=True)
        for minutes in options.minutes:
            long = Path(folder, f"long{options.clip.suffix}")
            loop(options.clip, 60 * minutes, long)
            result = run(whole(long, options.detector, Path(folder, "b.bvh")))
            print(f"| {minutes:g} min | {probe(long).frames} | {result.whole:.0f} | {result.memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
