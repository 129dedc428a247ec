"""Checks of a network's dimensions in a weights file, which is untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields


def check_dimensions(values: Mapping[str, object], config: type, ranges: Mapping[str, tuple[int, int]]) -> None:
    """Names, whole numbers within `ranges`, switches, and the dropout of a network's config (a dataclass).

    Raises ValueError at unknown fields, wrong types and absurd dimensions; what is missing takes its default.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"the dimensions of a network must be a dictionary, got {values!r:.40}")
    unknown = sorted(map(str, set(values) - {entry.name for entry in fields(config)}))
    if unknown:
        raise ValueError(f"unknown dimensions of a network: {', '.join(unknown)[:100]}")
    for name, (least, most) in ranges.items():
        given = values.get(name, least)
        if type(given) is not int or not least <= given <= most:
            raise ValueError(f"{name} must be a whole number from {least} to {most}, got {given!r:.40}")
    for entry in fields(config):
        if type(entry.default) is bool and type(values.get(entry.name, True)) is not bool:
            raise ValueError(f"{entry.name} must be true or false, got {values[entry.name]!r:.40}")
    dropout = values.get("dropout", 0)
    if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout < 1:
        raise ValueError(f"dropout must be a number from 0 to below 1, got {dropout!r:.40}")


def whole_numbers(values: object, least: int, most: int) -> bool:
    """Whether this is a list of whole numbers in that range."""
    return isinstance(values, list | tuple) and all(type(value) is int and least <= value <= most for value in values)
