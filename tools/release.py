"""Make all assets of a release: wheel, source distribution, the Blender extension, the list of dependencies, and checksums.

    pip install build 'setuptools>=77' cyclonedx-bom bpy
    python tools/release.py [--out dist] [--revision HEAD] [--blender PATH] [--skip extension] [--skip sbom]

Everything is made from one revision of the repository, with its time in place of the clock's, so the same revision gives the same
bytes. `stpose-<version>.cdx.json` is a bill of materials in CycloneDX: stpose and every package that it requires, with version and
licence, as installed in a new virtual environment in the versions of constraints.txt. Needs a package index and, for the extension,
bpy or a Blender.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("extension", "sbom")
SUMS = "SHA256SUMS"


def versions(root: Path) -> dict[str, str]:
    """The version that each file of a copy of the project states. Raises SystemExit if one states none."""
    places = {
        "stpose_core/__init__.py": r'^__version__ = "([^"]+)"',
        "blender_addon/blender_manifest.toml": r'^version = "([^"]+)"',
        "CITATION.cff": r"^version: (\S+)",
    }
    found = {}
    for name, pattern in places.items():
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if match is None:
            raise SystemExit(f"{name} states no version")
        found[name] = match.group(1)
    return found


def version_of(root: Path) -> str:
    """The version of a copy of the project. Raises SystemExit if its files differ."""
    found = versions(root)
    if len(set(found.values())) > 1:
        raise SystemExit("the versions differ: " + ", ".join(f"{name} {version}" for name, version in found.items()))
    return found["stpose_core/__init__.py"]


def export(revision: str, folder: Path) -> int:
    """Write the files of a revision into a folder. Returns the time of the revision in seconds since 1970."""
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else files.extractall(folder)
    told = subprocess.run(["git", "log", "-1", "--format=%ct", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return int(told)


def build(source: Path, out: Path, epoch: int) -> list[Path]:
    """The wheel and the source distribution of a copy of the project."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    (archive,) = out.glob("*.tar.gz")
    archive.write_bytes(plain_tar(archive.read_bytes(), epoch))
    return [*out.glob("*.whl"), archive]


def plain_tar(archive: bytes, epoch: int) -> bytes:
    """A .tar.gz with the same files, independent of the clock, the user and the order of the folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname, member.pax_headers = epoch, 0, 0, "", "", {}
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return gzip.compress(packed.getvalue(), mtime=epoch)


def plain_zip(archive: bytes, epoch: int) -> bytes:
    """A .zip with the same files, independent of the clock and the order of the folder."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist()):
            entry = zipfile.ZipInfo(name, time.gmtime(epoch)[:6])
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            new.writestr(entry, old.read(name))
    return packed.getvalue()


def extension(source: Path, out: Path, blender: str | None, epoch: int) -> Path:
    """The zip of the Blender extension."""
    command = [sys.executable, str(source / "tools" / "build_addon.py"), "--out", str(out)]
    subprocess.run([*command, "--blender", blender] if blender else command, check=True, stdout=subprocess.DEVNULL)
    (file,) = out.glob("*.zip")
    file.write_bytes(plain_zip(file.read_bytes(), epoch))
    return file


def bill_of_materials(wheel: Path, constraints: Path, out: Path, work: Path) -> Path:
    """What an installation of the wheel consists of, from a new virtual environment."""
    place = work / "venv"
    venv.create(place, with_pip=False)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "-c", str(constraints), str(wheel)]
    subprocess.run(install, check=True)
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON", "-o", str(out)]
    subprocess.run([*command, str(python)], check=True)
    # It names the folder that the wheel was installed from.
    out.write_text(out.read_text(encoding="utf-8").replace(wheel.parent.as_uri(), "."), encoding="utf-8")
    return out


def checksums(files: list[Path], out: Path) -> Path:
    """A file that `sha256sum --check` reads."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(files)]
    out.write_text("".join(lines), encoding="utf-8")
    return out


def release(out: Path, revision: str, blender: str | None, skip: list[str]) -> list[Path]:
    """Make the assets in a new folder, and move them to `out` when all are there."""
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        source, made = work / "source", work / "made"
        source.mkdir()
        epoch = export(revision, source)
        name = f"stpose-{version_of(source)}"
        files = build(source, made, epoch)
        if "extension" not in skip:
            files.append(extension(source, made, blender, epoch))
        if "sbom" not in skip:
            wheel = next(file for file in files if file.suffix == ".whl")
            files.append(bill_of_materials(wheel, source / "constraints.txt", made / f"{name}.cdx.json", work))
        files.append(checksums(files, made / SUMS))
        out.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.move(file, out / file.name)) for file in files]


def main() -> None:
    """Print the assets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--revision", default="HEAD")
    parser.add_argument("--blender", help="a Blender to build the extension with, instead of bpy")
    parser.add_argument("--skip", action="append", default=[], choices=PARTS)
    given = parser.parse_args()
    for file in release(given.out, given.revision, given.blender, given.skip):
        print(f"{file.stat().st_size / 1e6:8.2f} MB  {file}")


if __name__ == "__main__":
    main()
