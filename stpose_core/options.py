"""The options of a capture: checked values that can be read and written as JSON.

This is the only place with defaults: the library, the command, batches and the Blender extension use them.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpose_core.errors import OptionError
from stpose_core.formats import FORMATS, UNITS
from stpose_core.rigs import RIGS

if TYPE_CHECKING:
    from stpose_core.data import Camera

CAMERAS = ("auto", "static", "moving")
DEVICES = ("auto", "cpu", "cuda", "mps")
EXCLUSIVE = {("focal", "fov"): "focal length", ("camera_height", "actor_height"): "scale"}
"""Options of which only one may be given, and what both of them set."""
PICTURE_FPS = 30.0
"""Frames per second of a folder of pictures by default. Pictures have no time stamps."""
PERSONS = ("largest", "left", "right", "center", "all")
SLOWEST = 1.0
"""Minimum frames per second. At lower rates, a body can move too far between two frames."""

_LONGEST_JSON = 1_000_000  # characters
_CLASS = re.compile(r"[\w.]+:\w+")  # package.module:Class


@dataclass(frozen=True, kw_only=True)
class CaptureOptions:
    """Options of a capture. Raises OptionError for a value that is out of range or of a wrong type.

    detector: "auto", "builtin", "mediapipe", "rtmpose", or the path of keypoints or of a detector's weights.
    person: "largest", "left", "right", "center", "all", or "1", "2", ...: the n-th largest over the clip.
    start, end: seconds from the video's first frame; None is the start or end of the video.
    fps: frame rate of the result; None is that of the video.
    smooth: strength of the smoothing, 0 (none) to 1 (strong).
    refine: whether the 3D joints are fitted to the 2D joints over the whole clip.
    device: the device that runs the networks, "auto", "cpu", "cuda" or "mps".
    weights: path of a lifter's weights; None is the built-in lifter.
    camera: "static" assumes a static camera; "moving" estimates its rotation and zoom from the background; "auto" does so as well,
    and detects a static camera.
    focal: focal length in pixels of the video; fov: field of view in degrees along the longer side. At most one of them; None if
    unknown.
    camera_pitch: degrees by which the camera looks down (negative: up), on average over the clip; None if unknown. Sets the
    direction of gravity. camera_height: metres of the camera above the floor; actor_height: standing height of the person in
    metres. Either sets the scale of body and path; at most one of them.
    hands: capture fingers: with the hand network of MediaPipe, or from a keypoint file that contains hand joints.
    face: capture the face, as curves named as ARKit's blend shapes, with the face network of MediaPipe.
    picture_fps: frame rate of a folder of pictures, which have no time stamps.
    format: suffix of files in a folder, without the dot. units: unit of length in formats with a choice, "cm" or "m".
    rig: joint names in the files, a name of `stpose_core.rigs.RIGS`.
    skeleton: path of a .bvh or .glb on whose hierarchy the files' motion is solved; None for the captured body's own.
    """

    detector: str = "auto"
    person: str = "largest"
    start: float | None = None
    end: float | None = None
    fps: float | None = None
    smooth: float = 0.4
    refine: bool = True
    device: str = "auto"
    weights: str | None = None
    camera: str = "auto"
    focal: float | None = None
    fov: float | None = None
    camera_height: float | None = None
    camera_pitch: float | None = None
    actor_height: float | None = None
    hands: bool = False
    face: bool = False
    picture_fps: float = PICTURE_FPS
    format: str = "bvh"
    units: str = "cm"
    rig: str = "stpose"
    skeleton: str | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Path):
                value = str(value)
                object.__setattr__(self, entry.name, value)
            _check_type(entry.name, value, str(entry.type))
        if self.person not in PERSONS and not (self.person.isascii() and self.person.isdigit() and int(self.person) > 0):
            raise OptionError(f"person: unknown choice '{self.person}'; use a number from 1, or {', '.join(PERSONS)}")
        for name, choices in (("device", DEVICES), ("camera", CAMERAS), ("units", UNITS), ("rig", RIGS)):
            if getattr(self, name) not in choices:
                raise OptionError(f"{name}: unknown choice '{getattr(self, name)}'; use one of {', '.join(choices)}")
        if self.format not in [entry.suffix[1:] for entry in FORMATS]:
            known = ", ".join(entry.suffix[1:] for entry in FORMATS)
            raise OptionError(f"format: unknown choice '{self.format}'; use one of {known}")
        _check_range("smooth", self.smooth, 0, 1)
        _check_range("start", self.start, 0, math.inf)
        _check_range("fps", self.fps, SLOWEST, 1000)
        _check_range("focal", self.focal, 1, 1e6)
        _check_range("fov", self.fov, 5, 170)
        _check_range("camera_height", self.camera_height, 0.05, 100)
        _check_range("camera_pitch", self.camera_pitch, -89, 89)
        _check_range("actor_height", self.actor_height, 0.3, 3)
        _check_range("picture_fps", self.picture_fps, SLOWEST, 1000)
        if self.end is not None and self.end <= (self.start or 0.0):
            raise OptionError(f"the range from {self.start or 0:g} s to {self.end:g} s is empty")
        for (one, other), what in EXCLUSIVE.items():
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise OptionError(f"{one} and {other} both set the {what}; give only one of them")

    def camera_of(self, image_size: tuple[int, int]) -> Camera | None:
        """The camera for pictures of this size (width, height) in pixels; None if its focal length is unknown."""
        from stpose_core.data import Camera

        focal = self.focal
        if self.fov is not None:
            focal = 0.5 * max(image_size) / math.tan(math.radians(self.fov) / 2)
        return None if focal is None else Camera(focal, (image_size[0] / 2, image_size[1] / 2))

    def to_json(self) -> str:
        """All options as a JSON object, the inverse of `from_json`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str) -> CaptureOptions:
        """The options in a JSON object. Missing ones have their defaults.

        Raises OptionError if the text is not a JSON object, or contains unknown names or invalid values.
        """
        if len(text) > _LONGEST_JSON:
            raise OptionError(f"options of {len(text)} characters are too long")
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"options are not JSON: {error}") from error
        if not isinstance(values, dict):
            raise OptionError("options have to be a JSON object, {...}")
        return CaptureOptions(**known_options(values))


def read_options(path: str | Path) -> CaptureOptions:
    """The options in a JSON file.

    A file may not name a class as its detector, because that would import code. Raises OptionError for that, for the reasons of
    `CaptureOptions.from_json`, and if the file cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            options = CaptureOptions.from_json(file.read(_LONGEST_JSON + 1))
        if _CLASS.fullmatch(options.detector):
            raise OptionError(f"detector: a file may not name a class ('{options.detector:.60}'); give it as --detector instead")
        return options
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"cannot read options from {path}: {getattr(error, 'strerror', None) or error}") from error
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error


def known_options(values: dict[str, Any]) -> dict[str, Any]:
    """The values, if each name is that of an option. Raises OptionError with the unknown names."""
    names = [entry.name for entry in fields(CaptureOptions)]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise OptionError(f"unknown option {', '.join(unknown)[:100]}; known: {', '.join(names)}")
    return values


def _check_type(name: str, value: object, declared: str) -> None:
    kinds: tuple[type, ...] = {"str": (str,), "float": (int, float), "bool": (bool,)}[declared.split(" | ")[0]]
    if value is None and "None" in declared:
        return
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise OptionError(f"{name} must be of type {declared}, got {value!r:.60}")


def _check_range(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not (math.isfinite(value) and least <= value <= most):
        limits = f"{least:g} or more" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise OptionError(f"{name} must be {limits}, got {value:g}")
