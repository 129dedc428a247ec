"""STPose for Blender: from a video to a moving character. The capture itself runs outside, as the `stpose` command."""

from __future__ import annotations

from . import operators, panels, preferences, preview, properties

MODULES = (properties, preview, preferences, *operators.MODULES, panels)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
