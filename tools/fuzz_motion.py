"""More targets of tools/fuzz.py: files of motion and of markers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import fuzz_kit
from fuzz_kit import CUT, Reader

from stpose_core.formats import format_of, load_people, save


def _reader(suffix: str) -> Callable[[bytes, Path], None]:
    """Reads the bytes as a file of motion, and solves a motion on its skeleton."""

    def read(data: bytes, folder: Path) -> None:
        path = fuzz_kit.file(folder, f"a{suffix}", _assembled(data) if suffix == ".glb" else data)
        if format_of(path).points:
            fuzz_kit.attempt(lambda: format_of(path).read_points(path))
        fuzz_kit.attempt(lambda: [_solved(path, number) for number in range(len(load_people(path)))])

    return read


def _solved(path: Path, number: int) -> None:
    from stpose_core.animate.onto import onto

    motion = load_people(path)[number]
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
        data = path.read_bytes()
        if suffix != ".glb":
            return [data]
        length = struct.unpack_from("<I", data, 12)[0]
        content = json.loads(data[20 : 20 + length])
        content["meshes"], content["nodes"] = [], [node for node in content["nodes"] if "mesh" not in node]
        content["scenes"] = [{"nodes": [len(content["nodes"]) - 1]}]
        return [data, json.dumps(content).encode() + CUT + data[28 + length :]]

    return seeds


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
    "glb": Reader(_reader(".glb"), _seeds(".glb"), _GLTF),
    "motion": Reader(_reader(".json"), _seeds(".json"), _JSON),
    "trc": Reader(_reader(".trc"), _seeds(".trc"), _TRC),
    "c3d": Reader(_reader(".c3d"), _seeds(".c3d"), _C3D),
    "csv": Reader(_reader(".csv"), _seeds(".csv"), _CSV),
}
