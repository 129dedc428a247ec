"""Mutation testing: small changes to the code, each of which the area's tests should notice.

    pip install cosmic-ray
    python tools/mutants.py rotations occlusion world bvh retarget --sample 40 --seed 1

Cosmic Ray lists the mutants of an area's modules; a seeded sample of them is tried, one at a time, in a copy of the project. A
mutant is killed if a test fails, or if the tests take five times as much processor time as without it. Prints killed / all for each
area, and the survivors as differences. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import difflib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".git", ".venv*", "build", "dist", "__pycache__", ".*_cache", "*.egg-info", "runs", "out")
PATHS = (".", "cli", "training", "benchmarks", "tools")

# Area: its modules, and the tests that must notice a change in them, the quickest first.
AREAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rotations": (
        ("stpose_core/animate/rotations.py", "stpose_core/lift/rigid.py", "stpose_core/formats/euler.py"),
        ("tests/test_animate_rotations.py", "tests/test_parts.py", "tests/test_animate.py", "tests/test_bvh.py"),
    ),
    "occlusion": (("training/stpose_training/data/occlusion.py",), ("tests/test_occlusion.py", "tests/test_training.py")),
    "world": (
        ("stpose_core/world/*.py",),
        (
            "tests/test_world_feet.py",
            "tests/test_world_camera.py",
            "tests/test_world.py",
            "tests/test_camera_motion.py",
            "tests/test_true_contacts.py",
            "tests/test_focal_length.py",
            "tests/test_rest.py",
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
    """The n-th place in a module where an operator applies."""

    module: Path
    operator: str
    number: int

    def code(self, source: str) -> str:
        """The module with the change."""
        return str(MutationVisitor.mutate_code(source, get_operator(self.operator)(), self.number))


def mutants(module: Path) -> list[Mutant]:
    """All mutants of a module, but for those in lines that raise an error: the wording of a message is no behaviour."""
    source = module.read_text(encoding="utf-8")
    lines, nodes = source.splitlines(), list(_nodes(get_ast(source)))
    found = []
    for name in OPERATORS:
        operator = get_operator(name)()
        places = [lines[start[0] - 1] for node in nodes for start, _ in operator.mutation_positions(node)]
        found += [Mutant(module, name, n) for n, line in enumerate(places) if not ("raise " in line or "fail(" in line)]
    return found


def _nodes(node: object) -> list[object]:
    return [node, *(inner for child in getattr(node, "children", ()) for inner in _nodes(child))]


def run_tests(root: Path, tests: tuple[str, ...], seconds: int) -> tuple[bool, float]:
    """Whether the tests pass within so many seconds of processor time; and what they took."""
    path = os.pathsep.join(str(root / name) for name in PATHS)
    # Without compiled files: a module that was changed twice within a second would be taken from the first of them.
    environment = os.environ | {
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    before = _used()
    done = subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1)),
    )  # fmt: skip
    return done.returncode == 0, _used() - before


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def try_area(root: Path, area: str, sample: int, seed: int, until: float) -> None:
    """Try a sample of the mutants of an area, and print the survivors and the count."""
    patterns, tests = AREAS[area]
    modules = [module for pattern in patterns for module in sorted(root.glob(pattern)) if module.stat().st_size > 200]
    every = [mutant for module in modules for mutant in mutants(module)]
    chosen = random.Random(f"{area} {seed}").sample(every, min(sample, len(every)))
    good, seconds = run_tests(root, tests, 3600)
    if not good:
        raise SystemExit(f"{area}: the tests fail without a mutant")
    killed = tried = 0
    for mutant in chosen:
        if time.monotonic() > until:
            break
        source = mutant.module.read_text(encoding="utf-8")
        changed = mutant.code(source)
        mutant.module.write_text(changed, encoding="utf-8")
        try:
            survived, _ = run_tests(root, tests, round(5 * seconds) + 10)
        finally:
            mutant.module.write_text(source, encoding="utf-8")
        tried, killed = tried + 1, killed + (not survived)
        if survived:
            name = str(mutant.module.relative_to(root))
            difference = difflib.unified_diff(source.splitlines(), changed.splitlines(), name, mutant.operator, "", "", 0, "")
            print("survived:", *difference, sep="\n", flush=True)
    print(f"| {area} | {len(every)} | {tried} | {killed} | {100 * killed / max(tried, 1):.0f} % |", flush=True)


def main() -> None:
    """Print a row for each area: mutants, tried, killed, share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="+", choices=AREAS)
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60, help="no further mutant is tried after this time")
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "copy")
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for area in given.areas:
            try_area(root, area, given.sample, given.seed, until)


if __name__ == "__main__":
    main()
