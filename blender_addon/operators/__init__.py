"""The operators, one module a step."""

from . import capture, live, mapping, retarget, track

MODULES = (capture, track, live, mapping, retarget)
