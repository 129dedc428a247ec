"""The operators, one module a step."""

from . import capture, mapping, retarget, track

MODULES = (capture, track, mapping, retarget)
