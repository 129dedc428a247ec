"""The manifest of a batch: `manifest.jsonl` in the folder of the outputs, one JSON object a line for each video that was processed.

    {"status": "done", "video": "/takes/walk.mp4", "sha256": "...", "options": {...}, "inputs": {"/my.safetensors": "..."},
     "files": ["walk.bvh"], "seconds": 11.2, "frames": 300, "fps": 30.0, "people": 1, "quality": [{...}], "advice": [null],
     "error": null, "tries": 1, "stpose": "0.1.0", "finished": "2026-01-31T12:00:00+00:00"}  (on one line)

status: "done" or "error". inputs: checksums of the files that options name. files: relative to the folder. Of several lines
of one video with the same options, or of several with the same output, the last one counts. Lines are only ever added.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from stpose_core import __version__
from stpose_core.errors import OutputError
from stpose_core.options import CaptureOptions

NAME = "manifest.jsonl"
_PIECE = 2**20


class Manifest:
    """The manifest in a folder. Lines that are not JSON objects, such as one that a full disk cut short, are ignored.

    Raises FormatError if the file exists and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._valid: dict[str, list[dict[str, Any]]] = {}  # by video
        self._makers: dict[str, dict[str, Any]] = {}  # by output
        if os.path.lexists(self.path):
            from stpose_core.reading import read_bytes

            for line in read_bytes(self.path).splitlines():
                entry = _entry(line)
                if entry is not None:
                    self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        """Count a line, and no longer those whose outputs it has replaced, nor one of the same video and options."""
        known = self._valid.setdefault(entry["video"], [])
        gone = [self._makers[name] for name in _files(entry) if name in self._makers]
        for earlier in [*gone, *(earlier for earlier in known if _same_options(earlier, entry))]:
            self._valid[earlier["video"]] = [kept for kept in self._valid[earlier["video"]] if kept is not earlier]
        self._valid[entry["video"]].append(entry)
        self._makers.update(dict.fromkeys(_files(entry), entry))

    def finished(self, video: Path, options: dict[str, Any], inputs: dict[str, str | None]) -> list[Path] | None:
        """The outputs of a video, if it was captured with these options, neither it nor a file that they name has changed since,
        and all outputs exist. inputs: as `inputs_of` gives them."""
        entry = next((entry for entry in self._done(video) if not self._difference(entry, options, inputs)), None)
        if entry is None or not _files(entry):
            return None
        files = [self.path.parent / name for name in _files(entry)]
        if not all(os.path.isfile(file) for file in files) or checksum(video) != entry.get("sha256"):
            return None
        return files

    def difference(self, video: Path, output: Path, options: dict[str, Any], inputs: dict[str, str | None]) -> str | None:
        """What has changed since a video was captured to this output; None if nothing has, or if it never was."""
        name = os.path.relpath(output, self.path.parent)
        entry = next((entry for entry in self._done(video) if name in _files(entry)), None)
        if entry is None:
            return None
        found = self._difference(entry, options, inputs)
        return found or ("the video has changed" if checksum(video) != entry.get("sha256") else None)

    def _done(self, video: Path) -> list[dict[str, Any]]:
        return [entry for entry in self._valid.get(_key(video), []) if entry.get("status") == "done"]

    def _difference(self, entry: dict[str, Any], options: dict[str, Any], inputs: dict[str, str | None]) -> str | None:
        before, named = _options(entry), entry.get("inputs")
        named = named if isinstance(named, dict) else {}
        other = [name for name in options if before.get(name) != options[name]]
        if other:
            changes = [f"{name} {json.dumps(before.get(name))}, now {json.dumps(options[name])}" for name in other]
            return f"it was captured with other options ({'; '.join(changes)})"
        return next((f"{name} has changed" for name, value in inputs.items() if named.get(name) != value), None)

    def append(self, video: Path, files: list[str], **fields: Any) -> None:
        """Add a line, in one write. Raises OutputError if it cannot be written."""
        entry = {"status": "error" if fields.get("error") else "done", "video": _key(video), **fields}
        entry["files"] = [os.path.relpath(file, self.path.parent) for file in files]
        entry |= {"stpose": __version__, "finished": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+", buffering=0) as file:
                # The end of a line that was cut short must not spoil this one.
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 1))
                start = b"" if file.read(1) in (b"", b"\n") else b"\n"
                line = start + json.dumps(entry).encode() + b"\n"
                if file.write(line) != len(line):
                    raise OutputError(f"cannot write {self.path}: the disk is full")
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error


def inputs_of(options: CaptureOptions) -> dict[str, str | None]:
    """The checksums of the files and folders that options name, by their paths."""
    named = [name for name in (options.detector, options.weights, options.skeleton) if name and os.path.exists(name)]
    return {os.path.abspath(name): checksum(Path(name)) for name in named}


def checksum(video: Path) -> str | None:
    """SHA-256 of a video, or of the names and contents of a folder of pictures; None if it cannot be read."""
    found = hashlib.sha256()
    try:
        if not video.is_dir():
            _add(found, video)
            return found.hexdigest()
        for file in sorted(entry for entry in video.iterdir() if entry.is_file()):
            found.update(file.name.encode(errors="surrogateescape") + b"\0")
            _add(found, file)
        return found.hexdigest()
    except (OSError, ValueError):
        return None


def _add(found: Any, path: Path) -> None:
    if not path.is_file():
        raise OSError(f"{path} is not a regular file")
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)


def _key(video: Path) -> str:
    return os.path.abspath(video)


def _files(entry: dict[str, Any]) -> list[str]:
    names = entry.get("files")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _options(entry: dict[str, Any]) -> dict[str, Any]:
    options = entry.get("options")
    return options if isinstance(options, dict) else {}


def _same_options(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two lines have the same options; one that a line does not have was at None."""
    first, second = _options(one), _options(other)
    return all(first.get(name) == second.get(name) for name in first.keys() | second.keys())


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("video"), str) else None
