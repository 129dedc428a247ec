"""Command-line options of a capture, one for each field of `CaptureOptions`, which holds the defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from stpose_cli.commands import ANY
from stpose_core.formats import FORMATS, UNITS
from stpose_core.options import CAMERAS, DEVICES, EXCLUSIVE, CaptureOptions, read_options
from stpose_core.rigs import RIGS

Command = TypeVar("Command", bound=Callable[..., Any])


class Seconds(click.ParamType):
    """A time in a video: seconds, mm:ss or hh:mm:ss, each with or without a fraction; after a colon up to 59."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        if not re.fullmatch(r"(\d+:([0-5]?\d:)?[0-5]?\d|\d+)(\.\d*)?|\.\d+", str(value), re.ASCII):
            self.fail(f"'{value}' is not a time; write seconds (12.5) or mm:ss (1:12.5)", param, ctx)
        seconds = 0.0
        for part in str(value).split(":"):
            seconds = 60 * seconds + float(part)
        return seconds


class Number(click.FloatRange):
    """A number in a range; "nan" is rejected."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if number != number:
            self.fail(f"'{value}' is not a number", param, ctx)
        return number


# Name, type, help. A default of None is not shown.
_OPTIONS: tuple[tuple[str, Any, str], ...] = (
    ("detector", str, "auto, builtin, mediapipe, rtmpose, a pose network (.onnx), package.module:Class, or keypoints."),
    ("person", str, "largest, left, right, center, all, or a number from 1 by size."),
    ("smooth", Number(0, 1), "Strength of the smoothing: 0 none, 1 very strong."),
    ("fps", Number(1, 1000), "Frame rate of the motion.  [default: the video's]"),
    ("start", Seconds(), "Start time in the video: seconds or mm:ss."),
    ("end", Seconds(), "End time in the video."),
    ("device", click.Choice(DEVICES), "Device that runs the networks."),
    ("weights", ANY, "Weights of the lifter, .safetensors.  [default: built-in]"),
    ("camera", click.Choice(CAMERAS), "static, or moving (rotation and zoom are estimated from the background); auto decides."),
    ("focal", Number(1, 1e6), "Focal length in pixels.  [default: unknown]"),
    ("fov", Number(5, 170), "Field of view in degrees along the longer side.  [default: unknown]"),
    ("camera-height", Number(0.05, 100), "Height of the camera above the floor in metres; sets the scale.  [default: unknown]"),
    ("camera-pitch", Number(-89, 89), "Degrees by which the camera looks down.  [default: estimated]"),
    ("actor-height", Number(0.3, 3), "Standing height of the person in metres; sets the scale.  [default: unknown]"),
    ("picture-fps", Number(1, 1000), "Pictures per second, if VIDEO is a folder of pictures."),
    ("format", click.Choice([entry.suffix[1:] for entry in FORMATS]), "Format of the files, if OUT is a folder."),
    ("units", click.Choice(UNITS), "Unit of length in .bvh."),
    ("skeleton", ANY, "Solve the motion on the skeleton of this .bvh, .glb or USD."),
    ("rig", click.Choice(RIGS), "Family of rigs whose joint names the files use."),
)


def capture_options(command: Command) -> Command:
    """Add every option of a capture, and --options FILE, to a command. See `chosen_options`."""
    file = "Read options from a JSON file. Options on the command line take precedence."
    command = click.option("--options", "options_file", metavar="FILE.json", type=ANY, help=file)(command)
    refine = "Fit the 3D joints to the 2D joints over the whole clip."
    command = click.option("--refine/--no-refine", default=CaptureOptions.refine, show_default=True, help=refine)(command)
    hands = "Capture the fingers as well (needs mediapipe, or keypoints with hands)."
    command = click.option("--hands/--no-hands", default=CaptureOptions.hands, show_default=True, help=hands)(command)
    face = "Capture the face as well, as curves named as ARKit's blend shapes (needs mediapipe)."
    command = click.option("--face/--no-face", default=CaptureOptions.face, show_default=True, help=face)(command)
    for name, kind, text in reversed(_OPTIONS):
        default = getattr(CaptureOptions, name.replace("-", "_"))
        command = click.option(f"--{name}", type=kind, default=default, show_default=default is not None, help=text)(command)
    return command


def chosen_options(context: click.Context) -> CaptureOptions:
    """The options of the running command: the command line first, then --options, then the defaults. Raises OptionError."""
    values = context.params
    base = read_options(values["options_file"]) if values["options_file"] else CaptureOptions()
    names = [name.replace("-", "_") for name, _, _ in _OPTIONS] + ["refine", "hands", "face"]
    given = {name: values[name] for name in names if was_given(context, name)}
    # Of two that exclude each other, the file's gives way.
    other: dict[str, Any] = {
        rival: None for pair in EXCLUSIVE for name, rival in (pair, pair[::-1]) if name in given and rival not in given
    }
    return replace(base, **other, **given)


def was_given(context: click.Context, name: str) -> bool:
    """Whether an option was given on the command line."""
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT
