"""C3D: marker positions as motion capture laboratories exchange them; millimetres, z up, with the axes stated in the file.

x is the person's left at rest, y backward, z up: POINT:X_SCREEN is +X and POINT:Y_SCREEN is +Z. Written with the package ezc3d.
Source: the C3D file format user guide, c3d.org; B. Michaud, M. Begon, "ezc3d: an easy C3D file I/O cross-platform solution", JOSS
2021.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpose_core.data import Capture, Motion
from stpose_core.errors import OutputError
from stpose_core.extras import how_to_install
from stpose_core.formats import motion_of
from stpose_core.formats.markers import Points, markers

_MOST_IN_HEADER = 65535  # frames; the header has 16 bits. ezc3d writes the longer count as reals, which not every program reads


def check_packages(suffix: str) -> None:
    """Raise OutputError if ezc3d is missing."""
    try:
        import ezc3d  # noqa: F401
    except ImportError as error:
        raise OutputError(f"a {suffix} needs the package ezc3d; {how_to_install('c3d')}") from error


def write(thing: Motion | Capture, path: str | Path, units: str = "mm") -> None:
    """Write the joint centres of a capture, or of a motion, as a `Format` does; always in millimetres.

    Raises OutputError if ezc3d is missing.
    """
    check_packages(".c3d")
    import ezc3d

    motion = motion_of(thing)
    points = markers(motion, path)
    labels, places = list(points.labels), 1000.0 * points.places
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["RATE"]["value"] = [motion.fps]
    file["parameters"]["POINT"]["LABELS"]["value"] = labels
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    if len(motion) > _MOST_IN_HEADER:
        for name, frame in (("START", 1), ("END", len(motion))):
            file.add_parameter("TRIAL", f"ACTUAL_{name}_FIELD", [frame & 0xFFFF, frame >> 16])
    file.add_parameter("MANUFACTURER", "COMPANY", ["stpose"])
    x, y, z = places[..., 0].T, places[..., 1].T, places[..., 2].T
    file["data"]["points"] = np.stack([x, -z, y, np.ones_like(x)])
    file.write(str(path))


def read(path: str | Path) -> Motion:
    """The motion of the joints in a file, as a `Format` reads it."""
    from stpose_core.formats.marker_motion import motion_of_points

    return motion_of_points(path, read_points(path))


def read_points(path: str | Path) -> Points:
    """The markers in a file of any program. Raises FormatError if it is damaged, or of an unsupported kind."""
    from stpose_core.formats.c3d_reader import read_points as read_c3d

    return read_c3d(path)
