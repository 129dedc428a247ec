"""Text in panels: Blender cuts a label that is too long, so it is broken into lines here."""

from __future__ import annotations

from textwrap import wrap

import bpy

_LETTER = 7  # px, about
_ICON = 8  # letters that an icon and the margins of a box take


def paragraph(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """The whole text in as many labels as the region's width needs, the icon before the first. Indented lines stay so."""
    width = context.region.width if context.region else 0
    letters = max(20, int(width / _LETTER / context.preferences.system.ui_scale) - _ICON)
    column = layout.column(align=True)
    for number, line in enumerate(part for whole in text.splitlines() for part in wrapped(whole, letters)):
        shown = icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE"
        column.label(text=line, icon=shown)  # type: ignore[arg-type]


def wrapped(line: str, letters: int) -> list[str]:
    """The line in parts of at most so many letters, each with its indent."""
    indent = line[: len(line) - len(line.lstrip())]
    return wrap(line, letters, subsequent_indent=indent and indent + "  ", break_on_hyphens=False) or [""]
