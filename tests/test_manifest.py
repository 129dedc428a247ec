"""The manifest of a batch: which outputs count as done, and what has changed since."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import film
from stpose_cli.manifest import Manifest, checksum, inputs_of
from test_cli import ARGUMENTS, fails

from stpose_core.options import CaptureOptions


def test_the_manifest_survives_a_full_disk_and_nonsense(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4", 25, 3)
    (tmp_path / "a.bvh").touch()
    Manifest(tmp_path).append(video, [str(tmp_path / "a.bvh")], sha256=checksum(video), options={"smooth": 0.4}, error=None)
    # A line that was cut short, and lines of others.
    with (tmp_path / "manifest.jsonl").open("ab") as file:
        file.write(b'[]\n{"video": 3}\n' + b"[" * 10000 + b'\n\xff\n{"video": "/b.mp4", "sta')
    manifest = Manifest(tmp_path)
    assert manifest.finished(video, {"smooth": 0.4}, {}) == [tmp_path / "a.bvh"]
    assert manifest.finished(video, {"smooth": 0.5}, {}) is None
    manifest.append(video, [], sha256=None, options={"smooth": 0.4}, error="no person")
    assert json.loads((tmp_path / "manifest.jsonl").read_bytes().splitlines()[-1])["status"] == "error"
    assert Manifest(tmp_path).finished(video, {"smooth": 0.4}, {}) is None


def test_the_manifest_knows_every_output_of_a_video(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4", 25, 3)
    bvh, glb = ({"format": name, "smooth": 0.4} for name in ("bvh", "glb"))
    for options in (bvh, glb):
        (tmp_path / f"a.{options['format']}").touch()
        name = str(tmp_path / f"a.{options['format']}")
        Manifest(tmp_path).append(video, [name], sha256=checksum(video), options=options, error=None)
    manifest = Manifest(tmp_path)
    assert manifest.finished(video, bvh, {}) == [tmp_path / "a.bvh"]
    assert manifest.finished(video, glb, {}) == [tmp_path / "a.glb"]
    smoother = {**bvh, "smooth": 0.6}
    assert "smooth 0.4, now 0.6" in str(manifest.difference(video, tmp_path / "a.bvh", smoother, {}))
    manifest.append(video, [str(tmp_path / "a.bvh")], sha256=checksum(video), options=smoother, error=None)
    assert Manifest(tmp_path).finished(video, bvh, {}) is None, "a.bvh was written again, with other options"
    assert Manifest(tmp_path).finished(video, glb, {}) == [tmp_path / "a.glb"]
    manifest.append(video, [], sha256=checksum(video), options={**glb, "face": None}, error="of a version that has an option more")
    assert Manifest(tmp_path).finished(video, glb, {}) is None
    assert Manifest(tmp_path).finished(video, smoother, {}) == [tmp_path / "a.bvh"], "the error was of other options"


def test_an_output_is_that_of_the_last_video_that_made_it(tmp_path: Path) -> None:
    first, second = film(tmp_path / "a.mp4", 25, 3), film(tmp_path / "b.mp4", 25, 4)
    (tmp_path / "walk.bvh").touch()
    for video in (first, second):
        Manifest(tmp_path).append(video, [str(tmp_path / "walk.bvh")], sha256=checksum(video), options={}, error=None)
    assert Manifest(tmp_path).finished(first, {}, {}) is None
    assert Manifest(tmp_path).finished(second, {}, {}) == [tmp_path / "walk.bvh"]


def test_a_change_in_a_file_that_options_name_is_noticed(tmp_path: Path) -> None:
    video, weights = film(tmp_path / "a.mp4", 25, 3), tmp_path / "my.safetensors"
    (tmp_path / "a.bvh").touch()
    weights.write_bytes(b"first")
    options = CaptureOptions(weights=str(weights))
    fields, inputs = json.loads(options.to_json()), inputs_of(options)
    assert list(inputs) == [str(weights)]
    manifest = Manifest(tmp_path)
    manifest.append(video, [str(tmp_path / "a.bvh")], sha256=checksum(video), options=fields, inputs=inputs, error=None)
    manifest = Manifest(tmp_path)
    assert manifest.finished(video, fields, inputs_of(options)) == [tmp_path / "a.bvh"]
    assert manifest.difference(video, tmp_path / "a.bvh", fields, inputs_of(options)) is None
    weights.write_bytes(b"other")
    assert manifest.finished(video, fields, inputs_of(options)) is None
    assert manifest.difference(video, tmp_path / "a.bvh", fields, inputs_of(options)) == f"{weights} has changed"


@pytest.mark.parametrize("option", ["--weights", "--skeleton"])
def test_a_file_that_is_missing_is_no_change_of_options(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.bvh").touch()
    words = [film(tmp_path / "a.mp4", 25, 5), "-o", f"{tmp_path}/out/", "--jobs", "1", option, "nope.file", *ARGUMENTS]
    assert "there is no file nope.file" in fails(capsys, "mocap", *words)
