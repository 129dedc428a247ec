"""The operators, one module a step."""

from . import batch, capture, live, mapping, retarget, track

MODULES = (capture, track, live, mapping, retarget, batch)
