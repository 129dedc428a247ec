"""Public functions stay callable by a reader: few parameters, and options of the main calls by keyword only."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import stpose_core as sp

ROOT = Path(__file__).parents[1]
PACKAGES = ("stpose_core", "cli/stpose_cli", "training/stpose_training", "benchmarks", "tools")
MOST = 8


def functions(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, int]]:
    """Name and number of parameters of each public function and method in this body, without self and cls."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            given = node.args
            names = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            yield owner + node.name, sum(name.arg not in ("self", "cls") for name in names)


def too_many(text: str) -> list[str]:
    return [f"{name}: {count}" for name, count in functions(ast.parse(text).body) if count > MOST]


@pytest.mark.parametrize("package", PACKAGES)
def test_public_functions_have_at_most_eight_parameters(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    assert not [f"{file.relative_to(ROOT)} {found}" for file in files for found in too_many(file.read_text(encoding="utf-8"))]


def test_a_function_with_nine_parameters_is_found() -> None:
    nine = ", ".join("abcdefghi")
    assert too_many(f"def call({nine}): ...\nclass A:\n    def call(self, {nine[:-3]}): ...\ndef _own({nine}): ...") == ["call: 9"]


@pytest.mark.parametrize("name", ["capture", "capture_people"])
def test_options_of_a_capture_are_given_by_keyword(name: str) -> None:
    first, *others = inspect.signature(getattr(sp, name)).parameters.values()
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert {one.kind for one in others} <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
