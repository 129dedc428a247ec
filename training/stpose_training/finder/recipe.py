"""What decides a training run of the finder besides its data. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
