"""What decides a training run of the finder besides its data. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stpose_core.errors import TrainingError
from stpose_training.vision.recipe import PictureRecipe


@dataclass(frozen=True)
class Recipe(PictureRecipe):
    """The fields of `PictureRecipe`, and:

    mosaics: share of batches that are mosaics of the spatial network's crops, where the cache has some. box, up: weights of the
    losses of boxes and of directions; that of centres has 1.
    """

    mosaics: float = 0.33
    box: float = 1.0
    up: float = 0.2

    SHARES: ClassVar[tuple[str, ...]] = (*PictureRecipe.SHARES, "mosaics")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mosaics + self.labelled >= 1:
            raise TrainingError(f"mosaics {self.mosaics} and labelled {self.labelled} leave no frames")
