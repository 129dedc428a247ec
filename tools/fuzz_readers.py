"""The targets of tools/fuzz.py: readers as functions of bytes, with valid files as seeds.

A reader may return or raise StposeError. In formats with checksums or length prefixes, random changes would fail at the checksum;
there the input describes how the parts of a valid file are changed before it is assembled.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_kit
import numpy as np
from fuzz_kit import CUT
from fuzz_motion import MOTIONS
from stpose_training.data.marker_folders import h36m_positions
from stpose_training.data.mocap import load_mocap
from stpose_training.data.pickles import read_npz, read_pickle

from stpose_core.detect.keypoint_file import KeypointFile
from stpose_core.detect.networks import load_finder, load_spatial
from stpose_core.formats import load_capture, load_motion, save
from stpose_core.formats.asf import read_amc, read_asf
from stpose_core.formats.bvh import read_bvh
from stpose_core.lift import load_lifter
from stpose_core.networks.configs import FinderConfig, SpatialConfig
from stpose_core.networks.finder import FinderNetwork
from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.networks.temporal import TemporalNetwork
from stpose_core.track.resample import track_to_keypoints
from stpose_core.weights import write_weights

# BVH and ASF/AMC


def read_bvh_bytes(data: bytes, folder: Path) -> None:
    path = fuzz_kit.file(folder, "a.bvh", data)
    fuzz_kit.attempt(lambda: h36m_positions(read_bvh(path), str(path)))


def read_amc_bytes(data: bytes, folder: Path) -> None:
    skeleton, _, motion = data.partition(CUT)
    asf, amc = fuzz_kit.file(folder, "a.asf", skeleton), fuzz_kit.file(folder, "a.amc", motion)
    fuzz_kit.attempt(lambda: h36m_positions(read_amc(read_asf(asf), amc), str(amc)))


def bvh_seeds(folder: Path) -> list[bytes]:
    save(fuzz_kit.small_capture().motion, folder / "seed.bvh", overwrite=True)
    own = (folder / "seed.bvh").read_bytes()
    other = (
        "\ufeffhierarchy\nroot a:Hips {\n offset 3 90 1 Channels 6 Xposition Yposition Zposition Yrotation Zrotation Xrotation\n"
        " JOINT Left Leg\n { OFFSET 0 -40\n 0 CHANNELS 3 Xrotation Yrotation Zrotation End Site { OFFSET 0 -40 0 } }\n"
        " JOINT Left Leg{ OFFSET 0 10 0 CHANNELS 1 Yrotation }\n}\nMOTION\r\nFrames:\t2\nframe time: .0083333\n\n"
        "1 2 3 10 20 30 5 6 7 45\n4 5 6 1e1 2e1 3e1 50 60 70 0\n"
    )
    return [own, other.encode()]


def amc_seeds(_: Path) -> list[bytes]:
    limbs = [("femur", "0 -1 0", "rx ry rz"), ("tibia", "0 -1 0", "rx"), ("foot", "0 0 1", "")]
    arms = [("humerus", "1 0 0", "rx ry rz"), ("radius", "1 0 0", "ry"), ("wrist", "1 0 0", "")]
    bones = [(side + name, direction, dof) for side in "lr" for name, direction, dof in limbs + arms]
    bones += [("lowerneck", "0 1 0", "rx ry rz"), ("head", "0 1 0", "")]
    data = "".join(
        f"begin\nid {number}\nname {name}\ndirection {direction}\nlength 8\naxis 0 0 {number} XYZ\n"
        + (f"dof {dof}\nlimits (-160 20)\n" if dof else "")
        + "end\n"
        for number, (name, direction, dof) in enumerate(bones, 1)
    )
    chains = "".join(
        f"{s}femur {s}tibia\n{s}tibia {s}foot\nlowerneck {s}humerus\n{s}humerus {s}radius\n{s}radius {s}wrist\n" for s in "lr"
    )
    asf = (
        "# a test\n:version 1.10\n:name A\n:units\nmass 1.0\nlength 0.45\nangle deg\n:documentation\ntext\n"
        ":root\norder TX TY TZ RX RY RZ\naxis XYZ\nposition 0 0 0\norientation 0 0 0\n"
        f":bonedata\n{data}:hierarchy\nbegin\nroot lfemur rfemur lowerneck\n{chains}lowerneck head\nend\n"
    )
    frame = "root 1 2 3 4 5 6\nlfemur 1 2 3\nltibia 4\nlowerneck 1e1 -2 .5\nrhumerus 1 2 3\n"
    amc = f"#!OML:ASF a\n:FULLY-SPECIFIED\n:DEGREES\n1\n{frame}2\n{frame}"
    return [asf.encode() + CUT + amc.encode()]


# NPZ


def read_npz_bytes(data: bytes, folder: Path) -> None:
    if data.startswith(b"PK"):
        path = fuzz_kit.file(folder, "a.npz", data)
    else:
        path = fuzz_kit.file(folder, "a.npz", changed_npz(data, _npz_members(folder)))
    fuzz_kit.attempt(
        lambda: load_capture(path),
        lambda: load_motion(path),
        lambda: [_on_a_grid(track) for track in KeypointFile(path).people(30.0, np.arange(5) / 30)],
        lambda: read_npz(path, "motion.rotations", "video.path"),
    )


def _on_a_grid(track: Any) -> None:
    track_to_keypoints(track, np.arange(5) / 30, 30.0, (640, 480))


def _npz_members(folder: Path) -> dict[str, bytes]:
    kept = folder / "members.npz"
    if not kept.is_file():
        save(fuzz_kit.small_capture(), kept)
    with zipfile.ZipFile(kept) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


_TYPES = ("<f8", ">f4", "<f2", "<i8", "<u1", "|b1", "<c16", "<U3", "|S2", "<M8[s]", "|V4", "|O", "<U0", "f8,i4")


def changed_npz(data: bytes, members: dict[str, bytes]) -> bytes:
    """The .npz of a capture with headers, content, number and names of its members changed as the data describe."""
    stream = io.BytesIO(data)
    content = list(members.items())

    def number() -> int:
        return int.from_bytes(stream.read(2), "little")

    while (kind := stream.read(1)) and content:
        at = number() % len(content)
        name, array = content[at]
        match kind[0] % 8:
            case 0:  # another header
                header = stream.read(number() % 200)
                content[at] = (name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + array[128:])
            case 1:  # other bytes
                place = number() % (len(array) + 1)
                new = stream.read(number() % 64)
                content[at] = (name, array[:place] + new + array[place + len(new) :])
            case 2:
                content[at] = (name, array[: number()])
            case 3:
                del content[at]
            case 4:
                content[at] = (stream.read(8).decode("latin1") + ".npy", array)
            case 5:
                content.append((name, array))
            case 6:  # another type and shape of the same bytes
                shape = tuple(number() for _ in range(number() % 4))
                spec = _TYPES[number() % len(_TYPES)]
                header = f"{{'descr': '{spec}', 'fortran_order': {bool(number() % 2)}, 'shape': {shape}}}\n".encode()
                content[at] = (name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + array[128:])
            case 7:  # one value
                value = np.frombuffer(stream.read(8).ljust(8, b"\0"), "<f8")[0] if number() % 2 else number() - 30_000
                buffer = io.BytesIO()
                np.save(buffer, np.array(value))
                content[at] = (name, buffer.getvalue())
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, array in dict.fromkeys(content):
            archive.writestr(zipfile.ZipInfo(name), array)
    return written.getvalue()


def npz_seeds(folder: Path) -> list[bytes]:
    save(fuzz_kit.small_capture(), folder / "seed.npz", overwrite=True)
    return [b"", (folder / "seed.npz").read_bytes()]


# JSON


def read_json_bytes(data: bytes, folder: Path) -> None:
    if data.lstrip().startswith(b"{"):
        inner = folder / "openpose"
        inner.mkdir(exist_ok=True)
        path: Path = fuzz_kit.file(inner, "a_000000000003_keypoints.json", data).parent
    else:
        path = fuzz_kit.file(folder, "a.json", data)
    fuzz_kit.attempt(lambda: [_on_a_grid(track) for track in KeypointFile(path).people(30.0, np.arange(5) / 30)])


def json_seeds(_: Path) -> list[bytes]:
    rows = {joints: [round(float(value), 1) for value in np.linspace(1, 300, 3 * joints)] for joints in (17, 18, 25, 26)}
    for values in rows.values():
        values[2::3] = [0.9] * len(values[2::3])
    coco: list[dict[str, Any]] = [
        {"image_id": number, "category_id": 1, "keypoints": rows[17], "score": 0.9} for number in (0, 1, 2, 4)
    ]
    named = [{"image_id": f"a{number:06d}.jpg", "keypoints": rows[26]} for number in range(3)]
    openpose = [{"version": 1.3, "people": [{"pose_keypoints_2d": rows[joints]}]} for joints in (17, 18, 25)]
    return [json.dumps(content).encode() for content in (coco, named, *openpose)]


# Safetensors


def read_safetensors_bytes(data: bytes, folder: Path) -> None:
    """The first byte selects the network. Then comes ":", the header and a line break, so that its length is computed; or "=" and
    a whole file."""
    header, line, tensors = data[2:].partition(b"\n")
    whole = data[2:] if data[1:2] == b"=" else struct.pack("<Q", len(header)) + header + tensors
    path = fuzz_kit.file(folder, "a.safetensors", whole if line or data[1:2] == b"=" else data)
    readers: tuple[Callable[[Path], object], ...] = (load_lifter, load_spatial, load_finder)
    fuzz_kit.attempt(lambda: readers[data[0] % 3](path) if data else load_lifter(path))


def safetensors_seeds(folder: Path) -> list[bytes]:
    lifter = TemporalConfig(latent=4, width=2, kernel=1, strides=(1,), frame_blocks=1)
    finder = FinderConfig(side=64, stem=3, widths=(4, 4), blocks=1, head=4)
    spatial = SpatialConfig(size=(32, 32), stem=3, width=4, modules=(), head=4)
    seeds = []
    for number, (kind, network, config) in enumerate(
        [("temporal", TemporalNetwork(lifter), lifter), ("spatial", SpatialNetwork(spatial), spatial),
         ("finder", FinderNetwork(finder), finder)]
    ):  # fmt: skip
        path = folder / f"{kind}.safetensors"
        write_weights(path, network.state_dict(), kind, {"network": config.to_dict()})
        content = path.read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        seeds.append(bytes([number]) + b":" + content[8 : 8 + length] + b"\n" + content[8 + length :])
        seeds.append(bytes([number]) + b"=" + content)
    return seeds


# Pickles and the index of mocap


def read_pickle_bytes(data: bytes, folder: Path) -> None:
    fuzz_kit.attempt(lambda: read_pickle(fuzz_kit.file(folder, "a.pkl", data)))


def pickle_seeds(_: Path) -> list[bytes]:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = {
        "a": [array, np.asfortranarray(array), np.array(["x", None], dtype=object), np.float64(2)],
        "b": OrderedDict(c=(1, 2.5, "text", b"bytes", True, None, 2**40)),
    }
    return [pickle.dumps(content, protocol=protocol) for protocol in range(6)]


def read_index_bytes(data: bytes, folder: Path) -> None:
    if not (folder / "a.npz").is_file():
        random = np.random.default_rng(0)
        np.savez(folder / "a.npz", one=random.normal(size=(5, 17, 3)), two=np.full((3, 17, 3), np.nan), three=np.zeros((0, 17, 3)))
        (folder / "rotations").mkdir()
        rig = {"quats": np.ones((5, 3, 4)), "offsets": np.ones((3, 3)), "parents": [-1, 0, 1], "names": ["Hips", "Spine", "Spine1"]}
        np.savez(folder / "rotations" / "a.npz", **{f"one__{name}": np.array(value) for name, value in rig.items()})
    fuzz_kit.file(folder, "index.csv", data)
    fuzz_kit.attempt(lambda: load_mocap(folder))


def index_seeds(_: Path) -> list[bytes]:
    head = "clip,subject,action,split,part,file,rig\n"
    return [f"{head}one,s,walk,train,free,a.npz,{rig}\n".encode() for rig in ("", "mb", "daz")] + [
        f'{head}two,s,"a, b",train,free,a.npz,\nthree,s,"x\ny",train,free,a.npz,\n'.encode()
    ]


READERS = {
    "bvh": fuzz_kit.Reader(
        read_bvh_bytes, bvh_seeds,
        (b"HIERARCHY", b"ROOT", b"JOINT ", b"End Site", b"OFFSET ", b"CHANNELS ", b"Xposition", b"Zrotation", b"MOTION\n",
         b"Frames: ", b"Frame Time: ", b"{", b"}", b"1e999", b"nan", b"-1", b"1e308", b"999999999", b"1_0"),
    ),
    "amc": fuzz_kit.Reader(
        read_amc_bytes, amc_seeds,
        (CUT, b":units", b":root", b":bonedata", b":hierarchy", b"begin\n", b"end\n", b"name ", b"direction ", b"length ", b"axis ",
         b"dof ", b"rx", b"tz", b"order", b"position", b"orientation", b":DEGREES", b":RADIANS", b"root ", b"1e308", b"nan"),
    ),
    "npz": fuzz_kit.Reader(
        read_npz_bytes, npz_seeds,
        (b"'descr': '<f8'", b"'fortran_order': False", b"'shape': (99999999999,)", b"(", b"PK"),
    ),
    "json": fuzz_kit.Reader(
        read_json_bytes, json_seeds,
        (b'"people"', b'"pose_keypoints_2d"', b'"image_id"', b'"keypoints"', b'"category_id"', b"[" * 500, b'{"a":' * 500, b"1e999",
         b"NaN", b"-Infinity", b"true", b"null", b"\\ud800", b"9" * 400),
    ),
    "safetensors": fuzz_kit.Reader(
        read_safetensors_bytes, safetensors_seeds,
        (b'"dtype":"F16"', b'"F64"', b'"I64"', b'"BOOL"', b'"F8_E4M3"', b'"BF16"', b'"shape":[', b'"data_offsets":[',
         b"__metadata__", b"18446744073709551615", b'\\"joints\\": 17', b'\\"strides\\": [', b"1e999", b"null", b"[[[[",
         b"\x00\x7c", b"\x00\x7e"),
    ),
    "pickle": fuzz_kit.Reader(
        read_pickle_bytes, pickle_seeds,
        (b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n", b"ccollections\nOrderedDict\n",
         b"R.", b"b.", b"I01\n", b"r\xff\xff\xff\x7f", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x96\xff\xff\xff\xff\xff\0\0\0"),
    ),
    "index": fuzz_kit.Reader(
        read_index_bytes, index_seeds, (b"clip", b"file", b"rotations/a.npz", b"../a.npz", b'"', b"\0", b"mb", b"daz")
    ),
    **MOTIONS,
}  # fmt: skip
