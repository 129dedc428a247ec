"""The assets of a release: the same revision gives the same bytes, and the version is stated once."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from release import checksums, plain_tar, plain_zip, version_of, versions  # noqa: E402

import stpose_core  # noqa: E402


def test_the_version_is_the_same_everywhere(tmp_path: Path) -> None:
    assert set(versions(ROOT).values()) == {stpose_core.__version__} == {version_of(ROOT)}
    # pyproject.toml reads it, and does not state it again.
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'attr = "stpose_core.__version__"' in project
    assert not re.search(r'^version = "', project, re.MULTILINE)
    for name in versions(ROOT):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        text = (ROOT / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(stpose_core.__version__, "9.9.9") if name == "CITATION.cff" else text)
    with pytest.raises(SystemExit, match=r"the versions differ.*9\.9\.9"):
        version_of(tmp_path)


def tar_of(names: list[str], clock: int, user: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname, member.uid, member.mode = len(name), clock, user, clock, 0o664
            archive.addfile(member, io.BytesIO(name.encode()))
    return packed.getvalue()


def test_archives_do_not_depend_on_the_clock_the_user_or_the_order() -> None:
    one, other = tar_of(["a/b", "a/c"], 1_700_000_000, "me"), tar_of(["a/c", "a/b"], 1_800_000_000, "you")
    assert one != other
    assert plain_tar(one, 1_600_000_000) == plain_tar(other, 1_600_000_000) != plain_tar(one, 1_600_000_001)
    with tarfile.open(fileobj=io.BytesIO(plain_tar(one, 1_600_000_000))) as archive:
        assert archive.extractfile("a/c").read() == b"a/c"  # type: ignore[union-attr]
    zips = []
    for names, year in ((["x", "y"], 2001), (["y", "x"], 2011)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), name)
        zips.append(packed.getvalue())
    assert zips[0] != zips[1]
    assert plain_zip(zips[0], 1_600_000_000) == plain_zip(zips[1], 1_600_000_000)


def test_checksums_are_read_by_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"b")
    (tmp_path / "a.zip").write_bytes(b"a")
    sums = checksums([tmp_path / "b.whl", tmp_path / "a.zip"], tmp_path / "SHA256SUMS")
    assert sums.read_text() == f"{hashlib.sha256(b'a').hexdigest()}  a.zip\n{hashlib.sha256(b'b').hexdigest()}  b.whl\n"
    if sys.platform == "linux":
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
