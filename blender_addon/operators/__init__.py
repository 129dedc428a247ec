"""The operators, one module a step."""

from . import mapping, retarget, track

MODULES = (track, mapping, retarget)
