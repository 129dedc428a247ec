"""What setuptools makes of this project: the files of the wheel and of the source distribution, and the metadata.

Run as a script, in a process of its own: setuptools changes the Python that imports it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def packed(out: Path) -> dict[str, set[str]]:
    """The files of "wheel" and "sdist", with / and relative to their roots; the metadata goes into a .dist-info folder in `out`."""
    command = [sys.executable, __file__, str(out)]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
    return {kind: set(names) for kind, names in json.loads(told).items()}


def main(out: str) -> None:
    from setuptools.dist import Distribution

    distribution = Distribution({"script_name": "setup.py"})
    distribution.parse_config_files()
    source = distribution.get_command_obj("egg_info")
    source.egg_base = out  # else it is written into the project
    source.ensure_finalized()
    source.run()
    wheel = distribution.get_command_obj("build_py")
    wheel.ensure_finalized()
    files = {
        "wheel": [os.path.relpath(name, wheel.build_lib) for name in wheel.get_outputs(include_bytecode=False)],
        "sdist": source.filelist.files,
    }
    metadata = distribution.get_command_obj("dist_info")
    metadata.output_dir = out
    metadata.ensure_finalized()
    metadata.run()
    print(json.dumps({kind: [Path(name).as_posix() for name in names] for kind, names in files.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
