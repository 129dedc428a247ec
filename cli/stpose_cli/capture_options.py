"""The options of a capture on the command line: each of them from `CaptureOptions`, which holds the defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from stpose_core.formats import FORMATS, UNITS
from stpose_core.options import CAMERAS, DEVICES, CaptureOptions, read_options

Command = TypeVar("Command", bound=Callable[..., Any])


class Seconds(click.ParamType):
    """A time in a video: seconds, mm:ss or hh:mm:ss, each with or without a fraction."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        if not re.fullmatch(r"(\d+:)?(\d+:)?\d+(\.\d*)?", str(value)):
            self.fail(f"'{value}' is no time; write seconds (12.5) or mm:ss (1:12.5)", param, ctx)
        seconds = 0.0
        for part in str(value).split(":"):
            seconds = 60 * seconds + float(part)
        return seconds


class Number(click.FloatRange):
    """A number in a range; "nan" lies in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if number != number:
            self.fail(f"'{value}' is no number", param, ctx)
        return number


_FILE = click.Path(path_type=Path)
# name, type, help; a default that is None is not shown.
_OPTIONS: tuple[tuple[str, Any, str], ...] = (
    ("detector", str, "auto, builtin, mediapipe, rtmpose, a pose network (.onnx), package.module:Class, or keypoints."),
    ("person", str, "largest, left, right, center, all, or a number from 1 by size."),
    ("smooth", Number(0, 1), "Strength of the smoothing: 0 none, 1 very strong."),
    ("fps", Number(1, 1000), "Frame rate of the motion.  [default: the video's]"),
    ("start", Seconds(), "Where to begin in the video: seconds or mm:ss."),
    ("end", Seconds(), "Where to stop."),
    ("device", click.Choice(DEVICES), "Where the networks run."),
    ("weights", _FILE, "Lifter to use, .safetensors.  [default: the one that ships]"),
    ("camera", click.Choice(CAMERAS), "static or moving (turns and zooms are followed by the background); auto finds out."),
    ("focal", Number(1, 1e6), "Focal length in pixels.  [default: unknown]"),
    ("fov", Number(5, 170), "Field of view in degrees over the longer side.  [default: unknown]"),
    ("camera-height", Number(0.05, 100), "Height of the camera above the floor in metres; sets the scale.  [default: unknown]"),
    ("camera-pitch", Number(-89, 89), "Degrees by which the camera looks down.  [default: estimated]"),
    ("actor-height", Number(0.3, 3), "Standing height of the person in metres; sets the scale.  [default: unknown]"),
    ("format", click.Choice([entry.suffix[1:] for entry in FORMATS]), "Format of the files in a folder."),
    ("units", click.Choice(UNITS), "Unit of lengths in .bvh."),
)


def capture_options(command: Command) -> Command:
    """Adds every option of a capture, and --options FILE, to a command; see `chosen_options`."""
    file = "All options from a JSON file; those on the command line count before it."
    command = click.option("--options", "options_file", metavar="FILE.json", type=_FILE, help=file)(command)
    refine = "Fit the 3D joints to the 2D joints over the whole clip."
    command = click.option("--refine/--no-refine", default=CaptureOptions.refine, show_default=True, help=refine)(command)
    for name, kind, text in reversed(_OPTIONS):
        default = getattr(CaptureOptions, name.replace("-", "_"))
        command = click.option(f"--{name}", type=kind, default=default, show_default=default is not None, help=text)(command)
    return command


def chosen_options(context: click.Context) -> CaptureOptions:
    """The options of the command that runs: those given, then those of --options, then the defaults. Raises OptionError."""
    values = context.params
    base = read_options(values["options_file"]) if values["options_file"] else CaptureOptions()
    names = [name.replace("-", "_") for name, _, _ in _OPTIONS] + ["refine"]
    return replace(base, **{name: values[name] for name in names if was_given(context, name)})


def was_given(context: click.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT
