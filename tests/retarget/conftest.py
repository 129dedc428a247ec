"""The retargeting code is tested without Blender, as a package of its own."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "blender_addon"), str(Path(__file__).parent)]
