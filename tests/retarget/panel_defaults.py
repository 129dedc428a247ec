"""The defaults of the extension's properties, read without Blender: `bpy` is replaced, so this runs in a process of its own."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, get_type_hints
from unittest.mock import MagicMock


class _Anything(ModuleType):
    """A module with every attribute: classes to derive from."""

    __path__: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _property(**given: Any) -> Any:
    items = given.get("items")
    return type("Property", (), {"default": given.get("default", items[0][0] if items else None)})


def read(name: str) -> str:
    """The defaults of the classes of a module of the extension, as JSON: {class: {property: default}}."""
    for module in (
        "bpy",
        "bpy.types",
        "bpy.props",
        "bpy.utils",
        "bpy.utils.previews",
        "bpy.app",
        "bpy.app.handlers",
        "bpy_extras",
        "bpy_extras.io_utils",
    ):
        sys.modules[module] = _Anything(module)
    sys.modules["mathutils"] = MagicMock()
    bpy, props = sys.modules["bpy"], sys.modules["bpy.props"]
    bpy.types, bpy.props = sys.modules["bpy.types"], props  # type: ignore[attr-defined]
    bpy.app, bpy.app.handlers = sys.modules["bpy.app"], sys.modules["bpy.app.handlers"]  # type: ignore[attr-defined]
    bpy.app.handlers.persistent = lambda function: function  # type: ignore[attr-defined]
    for kind in ("Bool", "Collection", "Enum", "Float", "FloatVector", "Int", "Pointer", "String"):
        setattr(props, f"{kind}Property", _property)
    # The extension's zip holds a copy of this package.
    sys.modules["blender_addon.retarget"] = import_module("stpose_core.retarget")
    found = import_module(f"blender_addon.{name}")
    defaults = {}
    for kind in vars(found)["CLASSES"]:
        hints = get_type_hints(kind) if hasattr(kind, "__annotations__") else {}
        defaults[kind.__name__] = {key: hint.default for key, hint in hints.items() if hasattr(hint, "default")}
    return json.dumps(defaults)
