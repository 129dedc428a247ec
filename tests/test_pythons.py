"""The supported Python versions are the same everywhere, and syntax of later ones is noticed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from check_pythons import disagreements, newer_syntax, supported  # noqa: E402

PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")


def test_the_project_and_the_workflow_agree() -> None:
    assert supported(PROJECT) == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert not disagreements(PROJECT, WORKFLOW)


def test_a_version_that_is_missing_somewhere_is_found() -> None:
    (found,) = disagreements(PROJECT.replace('    "Programming Language :: Python :: 3.13",\n', ""), WORKFLOW)
    assert found.startswith("classifiers: 3.10, 3.11, 3.12, 3.14 instead of")
    (found,) = disagreements(PROJECT, WORKFLOW.replace(', "3.14"]', "]"))
    assert found.startswith("matrix of the workflow")


@pytest.mark.parametrize(
    "text", ["try:\n    f()\nexcept* ValueError:\n    pass\n", "type A = int\n", "def f[T](x: T) -> T: ...\n", "f(\n"]
)
def test_syntax_that_the_oldest_version_lacks_is_found(text: str) -> None:
    assert newer_syntax(text, "3.10") is not None


def test_syntax_of_the_oldest_version_is_accepted() -> None:
    assert newer_syntax("match a:\n    case 1:\n        pass\n", "3.10") is None
