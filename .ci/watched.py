"""Run a command that may hang: python .ci/watched.py COMMAND...; ends it, with status 124, where it has stopped working.

Stopped is who has used no processor for a minute (where /proc tells), so that the slowness of a busy machine is not taken for a
hang, and who takes longer than 15 minutes in any case.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

IDLE, LONGEST = 60.0, 900.0  # s
LEAST = 0.1  # s of processor in IDLE


def used(pid: int) -> float | None:
    """Seconds of processor that a process has used; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command: list[str], idle: float = IDLE, longest: float = LONGEST) -> int:
    """The status of a command, 124 if it had to be ended."""
    process = subprocess.Popen(command)
    began = since = time.monotonic()
    before = used(process.pid)
    while True:
        try:
            return process.wait(min(5.0, idle / 4))
        except subprocess.TimeoutExpired:
            now, spent = time.monotonic(), used(process.pid)
        if spent is None or before is None or spent - before > LEAST:
            before, since = spent, now
        if now - since > idle or now - began > longest:
            process.kill()
            process.wait()
            return 124


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
