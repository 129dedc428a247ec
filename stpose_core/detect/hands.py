from dataclasses import dataclass
from stpose_core.detect.types import Floats
@dataclass(frozen=True)
class HandView:
    xy: Floats
    lifted: Floats
    presence: float
    right: float
