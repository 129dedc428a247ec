"""The operators, one module a step."""

from . import batch, capture, export, live, mapping, people, retarget, track

MODULES = (capture, people, track, live, mapping, retarget, batch, export)
