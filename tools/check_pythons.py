"""Check that the supported Python versions agree everywhere, and that the sources have no syntax that the oldest one lacks.

It compares requires-python and the classifiers in pyproject.toml, and the matrix of the CI workflow. Every interpreter of these
versions on PATH also compiles all sources. Versions without an interpreter are printed.

    python tools/check_pythons.py
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("stpose_core", "cli", "training", "blender_addon", "benchmarks", "tools", "tests", "examples")
_COMPILE = (
    "import sys; [compile(open(name, encoding='utf-8').read(), name, 'exec') for name in sys.stdin.read().split('\\n') if name]"
)


def supported(project: str) -> list[str]:
    """The minor versions that requires-python admits, such as ["3.10", "3.11"]. Raises ValueError if it has another form."""
    found = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project)
    if found is None:
        raise ValueError("requires-python must have the form >=3.A,<3.B")
    return [f"3.{minor}" for minor in range(int(found[1]), int(found[2]))]


def disagreements(project: str, workflow: str) -> list[str]:
    """What differs between the texts of pyproject.toml and the workflow; empty if they agree."""
    wanted = supported(project)
    matrix = re.search(r"python: \[(.*?)\]", workflow)
    stated = {
        "classifiers": re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project),
        "matrix of the workflow": re.findall(r"3\.\d+", matrix[1] if matrix else ""),
    }
    return [f"{name}: {', '.join(found)} instead of {', '.join(wanted)}" for name, found in stated.items() if found != wanted]


def newer_syntax(text: str, version: str) -> str | None:
    """The first syntax of a source that a version of Python lacks, as far as `ast` checks it; None if there is none."""
    try:
        ast.parse(text, feature_version=(3, int(version.split(".")[1])))
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    return None


def main() -> int:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    problems, versions = disagreements(project, workflow), supported(project)
    files = [file for folder in SOURCES for file in sorted((ROOT / folder).rglob("*.py"))]
    for file in files:
        found = newer_syntax(file.read_text(encoding="utf-8"), versions[0])
        problems += [f"{file.relative_to(ROOT)}, {found} (not in Python {versions[0]})"] if found else []
    missing = []
    for version in versions:
        command = shutil.which(f"python{version}")
        if command is None or subprocess.run([command, "-c", ""], capture_output=True, check=False).returncode:
            missing.append(version)
            continue
        done = subprocess.run(
            [command, "-c", _COMPILE], input="\n".join(map(str, files)), capture_output=True, text=True, check=False
        )
        problems += [f"Python {version}: {done.stderr.strip().splitlines()[-1]}"] if done.returncode else []
    print("\n".join(problems) or f"{len(files)} files agree with Python {versions[0]} to {versions[-1]}")
    if missing:
        print(f"not compiled by Python {', '.join(missing)}: no such interpreter here")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
