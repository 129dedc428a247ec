"""Files are read in another process, which measures its peak memory: what the tests of hostile files share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECONDS, MEGABYTES = 10.0, 250.0

CHILD = """
import importlib, json, re, sys, time
from stpose_core.errors import StposeError
import stpose_core.lift, stpose_core.detect.networks, stpose_training.data.mocap  # with torch, before memory is measured
readers = {
    "bvh": ["stpose_core.formats.bvh:read_bvh"],
    "asf": ["stpose_core.formats.asf:read_asf"],
    "amc": ["stpose_core.formats.asf:read_amc"],
    "npz": ["stpose_core.formats:load_capture", "stpose_core.formats:load_motion", "stpose_core.detect:KeypointFile",
            "stpose_core.arrays:read_arrays"],
    "safetensors": ["stpose_core.lift:load_lifter", "stpose_core.detect.networks:load_spatial",
                    "stpose_core.detect.networks:load_finder"],
    "json": ["stpose_core.detect:KeypointFile", "stpose_core.formats:load_people"],
    "glb": ["stpose_core.formats:load_people"],
    "pkl": ["stpose_training.data.pickles:read_pickle"],
    "mat": ["mat"],
    "csv": ["stpose_training.data.mocap:load_mocap"],
    "control": ["control"],
}
def function(name):
    if name == "control":
        return lambda path: len(bytearray(400_000_000))
    if name == "mat":
        from pathlib import Path
        from stpose_training.data.mat import read_mat
        return lambda path: read_mat(Path(path), "a")
    module, name = name.split(":")
    return getattr(importlib.import_module(module), name)
def memory(what):
    return int(re.search(what + r":\\s*(\\d+)", open("/proc/self/status").read()).group(1)) / 1000
for line in sys.stdin:
    kind, *paths = json.loads(line)
    for name in readers[kind]:
        open("/proc/self/clear_refs", "w").write("5")  # restarts the measurement of the peak
        read, before, began, failed = function(name), memory("VmRSS"), time.process_time(), None
        try:
            read(*paths)
        except BaseException as error:
            failed = [type(error).__name__, isinstance(error, StposeError), str(error)]
        print(json.dumps([failed, time.process_time() - began, memory("VmHWM") - before]), flush=True)
    print(json.dumps(None), flush=True)
"""


class Reading:
    """The process that reads."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, kind: str, *paths: Path) -> list[Any]:
        """One [[error, whether it is a StposeError, message] or None, seconds, megabytes] for each reader of the kind."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([kind, *map(str, paths)]) + "\n")
        self.process.stdin.flush()
        answers = []
        while (answer := json.loads(self.process.stdout.readline())) is not None:
            answers.append(answer)
        return answers


def refused(answers: list[Any], words: str = "") -> None:
    """Every reader refused the file with one line, quickly, with little memory."""
    for failed, seconds, megabytes in answers:
        assert failed is not None, "it was read"
        name, expected, message = failed
        assert expected, f"{name}: {message}"
        assert "\n" not in message
        assert len(message) < 1000
        assert seconds < SECONDS
        assert megabytes < MEGABYTES
    assert words in " ".join(failed[2] for failed, _, _ in answers)
