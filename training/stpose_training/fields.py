"""Dataclasses filled from TOML files, with their types checked. Importing this loads no torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from stpose_core.errors import TrainingError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Kind = TypeVar("Kind")


def read_preset(preset: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The path and the content of a preset: a name in a folder, or the path of a .toml file. Raises TrainingError."""
    path = Path(preset) if preset.endswith(".toml") else folder / f"{preset}.toml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
        raise TrainingError(f"there is no preset {preset}; there are {names}, or give a .toml file")
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: {error}") from error


def check_entries(values: Mapping[str, object], known: tuple[str, ...], where: Path) -> None:
    """Raises TrainingError for entries of a file that are not known."""
    unknown = set(values) - set(known)
    if unknown:
        raise TrainingError(f"{where}: unknown entry {', '.join(sorted(unknown))}")


def filled(kind: type[Kind], values: Mapping[str, object], where: Path) -> Kind:
    """A dataclass with fields of plain types from values of a file. Raises TrainingError for unknown fields and wrong types."""
    kinds: dict[str, Any] = {entry.name: type(entry.default) for entry in fields(kind)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in kinds:
            raise TrainingError(f"{where}: there is no '{name}'; there are {', '.join(kinds)}")
        right = isinstance(value, int | float) if kinds[name] is float else isinstance(value, kinds[name])
        if not right or isinstance(value, bool) != (kinds[name] is bool):
            raise TrainingError(f"{where}: {name} must be of type {kinds[name].__name__}, got {value!r}")
    try:
        return kind(**{name: kinds[name](value) for name, value in values.items()})
    except TrainingError as error:
        raise TrainingError(f"{where}: {error}") from error
