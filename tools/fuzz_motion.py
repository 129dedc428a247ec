"""More targets of tools/fuzz.py: files of motion and of markers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import fuzz_kit
from fuzz_kit import CUT, Reader

from stpose_core.data import Motion
from stpose_core.formats import format_of, load_people, save


def _points(suffix: str) -> Callable[[bytes, Path], None]:
    """Reads the bytes as a file of points."""

    def read(data: bytes, folder: Path) -> None:
        path = fuzz_kit.file(folder, f"a{suffix}", data)
        fuzz_kit.attempt(lambda: format_of(path).read_points(path))

    return read


def _motion(suffix: str, then: Callable[[Motion], object] = len) -> Callable[[bytes, Path], None]:
    """Reads the bytes as a file of motion. then: what to do with each person's motion."""

    def read(data: bytes, folder: Path) -> None:
        path = fuzz_kit.file(folder, f"a{suffix}", _assembled(data) if suffix == ".glb" else data)
        fuzz_kit.attempt(lambda: [then(motion) for motion in load_people(path)])

    return read


def _solve_on(motion: Motion) -> None:
    """Solve another motion on the skeleton."""
    from stpose_core.animate.onto import onto

    if len(motion) < 50 and len(motion.names) < 100:
        fuzz_kit.attempt(lambda: onto(fuzz_kit.body_motion(), motion))


def _assembled(data: bytes) -> bytes:
    """A .glb of a description and a block of numbers, whose lengths are computed; whole files as they are."""
    if data.startswith(b"glTF"):
        return data
    text, _, numbers = data.partition(CUT)
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(numbers)
    head = struct.pack("<III", 0x46546C67, 2, size) + struct.pack("<II", len(text), 0x4E4F534A)
    return head + text + struct.pack("<II", len(numbers), 0x004E4942) + numbers


def _seeds(suffix: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        path = folder / f"seed{suffix}"
        save(fuzz_kit.body_motion(), path, overwrite=True)
        return [path.read_bytes()]

    return seeds


def _glb_seeds(folder: Path) -> list[bytes]:
    """A skeleton without the figure of a .glb, which is larger than what a fuzzer changes: of animated nodes, and of a skin."""
    data = _seeds(".vrma")(folder)[0]
    length = struct.unpack_from("<I", data, 12)[0]
    content = json.loads(data[20 : 20 + length])
    content["skins"] = [{"joints": list(range(len(content["nodes"])))}]
    return [data, json.dumps(content).encode() + CUT + data[28 + length :]]


# Words of the formats.
_GLTF = (
    b'"nodes"', b'"children":[', b'"matrix":[', b'"rotation":[', b'"scale":[0,', b'"translation"', b'"skins"', b'"joints"',
    b'"animations"', b'"channels"', b'"samplers"', b'"interpolation":"STEP"', b'"CUBICSPLINE"', b'"bufferView":', b'"MAT4"',
    b'"byteStride":', b'"byteOffset":', b'"count":99999999', b'"componentType":5120', b'"normalized":true', b"1e308", b"NaN",
)  # fmt: skip
_JSON = (b'"people"', b'"joints"', b'"parent":-1', b'"offset"', b'"fps":', b"1e308", b"NaN")
_TRC = (b"PathFileType", b"\t\t", b"DataRate", b"Units", b"mm", b"nan", b"1e308", b"RHip", b"Neck")
_C3D = (b"LABELS", b"POINT", b"UNITS", b"RATE", b"Y_SCREEN", b"\xff\xff", b"\0\0\xc8\x42")
_CSV = (b"time,", b"Hips_x,", b"nan", b"1e308", b",,", b"\n")

MOTIONS = {
    "glb": Reader(_motion(".glb"), _glb_seeds, _GLTF),
    "motion": Reader(_motion(".json", _solve_on), _seeds(".json"), _JSON),
    "trc": Reader(_points(".trc"), _seeds(".trc"), _TRC),
    "c3d": Reader(_points(".c3d"), _seeds(".c3d"), _C3D),
    "csv": Reader(_motion(".csv"), _seeds(".csv"), _CSV),
}
