"""Custom detectors: `package.module:Class` is imported, instantiated, and checked against the protocol."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

from stpose_core.detect.types import Detector
from stpose_core.errors import DetectorError, FormatError, StposeError
from stpose_core.skeletons import H36M17, convert_points, get_skeleton

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_class_name(name: str) -> bool:
    """Whether this has the form of `package.module:Class`."""
    return _NAME.fullmatch(name) is not None


def load_class(name: str, **options: Any) -> Detector:
    """A detector of the class `package.module:Class`. options: of its constructor; `device` is omitted if it is not a parameter.

    Raises DetectorError if the class cannot be imported or instantiated, or is not a `Detector`.
    """
    module, _, attribute = name.partition(":")
    try:
        home = import_module(module)
    except Exception as error:  # a module may fail with any kind of error
        raise DetectorError(
            f"{name} cannot be imported ({_reason(error)}); install the module, or add its folder to PYTHONPATH"
        ) from error
    kind = getattr(home, attribute, None)
    if not isinstance(kind, type):
        raise DetectorError(f"{name} cannot be loaded: the module {module} has no class {attribute}")
    _require(name, [f"{wanted}()" for wanted in ("find", "pose") if not callable(getattr(kind, wanted, None))])
    if "device" in options and not _takes_device(kind):
        del options["device"]
    try:
        made = kind(**options)
    except StposeError:
        raise
    except Exception as error:  # as above
        raise DetectorError(f"{name} cannot be instantiated: {_reason(error)}") from error
    _check(name, made)
    return made


def _check(name: str, made: Any) -> None:
    words = [word for word in ("name", "skeleton") if not isinstance(getattr(made, word, None), str)]
    _require(name, [*words, *([] if hasattr(made, "maps") else ["maps"])])
    if not _takes(made.find, None, thorough=True):
        raise DetectorError(f"{name} is not a detector: its find() must take (image, thorough=False)")
    if not _takes(made.pose, None, None):
        raise DetectorError(f"{name} is not a detector: its pose() must take (image, box)")
    try:
        convert_points([[0.0, 0.0]] * len(get_skeleton(made.skeleton).joints), made.skeleton, H36M17.name)
    except FormatError as error:
        raise DetectorError(f"{name}: {error}") from error


def _require(name: str, missing: list[str]) -> None:
    if missing:
        raise DetectorError(f"{name} is not a detector: it has no {', no '.join(missing)} (see stpose_core.detect.Detector)")


def _takes(method: Any, *positional: object, **named: object) -> bool:
    """Whether a method can be called with these arguments."""
    try:
        inspect.signature(method).bind(*positional, **named)
    except TypeError:
        return False
    return True


def _takes_device(kind: Any) -> bool:
    # Protocols give their subclasses an __init__ that accepts any argument.
    if kind.__init__ in (Detector.__init__, object.__init__):
        return False
    wanted = inspect.signature(kind).parameters
    return "device" in wanted or any(one.kind is one.VAR_KEYWORD for one in wanted.values())


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
