"""Names of joints in files."""

from __future__ import annotations


def unique(names: list[str]) -> tuple[str, ...]:
    """The names, a number added to those that were there before."""
    result: dict[str, None] = {}
    next_number: dict[str, int] = {}
    for name in names:
        fresh = name
        while fresh in result:
            number = next_number.get(name, 2)
            next_number[name] = number + 1
            # Before "End", which marks an end site.
            fresh = f"{name[:-3]}{number}End" if name.endswith("End") else f"{name}{number}"
        result[fresh] = None
    return tuple(result)
