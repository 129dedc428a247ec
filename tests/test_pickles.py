"""Pickles of others: data come through, whatever else they ask for does not run."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from set_files import python2_pickle
from stpose_training.data.pickles import read_npz, read_pickle

from stpose_core.errors import FormatError

ARRAYS = {
    "floats": np.arange(6, dtype=np.float32).reshape(2, 3),
    "column": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "big": np.arange(3, dtype=">i8"),
    "text": np.array(["one", "three"]),
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 3)),
}


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_come_through_as_they_are(tmp_path: Path, protocol: int) -> None:
    data = {**ARRAYS, "number": np.float64(2.5), "nested": {"S1": [ARRAYS["floats"], None, (1, 2.0, "x", b"y", True)]}}
    data["objects"] = np.array([ARRAYS["floats"], "a", None], dtype=object)
    path = written(tmp_path, pickle.dumps(data, protocol=protocol))
    read = read_pickle(path)
    assert list(read) == list(data)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array)
    assert read["number"] == 2.5
    assert np.array_equal(read["nested"]["S1"][0], ARRAYS["floats"])
    assert read["nested"]["S1"][1:] == [None, (1, 2.0, "x", b"y", True)]
    assert np.array_equal(read["objects"][0], ARRAYS["floats"])
    assert list(read["objects"][1:]) == ["a", None]


def test_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    array = np.linspace(0, 1, 24).reshape(2, 3, 4)
    data = {"sequence": "caf\xe9", "list": [array, array.astype(np.float32)], "flag": True, "ten": 10}
    content = python2_pickle(data)
    assert pickle.loads(content, encoding="latin1")["sequence"] == "caf\xe9"  # the test's own writer is right
    read = read_pickle(written(tmp_path, content))
    assert (read["sequence"], read["flag"], read["ten"]) == ("caf\xe9", True, 10)
    assert np.array_equal(read["list"][0], array)
    assert np.array_equal(read["list"][1], array.astype(np.float32))


def test_npz_members_with_objects_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, positions_3d={"S1": {"Walking": ARRAYS["floats"]}}, plain=ARRAYS["column"])
    read, plain = read_npz(path, "positions_3d", "plain")
    assert np.array_equal(read["S1"]["Walking"], ARRAYS["floats"])
    assert np.array_equal(plain, ARRAYS["column"])
    with pytest.raises(FormatError, match="no member 'other'"):
        read_npz(path, "other")


def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    np.savez(tmp_path / "hostile.npz", positions_3d={"S1": Hostile(folder)})
    path = written(tmp_path, pickle.dumps({"S1": [Hostile(folder)]}))
    for read in (lambda: read_npz(tmp_path / "hostile.npz", "positions_3d"), lambda: read_pickle(path)):
        with pytest.raises(FormatError, match=r"asks to run '(posix|nt)\.mkdir'; only numbers"):
            read()
    assert not folder.exists()
    # The control: numpy's own reader runs it.
    np.load(tmp_path / "hostile.npz", allow_pickle=True)["positions_3d"]
    assert folder.is_dir()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<i", len(value)) + value.encode()


BLANK = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
KIND = b"cnumpy\ndtype\n(" + text("f8") + b"K\x00K\x01tR"
HOSTILE = {
    "another function": b"cbuiltins\neval\n(" + text("1") + b"tR.",
    "an attribute of an allowed module": b"cnumpy\nload\n(" + text("x") + b"tR.",
    "a dotted name": b"\x80\x04" + text("numpy") + text("ndarray.tofile") + b"\x93.",
    "a change of the reader": b"cnumpy\ndtype\n}(" + text("make") + b"Nub.",
    "a change through slots": b"cnumpy\ndtype\n(N}" + text("make") + b"Ns" + b"tb.",
    "a class without state": b"cnumpy\nndarray\n.",
    "an array larger than its content": BLANK + b"(K\x01(K\x09K\x09t" + KIND + b"\x89C\x08\0\0\0\0\0\0\0\0tb.",
    "an array of negative size": BLANK + b"(K\x01(J\xff\xff\xff\xfft" + KIND + b"\x89C\x00tb.",
    "pointers as content": BLANK + b"(K\x01(K\x01tcnumpy\ndtype\n(" + text("O8") + b"K\x00K\x01tR\x89C\x08\0\0\0\0\0\0\0\0tb.",
    "a structured type": b"cnumpy\ndtype\n(" + text("V8") + b"K\x00K\x01tR.",
    "a persistent object": b"Pname\n.",
    "bytes of any size": b"c__builtin__\nbytes\n(J\xff\xff\xff\x7ftR.",
    "nothing": b"",
    "an end too soon": pickle.dumps(ARRAYS)[:-40],
    "no pickle": b"Hello, world",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_data_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, HOSTILE[name])
    with pytest.raises(FormatError) as caught:
        read_pickle(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    # The reader is as it was.
    assert np.array_equal(read_pickle(written(tmp_path, pickle.dumps(ARRAYS)))["floats"], ARRAYS["floats"])


def test_fields_and_subtypes_of_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="type 'V12'"):
        read_pickle(written(tmp_path, pickle.dumps(np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]))))


def test_deep_nests_and_shared_parts_end(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    with pytest.raises(FormatError, match="nested too deeply"):
        read_pickle(written(tmp_path, pickle.dumps(deep)))
    shared: list[Any] = ["end"]
    for _ in range(25):
        shared = [shared, shared]  # written out it would have 33 million parts
    assert len(read_pickle(written(tmp_path, pickle.dumps(shared)))) == 2
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(FormatError, match="nested too deeply"):
        read_pickle(written(tmp_path, pickle.dumps(itself)))


def test_other_objects_are_refused(tmp_path: Path) -> None:
    for value in ({1, 2}, {(1, 2): 3}, Path("x")):
        with pytest.raises(FormatError):
            read_pickle(written(tmp_path, pickle.dumps(value)))
    assert read_pickle(written(tmp_path, pickle.dumps(OrderedDict(a=1)))) == {"a": 1}


def test_missing_and_wrong_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot read"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(FormatError, match="there is no file"):
        read_npz(tmp_path / "none.npz", "a")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(FormatError, match=r"cannot be read as \.npz"):
        read_npz(tmp_path / "text.npz", "a")
