"""The documents use the words of the field: none of the words listed here, which readers of earlier versions stumbled over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Expression: what to write instead.
AVOIDED = {
    r"whoever": "the person who, any person",
    r"somebody": "a person",
    r"(is|are|was|were) told": "receives, is given",
    r"sights?": "detection",
    r"summits?": "peak",
    r"the rooms?": "module, package, space",
    r"(gone|goes|go|going) on with": "resume, continue",
    r"eyes": "detector",
}
PATTERN = re.compile("|".join(rf"\b({expression})\b" for expression in AVOIDED), re.IGNORECASE)

# Files of text that users read. Messages and help of the command are checked where they are defined.
TEXTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md"), *(ROOT / ".github").rglob("*.md")]
)


def found(text: str) -> list[str]:
    """Line numbers and words of a text that should be others. Code between backticks does not count: it names what exists."""
    plain = re.sub(r"```.*?```|`[^`\n]*`", lambda code: re.sub(r"[^\n]", " ", code.group()), text, flags=re.DOTALL)
    return [f"{number}: {match.group()}" for number, line in enumerate(plain.splitlines(), 1) for match in PATTERN.finditer(line)]


def test_the_documents_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in TEXTS}
    assert {"README.md", "CHANGELOG.md", "docs/method.md", "docs/tutorials/first-capture.md"} <= names


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_use_the_words_of_the_field(path: Path) -> None:
    assert not found(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "sentence",
    ["Whoever is followed", "joints are told", "no sight", "near its summit", "the rooms fit", "is gone on with", "its eyes"],
)
def test_a_word_to_avoid_is_found(sentence: str) -> None:
    assert found(f"plain\n{sentence}.")[0].startswith("2: ")


def test_code_and_longer_words_do_not_count() -> None:
    assert not found("`whoever`, insights, mushrooms\n```sh\nsomebody\n```\nthe headroom")
