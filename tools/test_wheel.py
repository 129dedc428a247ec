"""Build stpose's source distribution and wheel, and use both as a user without the rest of the project would.

    python tools/test_wheel.py

The wheel is built from the source distribution, and installed in a new, empty virtual environment in the versions of
constraints.txt. There, in an empty folder: `stpose --help`, `doctor`, `mocap` of the example clip with the built-in detector, and
`train lifter` on fabricated mocap, once the extra that it asks for is installed with the command that it names. Then the tests of
the unpacked source distribution are collected. Built twice for a release (`release.py`), both are the same, byte by byte. Each
output is checked. Needs a package index, the extra `test` in the Python that runs this, and about three minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import release

ROOT = Path(__file__).resolve().parents[1]
NOT_SOURCE = (".git", ".venv*", "*.egg-info", "build", "dist", "out", "runs", "__pycache__", ".*_cache")
LIMIT = 600  # s a command may take
HINT = "install it with: "


class Failure(Exception):
    """An output is not what it should be."""


def build(work: Path) -> tuple[Path, Path]:
    """The wheel and the unpacked source distribution, both made from a copy, so that nothing left by an earlier build gets in."""
    copy = work / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(work / "dist"), str(copy)], work)
    (wheel,), (archive,) = (work / "dist").glob("*.whl"), (work / "dist").glob("*.tar.gz")
    shutil.unpack_archive(archive, work / "sdist")
    (source,) = (work / "sdist").iterdir()
    return wheel, source


class Installed:
    """A new virtual environment with the wheel and what it requires, and an empty folder to work in."""

    def __init__(self, wheel: Path, constraints: Path, work: Path) -> None:
        self.folder = work / "empty"
        self.folder.mkdir()
        self._bin = work / "venv" / ("Scripts" if os.name == "nt" else "bin")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"}
        self._environment = kept | {
            "PATH": os.pathsep.join([str(self._bin), os.environ["PATH"]]),
            "PIP_CONSTRAINT": str(constraints),  # also for the commands that stpose names
            "STPOSE_CACHE": str(work / "cache"),
            "OMP_WAIT_POLICY": "passive",  # threads of torch that spin while they wait are very slow beside other work
        }
        run([sys.executable, "-m", "venv", str(work / "venv")], work)
        self.python("-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))

    def python(self, *words: str, path: Path | None = None) -> str:
        """Run its Python in the empty folder, with modules from `path` as well. Returns what it prints."""
        more = {"PYTHONPATH": str(path)} if path else {}
        return run([str(self._bin / "python"), *words], self.folder, self._environment | more)

    def stpose(self, *words: str, status: int = 0) -> str:
        """Run its command in the empty folder. Returns what it prints."""
        return run([str(self._bin / "stpose"), *words], self.folder, self._environment, status)

    def shell(self, line: str) -> str:
        """Run a line as a user would who has the environment active. Returns what it prints."""
        return run(line, self.folder, self._environment)


def run(command: list[str] | str, folder: Path, environment: dict[str, str] | None = None, status: int = 0) -> str:
    """Run a command, or a line of shell. Returns standard output and error. Raises Failure if it ends with another status."""
    print("+", command if isinstance(command, str) else " ".join(command), flush=True)
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, shell=isinstance(command, str), timeout=LIMIT, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Failure(f"it took more than {LIMIT} s:\n{(error.stdout or b'').decode(errors='replace')}") from error
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode != status:
        raise Failure(f"it ended with status {done.returncode} instead of {status}:\n{done.stdout}")
    return done.stdout


def expect(holds: bool, what: str, output: str = "") -> None:
    """Raise Failure with what the command printed unless something holds."""
    if not holds:
        raise Failure(f"not so: {what}\n{output}")


def check_help_and_doctor(installed: Installed) -> None:
    told = installed.stpose("--help")
    expect(all(name in told for name in ("mocap", "pose", "train", "evaluate", "doctor")), "--help lists the commands", told)
    told = installed.stpose("doctor")
    expect(told.endswith("ready\n") and "not ready" not in told, "doctor says ready", told)
    expect(re.search(r"^detector builtin .*runs in ONNX Runtime", told, re.M) is not None, "the built-in detector loads", told)
    expect(re.search(r"^detector mediapipe .*pip install mediapipe==", told, re.M) is not None, "doctor names the package", told)


def check_mocap(installed: Installed, source: Path) -> None:
    told = installed.stpose("mocap", str(source / "examples" / "walk.mp4"), "-o", "walk.bvh", "--detector", "builtin")
    with np.load(source / "examples" / "walk.reference.npz") as reference:
        frames = len(reference["joints"])
    head, _, motion = (installed.folder / "walk.bvh").read_text(encoding="utf-8").partition("MOTION\n")
    lines = motion.splitlines()
    expect(lines[0].split() == ["Frames:", str(frames)], f"walk.bvh says {frames} frames", told)
    values = np.array([line.split() for line in lines[2:]], dtype=float)
    channels = sum(int(count) for count in re.findall(r"CHANNELS (\d+)", head))
    expect(values.shape == (frames, channels), f"walk.bvh holds {frames} frames of {channels} channels", told)
    expect(bool(np.isfinite(values).all() and values.std(axis=0).max() > 1), "the walk in walk.bvh moves", told)


def check_training(installed: Installed, source: Path) -> None:
    arguments = ("train", "lifter", "--data", "mocap", "-o", "lifter.safetensors", "--steps", "3", "--batch", "4")
    told = installed.stpose(*arguments, status=2)
    expect(told.count("\n") == 1 and HINT in told, "without its extra, training names what to install in one line", told)
    installed.shell(told.partition(HINT)[2].strip())
    (installed.folder / "mocap").mkdir()
    code = "from pathlib import Path; from small_mocap import write_folder; write_folder(Path('mocap'))"
    installed.python("-c", code, path=source / "tests")
    told = installed.stpose(*arguments)
    expect("step 3" in told and "mpjpe" in told, "training ends with its measures", told)
    size = installed.python(
        "-c", "from stpose_core import load_lifter as load; print(load('lifter.safetensors').network.config.causal)"
    )
    expect(size.strip() == "False", "the weights that were trained load", size)


def check_tests(source: Path) -> None:
    """Collect the tests of the source distribution, with its own packages."""
    path = os.pathsep.join(str(source / name) for name in (".", "cli", "training"))
    environment = os.environ | {"PYTHONPATH": path}
    told = run([sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"], source, environment)
    found = re.search(r"^(\d+)(?:/\d+)? tests collected", told, re.M)
    expect(found is not None and int(found[1]) > 500, "the tests are collected", told[-3000:])
    here, there = ({file.relative_to(root) for file in root.glob("tests/**/*.py")} for root in (ROOT, source))
    expect(here == there, f"all test files are in it; but for {sorted(map(str, here ^ there))}")


def check_reproducible(work: Path) -> None:
    """Build both as for a release, twice, from copies in different folders."""
    made: list[dict[str, bytes]] = []
    for name in ("first", "another place"):
        source = work / name
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE), copy_function=shutil.copy)
        files = release.build(source, work / f"{name} made", 1_700_000_000)
        made.append({file.name: file.read_bytes() for file in files})
    expect(made[0].keys() == made[1].keys() and len(made[0]) == 2, "a wheel and a source distribution are built")
    for name, content in made[0].items():
        expect(content == made[1][name], f"{name} is the same when it is built again")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        wheel, source = build(work)
        check_tests(source)
        check_reproducible(work)
        installed = Installed(wheel, source / "constraints.txt", work)
        check_help_and_doctor(installed)
        check_mocap(installed, source)
        check_training(installed, source)
    print("the wheel and the source distribution work")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"tools/test_wheel.py: {failure}")
