"""What each format costs: seconds to write, size, and how far joints are from where they were when the file is read back.

stpose mocap examples/walk.mp4 -o walk.npz && python benchmarks/formats.py walk.npz
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Motion
from stpose_core.errors import StposeError
from stpose_core.formats import FORMATS, load_motion, save
from stpose_core.rigs import recognised


def farthest(path: Path, motion: Motion) -> float:
    """The largest distance in millimetres of a joint in a file from where it is in the motion."""
    again = recognised(load_motion(path))
    names = [name for name in motion.names if name in again.names and not name.endswith("End")]
    one, other = (forward_kinematics(which)[:, [which.names.index(name) for name in names]] for which in (again, motion))
    return 1000 * float(np.linalg.norm(one - other, axis=-1).max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion", type=Path, help="a file of motion")
    motion = load_motion(parser.parse_args().motion)
    print(f"{len(motion)} frames, {len(motion.names)} joints\n\n| format | seconds | KB | largest error, mm |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for entry in FORMATS:
            path = Path(folder) / f"a{entry.suffix}"
            try:
                save(motion, path)  # with the packages that are loaded on first use
                began = time.perf_counter()
                save(motion, path, overwrite=True)
            except StposeError as error:
                print(f"{entry.suffix}: {error}", file=sys.stderr)
                continue
            seconds = time.perf_counter() - began
            error_mm = f"{farthest(path, motion):.4f}" if entry.readable else "not read"
            print(f"| `{entry.suffix}` | {seconds:.2f} | {path.stat().st_size / 1000:.0f} | {error_mm} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
