"""The page itself: figures, curves and video as text in one HTML file."""

from __future__ import annotations

import base64
import html
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np

from stpose_core import __version__
from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Array, Capture, Motion
from stpose_core.errors import OutputError
from stpose_core.files import written_whole
from stpose_core.frames import FrameSource
from stpose_core.pipeline import Progress
from stpose_core.preview import drawn, pictures
from stpose_core.quality import Quality, advice, quality
from stpose_core.video_writer import PreviewWriter

VIDEO_SIDE = 640
"""Pixels of the longer side of the video in a page."""

VIDEO_BYTES = 8_000_000
"""Most bytes of the video in a page; base64 makes a third more of it."""

_HERE = Path(__file__).parent
_LEFT, _RIGHT, _PLAIN = "#e63c3c", "#3cae5a", "#334155"
_LONGEST = 60 * 60 * 60  # frames: an hour at 60 a second


def write_report(
    people: Sequence[Capture | Motion],
    path: str | Path,
    *,
    title: str | None = None,
    video: FrameSource | None = None,
    start: float | None = None,
    end: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the page for people of one video. The file appears whole or not at all; an existing one is replaced.

    people: at least one, all with the same frame rate. title: the video's name by default. video: the source that was captured,
    to be shown with the joints drawn in; captures are needed for that. start, end: the range that was captured, in seconds.
    Raises OutputError, and VideoError if the video cannot be read.
    """
    captures = [person for person in people if isinstance(person, Capture)]
    if not people:
        raise ValueError("there are no people to report on")
    longest = max(len(person) for person in people)
    if longest > _LONGEST:
        raise OutputError(f"a report shows {_LONGEST} frames at most, not {longest}; trim the motion first")
    film = _film(captures, video, start, end, progress) if video is not None and captures else ""
    data = json.dumps({"people": [_person(person, number) for number, person in enumerate(people, 1)]}, allow_nan=False)
    name = title or (captures[0].video.path.name if captures else Path(path).stem)
    page = Template((_HERE / "page.html").read_text("utf-8")).substitute(
        title=html.escape(name),
        film=film,
        version=__version__,
        data=data.replace("<", "\\u003c"),
        viewer=(_HERE / "viewer.js").read_text("utf-8").replace("</script", "<\\/script"),
    )
    with written_whole(path, overwrite=True) as part:
        part.write_text(page, "utf-8")


def _film(
    captures: Sequence[Capture], video: FrameSource, start: float | None, end: float | None, progress: Progress | None
) -> str:
    """The video with the joints drawn in, as an element of the page."""
    seconds = len(captures[0]) / captures[0].motion.fps
    info = captures[0].video
    scale = min(1.0, VIDEO_SIDE / max(info.width, info.height))
    size = max(2, round(info.width * scale)), max(2, round(info.height * scale))
    bits = min(1_200_000, int(8 * VIDEO_BYTES / max(seconds, 1.0)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        with PreviewWriter(file, captures[0].motion.fps, size, most_bits=bits) as writer:
            for frame, image in pictures(captures, video, start, end, progress):
                writer.write(np.asarray(cv2.resize(drawn(image, captures, frame), size, interpolation=cv2.INTER_AREA), np.uint8))
        coded = base64.b64encode(file.read_bytes()).decode()
    return f'<div id="film"><video id="video" muted playsinline preload="auto" src="data:video/mp4;base64,{coded}"></video></div>'


def _person(person: Capture | Motion, number: int) -> dict[str, Any]:
    motion = person.motion if isinstance(person, Capture) else person
    places = forward_kinematics(motion)
    found = quality(person) if isinstance(person, Capture) else None
    return {
        "title": f"Person {number}",
        "fps": motion.fps,
        "frames": len(motion),
        "names": list(motion.names),
        "parents": [int(parent) for parent in motion.parents],
        "places": _floats(places),
        "contacts": _floats(motion.contacts),
        "curves": _curves(person, motion, places),
        "words": _words(motion, found),
        "advice": advice(found) if found else None,
    }


def _curves(person: Capture | Motion, motion: Motion, places: Array) -> list[dict[str, Any]]:
    """Confidence, height of the feet with contacts, and speed. Each has its largest value, so that the page need not search."""
    curves = []
    if isinstance(person, Capture):
        sure = person.keypoints.score.mean(axis=1)
        curves.append(_curve("Confidence of the 2D joints", "", [("", _PLAIN, sure)], most=1.0))
    feet = [(side, motion.names.index(f"{side}ToeBase")) for side in ("Left", "Right") if f"{side}ToeBase" in motion.names]
    if feet:
        lines = [(side.lower(), _LEFT if side == "Left" else _RIGHT, 100 * places[:, joint, 1]) for side, joint in feet]
        known = bool(motion.contacts.any())
        title = "Height of the feet; bars: contacts" if known else "Height of the feet"
        curves.append(_curve(title, "cm", lines, contacts=known))
    if len(motion) > 1:
        steps = np.linalg.norm(np.gradient(places[:, 0, [0, 2]], axis=0), axis=-1) * motion.fps
        curves.append(_curve("Speed along the floor", "m/s", [("", _PLAIN, steps)]))
    return curves


def _curve(
    title: str, unit: str, lines: Sequence[tuple[str, str, Array]], most: float | None = None, contacts: bool = False
) -> dict[str, Any]:
    highest = max((float(np.nanmax(values)) for _, _, values in lines if np.isfinite(values).any()), default=1.0)
    return {
        "title": title,
        "unit": unit,
        "most": most or float(f"{max(highest, 1e-3):.2g}"),
        "contacts": contacts,
        "lines": [{"name": name, "colour": colour, "values": _floats(values)} for name, colour, values in lines],
    }


def _words(motion: Motion, found: Quality | None) -> list[tuple[str, str]]:
    rows = [("length", f"{len(motion) / motion.fps:.2f} s, {len(motion)} frames at {motion.fps:.3g} a second")]
    if found:
        hidden = ", ".join(f"{part} {_percent(share)}" for part, share in found.hidden.items())
        rows += [
            ("detected", f"in {_percent(found.seen)} of the frames"),
            ("hidden joints", hidden),
            (
                "feet",
                f"one or both on the ground {_percent(found.contact)} of the time; {_number(found.slide, 'cm')} of slide a frame",
            ),
            ("jitter", _number(found.jitter, "m/s\N{SUPERSCRIPT TWO}")),
            ("bone lengths", f"vary by {_percent(found.bones)} before they are made constant"),
        ]
    longest = np.linalg.norm(motion.offsets, axis=-1)
    bones = [
        (title, name) for title, name in (("thigh", "LeftLeg"), ("shin", "LeftFoot"), ("upper arm", "LeftForeArm"), ("forearm",
        "LeftHand")) if name in motion.names
    ]  # fmt: skip
    if bones:
        said = ", ".join(f"{title} {100 * longest[motion.names.index(name)]:.0f}" for title, name in bones)
        rows.append(("bones in cm", said))
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "unknown"


def _number(value: float, unit: str) -> str:
    return f"{value:.2g} {unit}" if np.isfinite(value) else "unknown"


def _floats(values: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
