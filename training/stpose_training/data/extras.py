"""Optional packages: imported where they are used, with a clear message if they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stpose_core.errors import FormatError


def extra(module: str, what: str) -> Any:
    """The module that reads `what`. Raises FormatError, with how to install it, if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise FormatError(f"reading {what} needs the package {module}: pip install '.[datasets]' in the repository") from error
