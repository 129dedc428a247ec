"""Optional packages: imported where they are used, with a clear message if they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stpose_core.errors import FormatError
from stpose_core.extras import how_to_install


def extra(module: str, what: str) -> Any:
    """The module that reads `what`. Raises FormatError, with how to install it, if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise FormatError(f"reading {what} needs the package {module}; {how_to_install('datasets')}") from error
