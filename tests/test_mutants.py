"""Mutation testing: which mutants there are, which tests reach them, and which survive, in a project of two functions."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="needs cosmic-ray")
pytest.importorskip("coverage", reason="needs coverage")
if sys.platform == "win32":
    pytest.skip("needs fork", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import mutants as tool

MODULE = '''"""A module."""

FACTOR = 3


def scaled(value: int | float, more: int = 0) -> int | float:
    """Three times as much."""
    if more:
        return (
            FACTOR * value
            + more
        )
    return FACTOR * value


def lone(value):
    return value + 1


def careful(value):
    if value < 0:
        raise ValueError("below" + " nought")
    return value
'''
TESTS = """
import pytest
import calc


@pytest.fixture(scope="module")
def shared():
    return calc.careful(1)


def test_scaled():
    assert calc.scaled(2) == 6


def test_factor():
    assert calc.FACTOR > 0


def test_more():
    assert calc.scaled(2, 5) == 11


def test_first(shared):
    pass


def test_second(shared):
    assert shared == 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "calc.py").write_text(MODULE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_calc.py").write_text(TESTS)
    return tmp_path


def mutant(project: Path, line: str, operator: str) -> tool.Mutant:
    """The first mutant of a kind in the line that reads so."""
    number = MODULE.splitlines().index(line) + 1
    return next(one for one in tool.mutants(project / "calc.py") if one.line == number and operator in one.operator)


def test_annotations_and_messages_are_left_out(project: Path) -> None:
    found = tool.mutants(project / "calc.py")
    lines = MODULE.splitlines()
    assert not [one for one in found if "raise" in lines[one.line - 1] or "BitOr" in one.operator]
    assert {"    return value + 1", "FACTOR = 3", "            + more"} <= {lines[one.line - 1] for one in found}


def test_a_statement_has_all_of_its_lines_and_none_of_those_in_it() -> None:
    lines = MODULE.splitlines()
    module = ast.parse(MODULE)

    def statement(line: str) -> list[str]:
        return [lines[number - 1].strip() for number in tool._statement(module, lines.index(line) + 1)[0]]

    assert statement("            + more") == ["return (", "FACTOR * value", "+ more", ")"]
    assert statement("    if more:") == ["if more:"]
    assert statement("    if value < 0:") == ["if value < 0:"]
    assert len(statement("FACTOR = 3")) == 11, "those of all functions"
    assert "return FACTOR * value" in statement("def scaled(value: int | float, more: int = 0) -> int | float:")


def test_a_mutant_survives_where_no_test_looks(project: Path) -> None:
    module = project / "calc.py"
    reach = tool.record(project, [module], ["tests"])
    assert len(reach.seconds) == 5
    assert tool.survives(project, reach.quick(60), 5.0), "the control: without a mutant"
    expected = {
        ("    return FACTOR * value", "Mul_Div"): (["test_scaled"], False),
        ("            + more", "Add_Sub"): (["test_more"], False),
        ("FACTOR = 3", "NumberReplacer"): (["test_factor", "test_first", "test_more", "test_scaled", "test_second"], False),
        ("    return value + 1", "NumberReplacer"): ([], True),
        # What a shared fixture reaches may be noticed by any test of its file.
        ("    if value < 0:", "Lt_Gt"): (["test_factor", "test_first", "test_more", "test_scaled", "test_second"], False),
        ("    if value < 0:", "Lt_LtE"): (["test_factor", "test_first", "test_more", "test_scaled", "test_second"], True),
    }
    for (line, operator), (tests, survives) in expected.items():
        one = mutant(project, line, operator)
        reached = reach.of(one, MODULE, 60)
        assert sorted(name.split("::")[1] for name in reached) == tests, line
        module.write_text(one.code(MODULE))
        assert tool.survives(project, reached, 5.0) == survives, (line, operator)
        module.write_text(MODULE)
