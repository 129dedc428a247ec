"""The operators, one module a step."""

from . import batch, capture, export, live, mapping, people, preview, retarget, track

MODULES = (capture, people, track, live, mapping, preview, retarget, batch, export)
