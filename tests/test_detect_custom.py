"""A detector of your own: one module, named on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fakes import film
from stpose_cli.main import run

from stpose_core.detect import load_detector
from stpose_core.errors import DetectorError

# All that a detector has to be. It finds the bright bar that `fakes.film` draws, and takes it for somebody who stands.
MINE = """
import numpy as np
from stpose_core.detect import Box, Detector, Pose2D

class Bars(Detector):
    name = "bars"
    skeleton = "coco17"

    def find(self, image, thorough=False):
        rows, columns = np.nonzero(image[..., 1] > 120)
        return [Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)] if len(rows) > 100 else []

    def pose(self, image, box):
        found = self.find(image)
        if not found:
            return Pose2D(np.full((17, 2), np.nan), np.zeros(17), 0.0, box)
        place = found[0]
        x = [0, 1, -1, 2, -2, 5, -5, 7, -7, 8, -8, 3, -3, 4, -4, 4, -4]
        y = [8, 6, 6, 7, 7, 18, 18, 32, 32, 44, 44, 42, 42, 60, 60, 77, 77]
        return Pose2D(np.column_stack([place.centre[0] + np.array(x), place.y0 + np.array(y)]), np.full(17, 0.9), 1.0, place)

class Faster(Bars):
    def __init__(self, device="cpu", size=1):
        self.name = f"bars on {device}, {size}"
"""
# What is wrong, and what is said of it.
WRONG = {
    "NotThere": "has no class NotThere",
    "number": "has no class number",
    "Empty": "it has no find(), no pose()",
    "Blind": "cannot be instantiated: TypeError: Can't instantiate abstract class Blind",
    "Nameless": "it has no name, no skeleton",
    "Alien": "unknown skeleton 'alien'",
    "Alone": "it has no maps",
    "Hasty": "its find() must take (image, thorough=False)",
    "Odd": "its pose() must take (image, box)",
    "Broken": "cannot be instantiated: RuntimeError: no licence",
    "Demanding": "cannot be instantiated: TypeError",
}
OTHERS = """
number = 3

class Empty: pass

class Blind(Bars.__mro__[1]):
    name, skeleton = "blind", "coco17"
    def find(self, image, thorough=False): return []

class Nameless(Bars.__mro__[1]):
    def find(self, image, thorough=False): return []
    def pose(self, image, box): return None

class Alien(Bars):
    skeleton = "alien"

class Alone:
    name, skeleton = "alone", "coco17"
    def find(self, image, thorough=False): return []
    def pose(self, image, box): return None

class Hasty(Bars):
    def find(self, image): return []

class Odd(Bars):
    def pose(self, image): return None

class Broken(Bars):
    def __init__(self):
        raise RuntimeError("no\\n licence")

class Demanding(Bars):
    def __init__(self, key):
        pass

class Enough:
    name, skeleton, maps = "enough", "halpe26", None
    def find(self, image, thorough=False): return []
    def pose(self, image, box): return None
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module with detectors, under a name of its own, as the interpreter keeps those that it has imported."""
    name = f"my_detectors_{abs(hash(request.node.name))}"
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / f"{name}.py").write_text(MINE + OTHERS)
    (folder / f"{name}_damaged.py").write_text("import\nnonsense")
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_a_detector_is_one_module(mine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, out = film(tmp_path / "walk.mp4", 25, 30), tmp_path / "walk.bvh"
    assert run(["mocap", str(video), "-o", str(out), "--detector", f"{mine}:Bars", "--progress", "json", "--device", "cpu"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["detector"], result["people"], result["seen"]) == ("bars", 1, [1.0])
    assert out.is_file()


def test_options_reach_the_constructor_and_the_device_only_where_it_is_taken(mine: str) -> None:
    assert load_detector(f"{mine}:Faster", device="cuda", size=3).name == "bars on cuda, 3"
    assert load_detector(f"{mine}:Bars", device="cuda").name == "bars"
    assert load_detector(f"{mine}:Enough", device="cuda").name == "enough", "no base class is needed"
    with pytest.raises(DetectorError, match="cannot be instantiated: TypeError"):
        load_detector(f"{mine}:Faster", wings=2)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_class_is_told_in_a_line(
    mine: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DetectorError) as caught:
        load_detector(f"{mine}:{name}")
    assert f"{mine}:{name}" in str(caught.value)
    assert WRONG[name] in str(caught.value)
    video = film(tmp_path / "walk.mp4", 25, 3)
    assert run(["mocap", str(video), "-o", str(tmp_path / "a.bvh"), "--detector", f"{mine}:{name}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_modules_that_cannot_be_imported(mine: str) -> None:
    with pytest.raises(DetectorError, match=r"ModuleNotFoundError: No module named 'nobody_has_this'.*PYTHONPATH"):
        load_detector("nobody_has_this.at_all:Thing")
    with pytest.raises(DetectorError, match=r"_damaged:Bars cannot be imported .SyntaxError"):
        load_detector(f"{mine}_damaged:Bars")
    for name in ("a b:C", "module:", ":Class", "module:a.b", "1a:B", "a:b:c", "http://example.org/x"):
        with pytest.raises(DetectorError, match="no detector"):
            load_detector(name)


@pytest.mark.skipif(os.name == "nt", reason="no file has a colon in its name there")
def test_a_file_of_such_a_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stpose_core.errors import FormatError

    monkeypatch.chdir(tmp_path)
    Path("module:Class").write_text("")
    with pytest.raises(FormatError, match="not a keypoint file"):
        load_detector("module:Class")
