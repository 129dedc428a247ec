"""Programs of JavaScript that play what stpose writes: tests/players/*.mjs, run by Node.js with packages from npm.

The packages are no part of the project: they are in a folder that NODE_PATH names, after `npm install` there. Tests are skipped
without Node.js or a package.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PLAYERS = Path(__file__).parent / "players"


def play(name: str, packages: tuple[str, ...], folder: Path, *arguments: object) -> Any:
    """What a player prints, which is JSON. name: its file without ".mjs". folder: an empty one, for a copy beside the packages."""
    node = shutil.which("node")
    places = [Path(place) for place in os.environ.get("NODE_PATH", "").split(os.pathsep) if place]
    modules = next((place for place in places if all((place / package).is_dir() for package in packages)), None)
    if node is None or modules is None:
        pytest.skip(f"no Node.js, or no folder of NODE_PATH has {', '.join(packages)}")
    folder.mkdir(exist_ok=True)
    script = folder / f"{name}.mjs"
    shutil.copyfile(PLAYERS / script.name, script)
    # Node.js looks modules up beside the script that imports them, not in NODE_PATH.
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(modules, target_is_directory=True)
    done = subprocess.run([node, str(script), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
