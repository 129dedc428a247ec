"""Readers refuse hostile files: with a StposeError, and without time or memory out of proportion to the size of the file.

Files are read in another process, which measures its peak memory; a control shows that the measurement works.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile_kit import MEGABYTES, SECONDS, Reading, refused
from test_formats import make_capture
from test_formats_glb import HOSTILE as HOSTILE_GLB
from test_formats_glb import write_glb
from test_marker_folders import TWO_BONES, amc

from stpose_core.formats import save as save_capture


def test_too_much_memory_would_be_noticed(reading: Reading, tmp_path: Path) -> None:
    ((failed, _, megabytes),) = reading("control", tmp_path)
    assert failed is None
    assert megabytes > MEGABYTES


# BVH

HEAD = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Xrotation Yrotation Zrotation\n"
MOTION = "MOTION\nFrames: 2\nFrame Time: 0.04\n"
BVH: dict[str, Callable[[], str | bytes]] = {
    "a thousand million frames": lambda: f"{HEAD}}}\n{MOTION.replace('2', '1000000000')}1 2 3\n",
    "frames in exponents": lambda: f"{HEAD}}}\n{MOTION.replace('2', '1e9')}1 2 3\n",
    "digits of another script": lambda: f"{HEAD}}}\n{MOTION.replace('2', '²')}1 2 3\n1 2 3\n",
    "a thousand million channels": lambda: f"{HEAD.replace('CHANNELS 3', 'CHANNELS 1000000000')}}}\n{MOTION}1 2 3\n",
    "channels without an end": lambda: f"{HEAD.replace('CHANNELS 3', 'CHANNELS 1e300')}}}\n{MOTION}1 2 3\n",
    "fewer channels than none": lambda: f"{HEAD.replace('CHANNELS 3', 'CHANNELS -3')}}}\n{MOTION}1 2 3\n",
    "joints without an end": lambda: HEAD + "JOINT a { OFFSET 0 0 0\n" * 30_000,
    "joints in every frame without channels": lambda: (
        f"{HEAD}{'JOINT b { OFFSET 0 0 1 }' * 20_000}}}\n{MOTION.replace('2', '20000')}" + "1 2 3\n" * 20_000
    ),
    "a header of spaces": lambda: f"{HEAD}}}\nMOTION\nFrames{' ' * 500_000}x\nFrame Time: 0.04\n",
    "a frame time of spaces": lambda: f"{HEAD}}}\nMOTION\nFrames: 2\nFrame{' ' * 500_000}Time\n",
    "no time": lambda: f"{HEAD}}}\n{MOTION.replace('0.04', '1e-9')}1 2 3\n1 2 3\n",
    "ages": lambda: f"{HEAD}}}\n{MOTION.replace('0.04', '1e9')}1 2 3\n1 2 3\n",
    "one very long word among many": lambda: f"{HEAD}}}\n{MOTION}{'1 ' * 300_000}{'1' * 300_000}x\n",
    "a very long name": lambda: f"HIERARCHY\nROOT {'a' * 1_000_000}\n{{\n}}\n{MOTION}",
    "NUL bytes": lambda: b"HIERARCHY\nROOT \0\0\n" + bytes(1_000_000),
    "no text": lambda: b"\xff\xfe\x80" * 1000,
    "words missing": lambda: f"{HEAD}JOINT\n}}\n{MOTION}",
    "NaN": lambda: f"{HEAD}}}\n{MOTION}1 2 nan\n1 2 3\n",
}


@pytest.mark.parametrize("kind", HOSTILE_GLB)
def test_glb(kind: str, reading: Reading, tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", *HOSTILE_GLB[kind]())
    refused(reading("glb", tmp_path / "a.glb"))


@pytest.mark.parametrize("kind", BVH)
def test_bvh(kind: str, reading: Reading, tmp_path: Path) -> None:
    content = BVH[kind]()
    (tmp_path / "a.bvh").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(reading("bvh", tmp_path / "a.bvh"))


@pytest.mark.parametrize("joint", ["JOINT b { OFFSET 0 0 1 }", "JOINT b { OFFSET 0 0 1 CHANNELS 1 Xrotation "])
def test_thousands_of_joints_with_one_name_are_read_quickly(joint: str, reading: Reading, tmp_path: Path) -> None:
    count = 10_000
    nested = "CHANNELS" in joint
    row = "0 " * (3 + count * nested)
    text = f"{HEAD}{joint * count}{'}' * (count * nested)}}}\n{MOTION.replace('2', '1')}{row}\n"
    (tmp_path / "a.bvh").write_text(text)
    ((failed, seconds, megabytes),) = reading("bvh", tmp_path / "a.bvh")
    assert failed is None
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


# ASF/AMC

BONE = "begin\nname {}\ndirection 0 1 0\nlength 1\naxis 0 0 0 XYZ\nend\n"
ASF: dict[str, Callable[[], str]] = {
    "a circle": lambda: TWO_BONES.replace("upper lower", "upper lower\n    lower upper"),
    "its own parent": lambda: TWO_BONES.replace("upper lower", "upper lower upper"),
    "the root as a child": lambda: TWO_BONES.replace("upper lower", "upper lower root"),
    "no unit": lambda: TWO_BONES.replace("length 0.45", "length 0"),
    "a unit of nothing": lambda: TWO_BONES.replace("length 0.45", "length 1e-320"),
    "an endless bone": lambda: TWO_BONES.replace("length 9.0", "length 1e308").replace("length 0.45", "length 1e-9"),
    "bones without a place": lambda: TWO_BONES.replace(":hierarchy", "".join(BONE.format(n) for n in range(3000)) + ":hierarchy"),
    "degrees that are none": lambda: TWO_BONES.replace("dof rx ry rz", "dof " + "rx" * 100_000),
    "NUL bytes": lambda: ":root\n" + "\0" * 100_000,
    "nothing": lambda: "",
}


@pytest.mark.parametrize("kind", ASF)
def test_asf(kind: str, reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "a.asf").write_text(ASF[kind]())
    refused(reading("asf", tmp_path / "a.asf"))


def test_a_name_after_the_end_of_a_bone_does_not_rename_it(reading: Reading, tmp_path: Path) -> None:
    text = TWO_BONES.replace("  end\n  begin\n    id 2\n    name lower", "  end\n    id 2\n    name lower")
    assert text != TWO_BONES
    (tmp_path / "a.asf").write_text(text)
    (tmp_path / "a.amc").write_text(amc("root 0 0 0 0 0 0"))
    ((failed, _, _),) = reading("amc", tmp_path / "a.asf", tmp_path / "a.amc")
    assert failed is None


def star(folder: Path, children: int) -> Path:
    """A skeleton whose bones all start at the root."""
    names = [f"b{number}" for number in range(children)]
    bones, line = "".join(map(BONE.format, names)), " ".join(["root", *names])
    text = TWO_BONES.replace(":hierarchy\n  begin\n", f"{bones}:hierarchy\n  begin\n{line}\n")
    (folder / "a.asf").write_text(text)
    return folder / "a.asf"


def test_amc(reading: Reading, tmp_path: Path) -> None:
    motion = tmp_path / "a.amc"
    # 5000 resting bones in 5000 frames: 400 KB that describe 800 MB.
    motion.write_text(amc(*["root 0 0 0 0 0 0"] * 5000))
    refused(reading("amc", star(tmp_path, 5000), motion), "with only 30000 numbers")
    motion.write_text(amc("root 0 0 0 0 0 0"))
    ((failed, seconds, _),) = reading("amc", tmp_path / "a.asf", motion)
    assert failed is None
    assert seconds < SECONDS
    (tmp_path / "b.asf").write_text(TWO_BONES.replace("length 0.45", "length 0.001"))
    for frame in ("root 1e308 0 0 0 0 0", "root 0 0 0 0 0", "root nan 0 0 0 0 0", "none 1", "root 0 0 0 0 0 0\nlower 1 2"):
        motion.write_text(amc(frame))
        refused(reading("amc", tmp_path / "b.asf", motion))


# NPZ


def npy(spec: str, shape: object, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {spec!r}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + content


def members(folder: Path) -> dict[str, bytes]:
    save_capture(make_capture(), folder / "good.npz")
    with zipfile.ZipFile(folder / "good.npz") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, content: dict[str, bytes] | list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, part in content.items() if isinstance(content, dict) else content:
            archive.writestr(zipfile.ZipInfo(name), part, compression)
    return path


# Members of a whole capture that are replaced.
NPZ: dict[str, dict[str, bytes]] = {
    "a gigantic array": {"keypoints.xy": npy("<f8", (10**13,)), "motion.root": npy("<f8", (10**13,))},
    "an array beyond all numbers": {name: npy("<f8", (2**62, 2**62)) for name in ("keypoints.xy", "motion.root")},
    "less than no frames": {name: npy("<f8", (-1, 3)) for name in ("keypoints.xy", "motion.root")},
    "an array of nothing": {name: npy("<f8", (0, 10**30)) for name in ("keypoints.xy", "motion.root")},
    "objects": {name: npy("|O", (1,), pickle.dumps([1])) for name in ("keypoints.xy", "motion.root")},
    "fields": {name: npy("f8,i4", (1,), bytes(12)) for name in ("keypoints.xy", "motion.root")},
    "text without characters": {name: npy("<U0", (10**12,)) for name in ("keypoints.skeleton", "motion.names")},
    "a header that is no dictionary": {
        name: b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000 for name in ("keypoints.xy", "motion.root")
    },
    "a header of another version": {name: npy("<f8", (1,), bytes(8), b"\x09\x09") for name in ("keypoints.xy", "motion.root")},
    "an end too soon": {name: npy("<f8", (9, 3), bytes(20)) for name in ("keypoints.xy", "motion.root")},
    "bytes beyond the end": {name: npy("<f8", (1,), bytes(999)) for name in ("keypoints.xy", "motion.root")},
    "no bytes": {"keypoints.xy": b"", "motion.root": b""},
}


@pytest.mark.parametrize("kind", NPZ)
def test_npz(kind: str, reading: Reading, tmp_path: Path) -> None:
    changed = {f"{name}.npy": content for name, content in NPZ[kind].items()}
    refused(reading("npz", zipped(tmp_path / "a.npz", members(tmp_path) | changed)))


def test_npz_with_a_hostile_archive(reading: Reading, tmp_path: Path) -> None:
    good = members(tmp_path)
    path = tmp_path / "a.npz"
    much = npy("|u1", (150_000_000,), bytes(150_000_000))
    assert zipped(path, {"keypoints.xy.npy": much}, zipfile.ZIP_DEFLATED).stat().st_size < 1_000_000
    refused(reading("npz", path), "unpacks to 150 MB")
    zipped(path, {"keypoints.xy.npy": npy("|u1", (9,), bytes(9))}, zipfile.ZIP_BZIP2)
    refused(reading("npz", path), "uses a compression")
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped(path, [*good.items(), next(iter(good.items()))])
    refused(reading("npz", path), "two members")
    # The directory promises a byte less than there is in the member.
    content = zipped(path, good).read_bytes()
    at = content.rindex(b"PK\x01\x02")
    size = struct.unpack_from("<I", content, at + 24)[0]
    path.write_bytes(content[: at + 20] + struct.pack("<II", size - 1, size - 1) + content[at + 28 :])
    refused(reading("npz", path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", np.array("one")), ("version", np.array(2**63, np.uint64)), ("version", np.array([1])), ("format", np.array(1)),
        ("motion.names", np.arange(3)), ("motion.names", np.array("Hips")), ("motion.parents", np.array([np.nan, 0])),
        ("motion.parents", np.full(17, -(2**62))), ("motion.fps", np.array(np.nan)), ("motion.fps", np.array([1.0, 2.0])),
        ("motion.rotations", np.array(1.0)), ("motion.root", np.array(["a"])),
    ],
)  # fmt: skip
def test_npz_of_a_motion_with_wrong_values(name: str, value: np.ndarray, reading: Reading, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, value)
    motion = {key: part for key, part in members(tmp_path).items() if key.startswith(("motion", "format", "version"))}
    assert any(key.startswith(f"{name}.npy") for key in motion)
    refused(reading("npz", zipped(tmp_path / "a.npz", motion | {f"{name}.npy": buffer.getvalue()}))[:2])


# Safetensors


# JSON, pickles, MATLAB, the index of mocap


@pytest.mark.parametrize(
    "content", [b"[" * 1_000_000, b'[{"a":' * 100_000, b"[1e999, NaN, 1e-999]", b"9" * 100_000, b'"\\ud800"', b"[{}]" + bytes(9)]
)
def test_json(content: bytes, reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    refused(reading("json", tmp_path / "a.json"))


def many(times: int, what: bytes) -> bytes:
    """A list of `times` results of the operations `what`."""
    return b"](" + what * times + b"e."


TEXT = b"X" + struct.pack("<I", 1_000_000) + b"a" * 1_000_000
NUMBERS = b"](" + b"K\x01" * 200_000 + b"e"
PICKLES: dict[str, bytes] = {
    "a memo of gigabytes": b"Nr\xff\xff\xff\x7f.",
    "a memo of gigabytes in text": b"Np2147483647\n.",
    "bytes without an end": b"\x8e" + struct.pack("<Q", 2**62) + b"a.",
    "an array of bytes without an end": b"\x96" + struct.pack("<Q", 20 * 10**9) + b"a.",
    "a frame without an end": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "a number without an end": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"a.",
    "numbers that all have one hash": b"}(" + b"".join(
        b"\x8a\x0a" + (number * (2**61 - 1)).to_bytes(10, "little") + b"N" for number in range(1, 60_000)
    ) + b"u.",
    "copies of one text": b"c_codecs\nencode\nq\x00" + TEXT + b"U\x06latin1\x86q\x01" + many(2000, b"h\x00h\x01R"),
    "copies of one list of pairs": b"ccollections\nOrderedDict\nq\x00](" + b"".join(
        b"J" + struct.pack("<i", number) + b"N\x86" for number in range(20_000)
    ) + b"e\x85q\x01" + many(2000, b"h\x00h\x01R"),
    "copies of one array of objects": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btq\x00"
        b"(K\x01J" + struct.pack("<i", 200_000) + b"\x85cnumpy\ndtype\n(U\x02O8K\x00K\x01tR\x89" + NUMBERS + b"tq\x01"
        + many(2000, b"cnumpy.core.multiarray\n_reconstruct\nh\x00Rh\x01b")
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PICKLES)
def test_pickles(kind: str, reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(PICKLES[kind])
    refused(reading("pkl", tmp_path / "a.pkl"))


def test_a_single_copy_in_such_a_pickle_is_read(reading: Reading, tmp_path: Path) -> None:
    """Control: the copies in the pickles above are the reason that they are refused."""
    for kind in (kind for kind in PICKLES if kind.startswith("copies")):
        content = PICKLES[kind]
        body = content[content.rindex(b"](") + 2 : -2]
        once = body[: len(body) // 2000]
        (tmp_path / "a.pkl").write_bytes(content[: -len(body) - 2] + once + b"e.")
        ((failed, _, _),) = reading("pkl", tmp_path / "a.pkl")
        assert failed is None, kind


def test_hdf5_that_claims_more_than_it_stores(reading: Reading, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("a", (10**7, 100), chunks=True)
    refused(reading("mat", tmp_path / "a.mat"))
    old = b"MATLAB 5.0 MAT-file" + bytes(105) + b"\x00\x01IM" + b"\xff" * 50
    for content in (b"MATLAB 7.3" + bytes(600), old, b"", b"x" * 200):
        (tmp_path / "a.mat").write_bytes(content)
        refused(reading("mat", tmp_path / "a.mat"))


ROW = "clip,subject,action,split,part,file,rig\none,s,walk,train,free,a.npz,\n"
INDEXES: dict[str, str] = {
    "no columns": "a,b\n1,2\n",
    "a row that ends too soon": ROW + "two,s\n",
    "a field of megabytes": ROW + f'"{"x" * 2_000_000}",s,walk,train,free,a.npz,\n',
    "NUL bytes": ROW + "\0,s,walk,train,free,a.npz,\n",
    "no such file": ROW.replace("a.npz", "b.npz"),
    "no such clip": ROW.replace("one", "two"),
    "a file that is none": ROW.replace("a.npz", "."),
    "a clip with gaps": ROW.replace("one", "gap"),
    "a clip without frames": ROW.replace("one", "empty"),
    "a clip of text": ROW.replace("one", "text"),
    "no rig": ROW.replace(".npz,", ".npz,mb"),
    "a rig in a circle": ROW.replace("one", "circle").replace(".npz,", ".npz,mb"),
    "a rig without a chest": ROW.replace("one", "chestless").replace(".npz,", ".npz,mb"),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_the_index_of_mocap(kind: str, reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "rotations").mkdir()
    take = np.random.default_rng(0).normal(size=(5, 17, 3))
    clips = {"one": take, "circle": take, "chestless": take, "gap": np.where(np.arange(5)[:, None, None] == 2, np.nan, take)}
    np.savez(tmp_path / "a.npz", **clips, empty=np.zeros((0, 17, 3)), text=np.full((5, 17, 3), "x"))
    rig = {"quats": np.ones((5, 3, 4)), "offsets": np.ones((3, 3)), "names": np.array(["Hips", "Spine", "Spine1"])}
    rigs = {"circle": {**rig, "parents": np.array([2, 0, 1])}, "chestless": {**rig, "parents": np.array([-1, 0])}}
    arrays = {f"{clip}__{name}": value for clip, parts in rigs.items() for name, value in parts.items()}
    np.savez(tmp_path / "rotations" / "a.npz", **arrays)
    (tmp_path / "index.csv").write_text(ROW)
    assert reading("csv", tmp_path)[0][0] is None, "control"
    (tmp_path / "index.csv").write_text(INDEXES[kind])
    refused(reading("csv", tmp_path))
