"""Mutation testing: small changes to the code, each of which the area's tests should notice.

    pip install -c constraints.txt cosmic-ray coverage
    python tools/mutants.py rotations occlusion world bvh retarget --sample 40 --seed 1

Cosmic Ray lists the mutants of an area's modules; a seeded sample of them is tried, one at a time, in a copy of the project. The
area's tests run once without a mutant, to record which of them reach which lines (coverage.py). A mutant is tried with those that
reach its statement, the quickest first, up to the first failure, in a fork of this process: it has the heavy packages already. A
mutant is killed if a test fails, or if the tests take far more processor time than without it. Prints killed / all for each area,
and the survivors as differences. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import difflib
import importlib
import os
import pickle
import py_compile
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator
from coverage import Coverage

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".git", ".venv*", "build", "dist", "__pycache__", ".*_cache", "*.egg-info", "runs", "out")
PATHS = (".", "cli", "training", "benchmarks", "tools")
PRELOADED = (
    "numpy", "scipy.linalg", "scipy.ndimage", "scipy.optimize", "scipy.spatial.transform", "cv2", "av", "onnxruntime", "torch",
)  # fmt: skip
# Processor time after which a mutant counts as killed: so many times what its tests take without it, and so many seconds.
TIMES, SECONDS = 5, 5

# tests/test_world_*.py
WORLD = (
    "camera", "camera_solve", "contacts", "floor", "gait", "key_frames", "legs", "schedule", "solve", "travel", "turning", "views",
)  # fmt: skip
# Area: its modules, and the tests that must notice a change in them, the quickest first.
AREAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rotations": (
        ("stpose_core/animate/rotations.py", "stpose_core/lift/rigid.py", "stpose_core/formats/euler.py"),
        (
            "tests/test_body_frames.py",
            "tests/test_rigid.py",
            "tests/test_animate_rotations.py",
            "tests/test_parts.py",
            "tests/test_bvh.py",
        ),
    ),
    "occlusion": (("training/stpose_training/data/occlusion.py",), ("tests/test_occlusion.py", "tests/test_training.py")),
    "world": (
        ("stpose_core/world/*.py",),
        (
            *(f"tests/test_world_{part}.py" for part in WORLD),
            "tests/test_world.py",
            "tests/test_rest.py",
            "tests/test_focal_length.py",
            "tests/test_camera_motion.py",
        ),
    ),
    "bvh": (("stpose_core/formats/bvh.py",), ("tests/test_bvh.py", "tests/test_hostile_readers.py")),
    "retarget": (("stpose_core/retarget/*.py",), ("tests/retarget",)),
}
# Changes of operators that a reader might overlook. The others of Cosmic Ray (such as + to <<) fail in any test that runs the line.
_PAIRS = {
    "ReplaceBinaryOperator": "Add_Sub Sub_Add Mul_Div Div_Mul Pow_Mul FloorDiv_Div Mod_Add BitOr_BitAnd BitAnd_BitOr",
    "ReplaceComparisonOperator": "Eq_NotEq NotEq_Eq Lt_LtE Lt_Gt LtE_Lt LtE_GtE Gt_GtE Gt_Lt GtE_Gt GtE_LtE",
    "ReplaceUnaryOperator": "USub_UAdd Delete_Invert Delete_Not",
}
_SINGLE = (
    "AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd NumberReplacer ReplaceBreakWithContinue "
    "ReplaceContinueWithBreak ZeroIterationForLoop"
)
OPERATORS = [
    *(f"core/{kind}_{pair}" for kind, pairs in _PAIRS.items() for pair in pairs.split()),
    *(f"core/{name}" for name in _SINGLE.split()),
]


@dataclass(frozen=True)
class Mutant:
    """The n-th place in a module where an operator applies, and the line (from 1) that it is in."""

    module: Path
    operator: str
    number: int
    line: int

    def code(self, source: str) -> str:
        """The module with the change."""
        return str(MutationVisitor.mutate_code(source, get_operator(self.operator)(), self.number))


def mutants(module: Path) -> list[Mutant]:
    """All mutants of a module, but for those that change no behaviour: in annotations, and in lines that raise an error or declare
    a dataclass, where the wording of a message would change, or whether a class is frozen."""
    source = module.read_text(encoding="utf-8")
    lines, nodes, annotations = source.splitlines(), list(_nodes(get_ast(source))), _annotations(ast.parse(source))
    found = []
    for name in OPERATORS:
        operator = get_operator(name)()
        places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for number, place in enumerate(places):
            message = re.search(r"raise |fail\(|@dataclass", lines[place[0] - 1])
            if not message and not any(start <= place < end for start, end in annotations):
                found.append(Mutant(module, name, number, place[0]))
    return found


def _annotations(module: ast.Module) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where each annotation begins and ends: line and column."""
    found = [getattr(node, name, None) for node in ast.walk(module) for name in ("annotation", "returns")]
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)) for node in found if node is not None
    ]


def _nodes(node: object) -> list[object]:
    return [node, *(inner for child in getattr(node, "children", ()) for inner in _nodes(child))]


@dataclass
class Reach:
    """Which tests reach which lines. lines: by module (its path) and line, names of tests, or of whole files whose shared fixtures
    reach it. seconds: processor time of each test."""

    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, mutant: Mutant, source: str, longest: float) -> list[str]:
        """The tests that reach the mutant's statement, the quickest first; for a statement outside functions, all in the files that
        reach the module's functions: a test may look at a constant alone. longest: as for `quick`."""
        reached = self.lines.get(str(mutant.module), {})
        lines, within = _statement(ast.parse(source), mutant.line)
        names = {name for line in lines for name in reached.get(line, [])}
        names = names if within else {name.split("::")[0] for name in names}
        return [test for test in self.quick(longest) if test in names or test.split("::")[0] in names]

    def quick(self, longest: float) -> list[str]:
        """The tests that take no more than so many seconds, the quickest first."""
        return sorted((test for test, took in self.seconds.items() if took <= longest), key=lambda test: self.seconds[test])


def _statement(module: ast.Module, line: int) -> tuple[list[int], bool]:
    """The lines of the innermost statement around a line, without statements in it; of a function, or of statements outside
    functions, those of the functions' bodies. And whether the line is within a function."""
    functions = [node for node in ast.walk(module) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]

    def around(node: ast.stmt) -> bool:
        return node.lineno <= line <= (node.end_lineno or 0)

    outer = [node for node in functions if around(node)]
    if not outer:
        return [number for node in functions for number in _body(node)], False
    function = max(outer, key=lambda node: node.lineno)
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and around(node)]
    innermost = max(statements, key=lambda node: (node.lineno, -(node.end_lineno or 0)))
    if innermost is function:
        return _body(function), True
    inner = [node.lineno for node in ast.walk(innermost) if isinstance(node, ast.stmt) and node is not innermost]
    return list(range(innermost.lineno, min([*inner, (innermost.end_lineno or 0) + 1]))), True


def _body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[int]:
    return list(range(function.body[0].lineno, (function.end_lineno or 0) + 1))


class Recorder:
    """A plugin of pytest: notes which lines each test reaches, and how long it takes."""

    def __init__(self, modules: Sequence[Path]) -> None:
        self.reach = Reach()
        self._coverage = Coverage(data_file=None, include=list(map(str, modules)), config_file=False)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._coverage.switch_context(item.nodeid)
        before = time.process_time()
        done = yield
        self.reach.seconds[item.nodeid] = time.process_time() - before
        return done

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        if fixturedef.scope == "function":
            return (yield)
        item = request._pyfuncitem.nodeid
        self._coverage.switch_context(item.split("::")[0])
        done = yield
        self._coverage.switch_context(item)
        return done

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        self.reach.lines = {name: data.contexts_by_lineno(name) for name in data.measured_files()}


class Chosen:
    """A plugin of pytest: keeps these tests, in this order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._order = {name: number for number, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid])


def record(root: Path, modules: Sequence[Path], tests: Sequence[str]) -> Reach:
    """Run the tests without a mutant."""
    kept = root / "reach.pickle"

    def all_tests() -> int:
        recorder = Recorder(modules)
        failed = pytest.main(["-x", "-p", "no:cacheprovider", *tests], [recorder])
        kept.write_bytes(pickle.dumps(recorder.reach))
        return int(failed)

    if forked(root, all_tests, 3600, quiet=False):
        raise SystemExit(f"the tests fail without a mutant: {' '.join(tests)}")
    found: Reach = pickle.loads(kept.read_bytes())
    return found


def survives(root: Path, tests: Sequence[str], seconds: float) -> bool:
    """Whether these tests pass. seconds: processor time that they take without a mutant."""
    files = sorted({test.split("::")[0] for test in tests})

    def chosen_tests() -> int:
        return int(pytest.main(["-x", "-p", "no:cacheprovider", *files], [Chosen(tests)]))

    return not tests or not forked(root, chosen_tests, round(TIMES * seconds) + SECONDS)


def forked(root: Path, task: Any, seconds: int, quiet: bool = True) -> int:
    """The status of a task in a fork of this process that runs in the copy of the project, 0 if all went well."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        if quiet:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
        os.chdir(root)
        paths = [str(root / name) for name in PATHS]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        own = {(ROOT / name).resolve() for name in PATHS}
        sys.path[:] = [*paths, *(path for path in sys.path if Path(path or ".").resolve() not in own)]
        status = task()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def try_area(root: Path, area: str, given: argparse.Namespace, until: float) -> None:
    """Try a sample of the mutants of an area, and print the survivors and the count."""
    patterns, tests = AREAS[area]
    modules = [module for pattern in patterns for module in sorted(root.glob(pattern)) if module.stat().st_size > 200]
    every = [mutant for module in modules for mutant in mutants(module)]
    chosen = random.Random(f"{area} {given.seed}").sample(every, min(given.sample, len(every)))
    reach = record(root, modules, tests)
    # The control: in this order, and in a fork like those of the mutants, nothing fails without a mutant.
    if not survives(root, reach.quick(given.longest), sum(reach.seconds.values())):
        raise SystemExit(f"{area}: the tests fail without a mutant in another order")
    killed = tried = 0
    for mutant in chosen:
        if time.monotonic() > until:
            break
        source = mutant.module.read_text(encoding="utf-8")
        changed = mutant.code(source)
        reached = reach.of(mutant, source, given.longest)
        mutant.module.write_text(changed, encoding="utf-8")
        try:
            survived = survives(root, reached, sum(reach.seconds[test] for test in reached))
        finally:
            mutant.module.write_text(source, encoding="utf-8")
        tried, killed = tried + 1, killed + (not survived)
        if survived:
            name = str(mutant.module.relative_to(root))
            difference = difflib.unified_diff(source.splitlines(), changed.splitlines(), name, mutant.operator, "", "", 0, "")
            print(f"survived {len(reached)} tests:", *difference, sep="\n", flush=True)
    print(f"| {area} | {len(every)} | {tried} | {killed} | {100 * killed / max(tried, 1):.0f} % |", flush=True)


def main() -> None:
    """Print a row for each area: mutants, tried, killed, share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="+", choices=AREAS)
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60, help="no further mutant is tried after this time")
    parser.add_argument(
        "--longest", type=float, default=float("inf"), help="tests that take more processor time, in s, are left out"
    )
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    for name in PRELOADED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "copy").resolve()
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        # Compiled files that are checked by content: by time, a module that was changed twice within a second would stay the first.
        compileall.compile_dir(root, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        for area in given.areas:
            try_area(root, area, given, until)


if __name__ == "__main__":
    main()
