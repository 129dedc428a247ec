"""Docstrings of the API reference: fields as a list. An extension of griffe, which mkdocs.yml names.

Docstrings state fields as "name: meaning." in running lines, several in one where they are short. Markdown would join them all
into one paragraph.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

# "name:" or "first, second:" at the start of a line, or after the end of a sentence.
FIELD = re.compile(r"(?:^|(?<=[.;] ))((?:[a-z_]\w*|\"?[.\w]+\"?)(?:, [a-z_]\w*)*): (?=\S)", re.MULTILINE)
RAISES = re.compile(r"^(Raises \w+)", re.MULTILINE)


def as_list(text: str) -> str:
    """The docstring with each field as an item of a list, and errors in a paragraph of their own."""
    summary, _, rest = text.partition("\n\n")
    if not rest:
        return text
    items = FIELD.sub(lambda match: f"\n- `{match.group(1)}`: ", rest)
    # One empty line before the list, none inside, so that it is set tight.
    items = re.sub(r"\s*\n- ", "\n- ", items)
    items = re.sub(r"^(?!- )(.*)\n- ", r"\1\n\n- ", items, count=1, flags=re.MULTILINE)
    return f"{summary}\n\n{RAISES.sub(lambda match: chr(10) + match.group(1), items).lstrip()}"


class Fields(griffe.Extension):
    """Applies `as_list` to every docstring."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_list(obj.docstring.value)
