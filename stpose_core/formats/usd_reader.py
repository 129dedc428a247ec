"""Reads skeletons and their motion from USD files of any program, which a child process opens: see `usd_script`."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from stpose_core.arrays import read_arrays
from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.extras import how_to_install
from stpose_core.formats.names import unique
from stpose_core.formats.rates import nearest_rate
from stpose_core.reading import expected, one_line, read_bytes
from stpose_core.retarget.rotation import continuous, from_matrix, inverse, multiply

_SCRIPT = Path(__file__).with_name("usd_script.py")
_LONGEST = 120.0  # s


def read_usd(path: str | Path) -> tuple[Motion, ...]:
    """The motion of each person in a file, in metres, y up; one frame of the rest pose for a skeleton without motion.

    Raises FormatError if the file is damaged, holds no skeleton, or if usd-core is missing.
    """
    read_bytes(path)  # for its errors
    if find_spec("pxr") is None:
        raise FormatError(f"{path}: to read a {Path(path).suffix} needs the package usd-core; {how_to_install('usd')}")
    with TemporaryDirectory(prefix="stpose-usd-") as folder:
        out = Path(folder) / "out.npz"
        # As text: the folder of the script holds modules named json and csv, which are not those of the library.
        words = [sys.executable, "-c", _SCRIPT.read_text("utf-8"), str(Path(path).absolute()), str(out)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_LONGEST, cwd=folder)
        except subprocess.TimeoutExpired as error:
            raise FormatError(f"{path} is damaged: USD takes longer than {_LONGEST:g} s to read it") from error
        if done.returncode or not out.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise FormatError(f"{path} cannot be read by USD: {one_line(lines[-1] if lines else 'it crashed')}")
        content = read_arrays(out)
    with expected(str(path)):
        people = tuple(_motion(path, content, str(number)) for number in range(int(content["people"])))
    if not people:
        raise FormatError(f"{path} holds no skeleton")
    return people


def _motion(path: str | Path, content: dict[str, Any], number: str) -> Motion:
    names, parents, fps = (content[f"{number}.{name}"] for name in ("names", "parents", "fps"))
    if list(parents).count(-1) != 1 or parents[0] != -1:
        raise FormatError(f"{path}: a skeleton needs exactly one root")
    # Matrices of row vectors: points times matrix, parents to the right.
    world = content[f"{number}.world"] @ _to_metres(str(content["up"]), float(content["metres"]))
    rest, moved = (_in_world(content[f"{number}.{name}"], parents, world) for name in ("rest", "local"))
    if not (np.isfinite(rest).all() and np.isfinite(moved).all()):
        raise ValueError("there are values that are not finite")
    turned = multiply(_turns(moved), inverse(_turns(rest)))
    rotations = turned.copy()
    rotations[:, 1:] = multiply(inverse(turned[:, parents[1:]]), turned[:, 1:])
    offsets = np.zeros((len(names), 3))
    offsets[1:] = rest[1:, 3, :3] - rest[parents[1:], 3, :3]
    return Motion(
        names=unique([str(name) for name in names]),
        parents=parents,
        offsets=offsets,
        rotations=continuous(rotations),
        root=moved[:, 0, 3, :3],
        contacts=np.zeros((len(moved), 4)),
        filled=np.zeros(len(moved), dtype=bool),
        fps=nearest_rate(float(fps), 1e-6),
    )


def _to_metres(up: str, metres: float) -> Array:
    """(4, 4) from the axes and the unit of a file to y up in metres."""
    turn = np.eye(3) if up == "Y" else np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    matrix = np.eye(4)
    matrix[:3, :3] = metres * turn
    return matrix


def _in_world(local: Array, parents: Array, world: Array) -> Array:
    """(..., J, 4, 4) joints in the world."""
    found = np.empty_like(local)
    for joint, parent in enumerate(parents):
        found[..., joint, :, :] = local[..., joint, :, :] @ (found[..., parent, :, :] if parent >= 0 else world)
    return found


def _turns(matrices: Array) -> Array:
    """(..., 4) rotations of transformations of row vectors, without their scale."""
    left, scales, right = np.linalg.svd(np.swapaxes(matrices[..., :3, :3], -1, -2))
    if (scales[..., -1] < 1e-9).any() or (np.linalg.det(left @ right) < 0).any():
        raise ValueError("a joint is flat or mirrored")
    return from_matrix(left @ right)
