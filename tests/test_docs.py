"""The documents hold together: links lead somewhere, commands have the options they are shown with, and Python compiles."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from fakes import lift_standing

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
IDS = [str(path.relative_to(ROOT)) for path in DOCS]


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_links_lead_somewhere(path: Path) -> None:
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert there.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(there), target


def shown_commands(path: Path) -> list[list[str]]:
    """The words of each `stpose` command in blocks, indented lines and code between backticks."""
    text = path.read_text(encoding="utf-8")
    lines = [line for _, language, block in BLOCK.findall(text) if language in ("", "sh") for line in block.splitlines()]
    lines += re.findall(r"^ {4}(stpose .*)$", text, re.MULTILINE) + re.findall(r"`(stpose [^`\n]+)`", text)
    found = []
    for line in lines:
        for part in re.split(r" && | \|\| |; ", line.split("#")[0]):
            if part.strip().startswith("stpose "):
                found.append(shlex.split(part.replace("[", " ").replace("]", " "))[1:])
    return found


def unknown_options(words: list[str]) -> list[str]:
    """The options of a command that it does not have. Raises KeyError for a command that does not exist."""
    from stpose_cli.main import cli

    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            raise KeyError(words[0])
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"-h", "--help"}
    return [word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word) and word not in known]


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_commands_have_the_options_they_are_shown_with(path: Path) -> None:
    for words in shown_commands(path):
        assert not unknown_options(words), " ".join(words)


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_python_in_the_documents_compiles(path: Path) -> None:
    for _, language, block in BLOCK.findall(path.read_text(encoding="utf-8")):
        if language == "python":
            compile(block, str(path), "exec")


def test_wrong_commands_and_options_are_found() -> None:
    assert unknown_options(["mocap", "a.mp4", "-o", "b.bvh", "--smoothing", "1"]) == ["--smoothing"]
    assert not unknown_options(["mocap", "a.mp4", "-o", "b.bvh", "--no-refine", "--person", "left"])
    with pytest.raises(KeyError):
        unknown_options(["capture", "a.mp4"])
    assert len(shown_commands(ROOT / "docs/mocap.md")) > 1


def python_of(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [block for _, language, block in BLOCK.findall(text) if language == "python"]


def test_the_detector_of_the_tutorial_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from stpose_core.detect import load_detector

    code = python_of("tutorials/extend.md")[0].split("\ncapture = ")[0]
    module = ModuleType("tutorial")
    vars(module).update(
        my_person_model=lambda image: [(0, 0, 10, 20, 0.9)], my_joint_model=lambda image, box: (np.zeros((17, 2)), np.ones(17))
    )
    exec(code, vars(module))
    monkeypatch.setitem(sys.modules, "tutorial", module)
    detector = load_detector("tutorial:MyDetector")
    (box,) = detector.find(np.zeros((30, 30, 3), np.uint8), thorough=True)
    assert detector.pose(np.zeros((30, 30, 3), np.uint8), box).presence == 1
    assert detector.maps is None


def test_the_format_of_the_tutorial_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import numpy as np

    from stpose_core import formats
    from stpose_core.animate import animate
    from stpose_core.data import Keypoints

    _, code, line = python_of("tutorials/extend.md")
    module = ModuleType("stpose_core.formats.xyz")
    exec(code, vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, eval(line, vars(formats))))
    standing = lift_standing(Keypoints(np.full((6, 17, 2), 50.0), np.ones((6, 17)), 25, (160, 120), "h36m17"))
    formats.save(animate(standing), tmp_path / "a.xyz")
    assert np.loadtxt(tmp_path / "a.xyz").shape[0] == 6
