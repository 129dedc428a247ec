"""The retargeting code and what the extension does without Blender."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The root first: these tests also run in environments without stpose.
sys.path[:0] = [str(ROOT), str(ROOT / "blender_addon"), str(Path(__file__).parent)]
