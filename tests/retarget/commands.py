"""A stand-in for the `stpose` command, which says and does what the name of the video asks for."""

from __future__ import annotations

import sys
from pathlib import Path

_SCRIPT = """#!{python}
import json, os, shutil, subprocess, sys, time

def say(event, **fields):
    print(json.dumps({{"event": event, "video": video, **fields}}), flush=True)

if sys.argv[1] == "doctor":
    print("stpose               0.1.0")
    print("devices              cpu (2 threads)")
    print()
    print("ready")
    sys.exit(0)
video = sys.argv[2]
if sys.argv[1] == "people":
    if "bad" in os.path.basename(video):
        print("stpose: there is nobody in the video", file=sys.stderr)
        sys.exit(2)
    if "slow" in os.path.basename(video):
        open({pids!r}, "w").write(str(os.getpid()))
        time.sleep(60)
    picture = sys.argv[sys.argv.index("-o") + 1]
    open(picture, "wb").write(bytes.fromhex({png!r}))
    open(os.path.join(os.path.dirname({pids!r}), "words"), "w").write(" ".join(sys.argv[1:]))
    print("1: 0:00.0 to 0:02.5, seen in 100% of the frames, 183 pixels tall")
    print("2: 0:00.0 to 0:02.5, seen in 91% of the frames, 128 pixels tall")
    print(picture)
    sys.exit(0)
out = sys.argv[sys.argv.index("-o") + 1]
if sys.argv[1] == "view":
    if "bad" in os.path.basename(video):
        print("stpose: " + video + " is damaged", file=sys.stderr)
        sys.exit(2)
    open(out, "w").write(" ".join(sys.argv[1:]))
    sys.exit(0)
shutil.copyfile(sys.argv[sys.argv.index("--options") + 1], os.path.join(os.path.dirname({pids!r}), "options"))
name = os.path.basename(video)
if "bad" in name:
    say("error", message="there is nobody in the video")
    print("stpose: there is nobody in the video", file=sys.stderr)
    sys.exit(2)
if "crash" in name:
    print("Traceback (most recent call last):", file=sys.stderr)
    print("MemoryError: much too long", file=sys.stderr)
    sys.exit(1)
if "slow" in name:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open({pids!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
    if "stubborn" in name:
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(out, "wb").write(b"half")
for done in range(0, 101, 10):
    say("progress", stage="detect", done=done, total=100, eta=(100 - done) / 10)
    time.sleep(3 if "slow" in name else 0.01)
if json.load(open(sys.argv[sys.argv.index("--options") + 1])).get("person") == "all":
    os.makedirs(out)
    assert sys.argv[sys.argv.index("--format") + 1] == "npz"
    stem = os.path.splitext(name)[0]
    for number in range(1, 12 if "crowd" in name else 3):
        track = {track!r}.replace(".npz", "_2.npz") if number == 2 else {track!r}
        shutil.copyfile(track, os.path.join(out, f"{{stem}}_person{{number}}.npz"))
else:
    shutil.copyfile({track!r}, out)
say("result", files=[out], frames=60, fps=30.0, people=1, seen=[1.0], seconds=0.2)
"""


# A red pixel.
_PNG = (
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef000000"
    "0049454e44ae426082"
)


def fake_command(folder: Path, track: Path) -> tuple[Path, Path]:
    """The command, and the file in which a slow one leaves its process ids.

    It gives `track` for a good video; of several people the second gets the file beside it whose name ends in "_2".
    """
    pids = folder / "pids"
    script = folder / "stpose"
    script.write_text(_SCRIPT.format(python=sys.executable, track=str(track), pids=str(pids), png=_PNG))
    script.chmod(0o755)
    return script, pids


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
