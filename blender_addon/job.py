"""Runs the `stpose` command as a separate process that can be polled and cancelled. Independent of Blender.

The command reports its progress in JSON lines (see stpose_cli.progress). It reads its options from, and writes its track to, a
temporary folder of the job. The complete track is then moved to its place, so that a cancelled or failed job leaves nothing.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

RUNNING, DONE, FAILED, CANCELLED = "RUNNING", "DONE", "FAILED", "CANCELLED"
# Values of `stpose mocap --detector`, with a label and a description; "file" stands for the path of a keypoint file.
DETECTORS = [
    ("auto", "Auto", "The best that is installed"),
    ("builtin", "Built-in", "stpose's own networks, which every installation has"),
    ("mediapipe", "MediaPipe", ""),
    ("rtmpose", "RTMPose", ""),
    ("file", "Keypoint File", "Keypoints of the video, made by another program"),
]
_GRACE = 0.5  # s between asking a process to end and ending it
_WINDOWS = sys.platform == "win32"


def find_command(chosen: str = "", home: Path | None = None) -> Path | None:
    """The `stpose` command: the chosen one, on PATH, or in a usual virtual environment; None if it is nowhere."""
    if chosen:
        path = Path(chosen).expanduser()
        inside = path / ("stpose.exe" if _WINDOWS else "stpose")
        return next((one for one in (path, inside) if one.is_file()), None)
    on_path = shutil.which("stpose")
    if on_path:
        return Path(on_path)
    return next((path for path in _usual_places(home or Path.home()) if path.is_file()), None)


def _usual_places(home: Path) -> Iterator[Path]:
    inside = Path("Scripts", "stpose.exe") if _WINDOWS else Path("bin", "stpose")
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if os.environ.get(variable):
            yield Path(os.environ[variable]) / inside
    yield home / ".local" / inside  # pipx, uv tool, pip --user
    for folder in (home, home / "stpose", home / "Documents" / "stpose"):
        for name in (".venv", "venv"):
            yield folder / name / inside
    for folder in (home / ".virtualenvs", home / ".local" / "pipx" / "venvs", home / ".local" / "share" / "pipx" / "venvs",
                   home / "miniconda3" / "envs", home / "anaconda3" / "envs", home / ".conda" / "envs"):  # fmt: skip
        if folder.is_dir():
            yield from (environment / inside for environment in sorted(folder.iterdir()))


@dataclass
class State:
    """How a process stands. status: RUNNING, DONE, FAILED or CANCELLED.

    stage: what it is at. part: 0..1 of that stage, None if not known. eta: seconds to the stage's end, None if not known.
    error: what went wrong, whole. seconds: since it was started. results: the "result" events.
    """

    status: str = RUNNING
    stage: str = "start"
    part: float | None = None
    eta: float | None = None
    error: str = ""
    seconds: float = 0.0
    output: list[str] = field(default_factory=list)
    results: list[dict] = field(default_factory=list)


class Job:
    """One run of a command. `poll` never waits."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        """Start it. Raises OSError if it cannot be started."""
        # What Blender, or a user, has set for Blender's own Python is wrong for another.
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
        environment["PYTHONUNBUFFERED"], environment["PYTHONIOENCODING"] = "1", "utf-8"
        own_group: dict = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined,unused-ignore]
            if _WINDOWS
            else {"start_new_session": True}
        )
        self.state = State()
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, encoding="utf-8", errors="replace", **own_group,
        )  # fmt: skip
        self._lines: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True, name=f"stpose {name}") for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream = getattr(self._process, name)
        with stream:
            for line in stream:
                self._lines.put((name, line.rstrip("\n")))

    def poll(self) -> State:
        """Take in what the process has said meanwhile."""
        if self.state.status != RUNNING:
            return self.state
        self.state.seconds = time.monotonic() - self._began
        # Ended before the lines are read: so none is said after the last look.
        ended = self._process.poll() is not None and not any(reader.is_alive() for reader in self._readers)
        while not self._lines.empty():
            name, line = self._lines.get()
            if name == "stderr":
                self._errors.append(line)
            else:
                self._take(line)
        if ended:
            self._end()
        return self.state

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            self.state.output.append(line)
            return
        if kind == "progress":
            done, total = event.get("done"), event.get("total")
            self.state.stage = str(event.get("stage", ""))
            self.state.part = min(1.0, done / total) if done is not None and total else None
            self.state.eta = event.get("eta")
        elif kind == "result":
            self.state.results.append(event)
        elif kind == "error":
            self.state.error = str(event.get("message", ""))

    def _end(self) -> None:
        if self._process.returncode == 0 and not self.state.error:
            self.state.status = DONE
            return
        told = "\n".join(line for line in self._errors if line.strip())
        self.state.error = self.state.error or told or f"the command ended with status {self._process.returncode}"
        self.state.status = FAILED

    def wait(self) -> State:
        """Wait for the end."""
        while self.poll().status == RUNNING:
            time.sleep(0.05)
        return self.state

    def cancel(self) -> None:
        """End the process, and all that it has started, within a second."""
        if self.state.status != RUNNING:
            return
        self.state.status = CANCELLED
        self._signal(force=False)
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._signal(force=True)
            self._process.wait()
        else:
            self._signal(force=True)  # what it has started and left behind

    def _signal(self, force: bool) -> None:
        if _WINDOWS:
            subprocess.run(
                ["taskkill", "/T", *(["/F"] if force else []), "/PID", str(self._process.pid)], capture_output=True, check=False
            )
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL if force else signal.SIGTERM)
        except ProcessLookupError:
            return


@dataclass(frozen=True)
class Capture:
    """What to capture. The fields after the video are those of stpose's CaptureOptions, with the same defaults.

    person: a word or a number of `stpose mocap`; "all" gives a track for each person. start, end: seconds, None for the whole
    video. hands: fingers too. face: its curves too. camera: whether the camera stands still or moves. refine: fit the 3D joints to
    the picture.
    """

    video: Path
    person: str = "largest"
    smooth: float = 0.4
    start: float | None = None
    end: float | None = None
    detector: str = "auto"
    device: str = "auto"
    hands: bool = False
    face: bool = False
    camera: str = "auto"
    refine: bool = True

    @property
    def everyone(self) -> bool:
        """Whether every person is captured, into a folder of tracks."""
        return self.person == "all"

    def options(self) -> dict[str, str | float | None]:
        """The options of the capture by name: what `stpose mocap --options` reads."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "video"}
        # Blender stores numbers in single precision: 0.4 arrives as 0.4000000059604645.
        return {name: round(value, 5) if isinstance(value, float) else value for name, value in values.items()}

    def arguments(self, out: Path, options: Path) -> list[str]:
        """The arguments of `stpose`. out: a .npz, or a folder for everyone. options: the JSON file of `options()`."""
        kind = ["--format", "npz"] if self.everyone else []
        return ["mocap", str(self.video), "-o", str(out), *kind, "--progress", "json", "--options", str(options)]


class ReportJob(Job):
    """Makes the web page of a track, `page`, beside it."""

    def __init__(self, command: Path, track: Path, video: Path | None) -> None:
        """Start it. video: shown beside the motion. Raises OSError if the command cannot be started."""
        self.page = track.with_name(f"{track.stem}.report.html")
        shown = [] if video is None else ["--video", str(video)]
        super().__init__([command, "view", str(track), "-o", str(self.page), "--overwrite", *shown])


class CaptureJob(Job):
    """A capture whose track comes to `track` when it is whole, and nowhere if it is not.

    tracks: the tracks that were written: `track`, or for everyone the same name with "_person1", "_person2", ... before its suffix.
    """

    def __init__(self, command: Path, capture: Capture, track: Path) -> None:
        """Start it. Raises OSError if the options cannot be written or the command cannot be started."""
        self.track = track
        self.tracks: list[Path] = []
        self._everyone = capture.everyone
        self._folder = Path(tempfile.mkdtemp(prefix="stpose-"))
        self._part = self._folder / ("tracks" if capture.everyone else "track.npz")
        options = self._folder / "options.json"
        try:
            options.write_text(json.dumps(capture.options()), encoding="utf-8")
            super().__init__([command, *capture.arguments(self._part, options)])
        except OSError:
            self._clean()
            raise

    def _end(self) -> None:
        super()._end()
        if self.state.status == DONE:
            written = self._written()
            parts = [place.with_name(place.name + ".part") for _, place in written]
            try:
                for (made, _), part in zip(written, parts):
                    shutil.copyfile(made, part)
                for part, (_, place) in zip(parts, written):
                    part.replace(place)
                self.tracks = [place for _, place in written]
            except OSError as error:
                for part in parts:
                    part.unlink(missing_ok=True)
                self.state.status, self.state.error = FAILED, f"cannot write {self.track}: {error.strerror or error}"
        self._clean()

    def _written(self) -> list[tuple[Path, Path]]:
        """The files of the command, and where each of them belongs."""
        if not self._everyone:
            return [(self._part, self.track)]
        ends = {path: path.stem.rpartition("_person")[2] for path in self._part.glob("*_person*.npz")}
        made = sorted((path for path, end in ends.items() if end.isdecimal()), key=lambda path: int(ends[path]))
        return [(path, self.track.with_name(f"{self.track.stem}_person{ends[path]}{self.track.suffix}")) for path in made]

    def cancel(self) -> None:
        super().cancel()
        self._clean()

    def _clean(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class PeopleJob(Job):
    """Lists the people of a video. people: a line each, when it is done. picture: with everybody numbered; `close` removes it."""

    def __init__(self, command: Path, capture: Capture) -> None:
        """Start it. Raises OSError if the command cannot be started."""
        self._folder = Path(tempfile.mkdtemp(prefix="stpose-"))
        self.picture = self._folder / "people.png"
        words = ["people", str(capture.video), "-o", str(self.picture), "--detector", capture.detector, "--device", capture.device]
        for name, value in (("--start", capture.start), ("--end", capture.end)):
            words += [name, f"{value:g}"] if value is not None else []
        try:
            super().__init__([command, *words])
        except OSError:
            self.close()
            raise

    @property
    def people(self) -> list[str]:
        """A line for each person, number first."""
        return [line for line in self.state.output if line.partition(":")[0].isdecimal()]

    def cancel(self) -> None:
        super().cancel()
        self.close()

    def close(self) -> None:
        """Remove the picture."""
        shutil.rmtree(self._folder, ignore_errors=True)
