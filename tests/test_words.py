"""Documents, messages, comments and names use the words of the field: none of those listed here, which readers stumble over."""

from __future__ import annotations

import ast
import io
import re
import tokenize
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

# In code, eyes are joints of a face.
IN_CODE = {word: instead for word, instead in AVOIDED.items() if word != "eyes"} | {
    "sightings?": "detection",
}
CODE_PATTERN = re.compile("|".join(rf"\b({expression})\b" for expression in IN_CODE), re.IGNORECASE)
NAME_PATTERN = re.compile("(whoever|somebody|told|sights?|sightings?|summits?)", re.IGNORECASE)

# Files of text that users read.
TEXTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md"), *(ROOT / ".github").rglob("*.md")]
)


CODE = sorted(
    file
    for folder in ("cli", "stpose_core", "training", "blender_addon", "benchmarks", "tools")
    for kind in ("*.py", "*.toml")
    for file in (ROOT / folder).rglob(kind)
    if "node_modules" not in file.parts
)


def found(text: str, pattern: re.Pattern[str] = PATTERN) -> list[str]:
    """Line numbers and words of a text that should be others. Code between backticks does not count: it names what exists."""
    plain = re.sub(r"```.*?```|`[^`\n]*`", lambda code: re.sub(r"[^\n]", " ", code.group()), text, flags=re.DOTALL)
    return [f"{number}: {match.group()}" for number, line in enumerate(plain.splitlines(), 1) for match in pattern.finditer(line)]


def prose(source: str) -> str:
    """The comments and texts of a Python source at their lines: docstrings, messages and help; all else is blank."""
    lines = [""] * (source.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type in TEXT_TOKENS and " " in token.string):
            text = (
                re.sub(r"\{[^{}\n]*\}", "", token.string) if token.string[:2].lower() in ('f"', "f'", "rf", "fr") else token.string
            )
            for number, line in enumerate(text.splitlines(), token.start[0]):
                lines[number - 1] += f" {line}"
    return "\n".join(lines)


# From Python 3.12 on, the texts of f-strings are tokens of their own.
TEXT_TOKENS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def public_names(source: str) -> list[str]:
    """The public functions, classes, parameters, attributes of classes and constants of a Python source, with their lines."""
    names: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append((node.lineno, node.name))
            if isinstance(node, ast.ClassDef):
                names += [
                    (one.lineno, one.target.id)
                    for one in node.body
                    if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
                ]
        elif isinstance(node, ast.arg):
            names.append((node.lineno, node.arg))
        elif isinstance(node, ast.Module):
            names += [
                (one.lineno, to.id)
                for one in node.body
                if isinstance(one, ast.Assign)
                for to in one.targets
                if isinstance(to, ast.Name)
            ]
    return [f"{line}: {name}" for line, name in names if not name.startswith("_")]


def quaint(name: str) -> bool:
    """Whether a part of a name, such as "told" of `told_by` or `ToldBy`, is a word to avoid."""
    return any(NAME_PATTERN.fullmatch(part) for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))


def test_the_documents_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in TEXTS}
    assert {"README.md", "CHANGELOG.md", "docs/method.md", "docs/tutorials/first-capture.md"} <= names


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_use_the_words_of_the_field(path: Path) -> None:
    assert not found(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_uses_the_words_of_the_field(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        assert not [name for name in public_names(text) if quaint(name.split(": ")[1])]
        text = prose(text)
    assert not found(text, CODE_PATTERN)


def test_comments_messages_and_names_are_looked_through() -> None:
    source = 'def told_by(sight):\n    """Whoever."""\n    x = f"{somebody} is told"  # no summit\nclass A:\n    summits: int\n'
    assert found(prose(source), CODE_PATTERN) == ["3: is told", "3: summit"]
    assert [name for name in public_names(source) if quaint(name.split(": ")[1])] == ["1: told_by", "5: summits", "1: sight"]
    assert not quaint("insights")
    assert not quaint("recommended")
    assert found(prose('x = """One\n\nwhoever is seen\n"""\n'), CODE_PATTERN) == ["3: whoever"]


@pytest.mark.parametrize(
    "sentence",
    ["Whoever is followed", "joints are told", "no sight", "near its summit", "the rooms fit", "is gone on with", "its eyes"],
)
def test_a_word_to_avoid_is_found(sentence: str) -> None:
    assert found(f"plain\n{sentence}.")[0].startswith("2: ")


def test_code_and_longer_words_do_not_count() -> None:
    assert not found("`whoever`, insights, mushrooms\n```sh\nsomebody\n```\nthe headroom")
