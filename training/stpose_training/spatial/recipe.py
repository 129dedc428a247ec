"""What decides a training run of the spatial network besides its data. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from stpose_training.vision.recipe import Paths, PictureRecipe


@dataclass(frozen=True)
class Recipe(PictureRecipe):
    """The fields of `PictureRecipe`, and:

    coarse: first share of the run, in which pictures have half the size, at a quarter of the cost. recomposed: share of samples
    with another background or other people put in. others: whether there may be people beside the subject. deserted: share of
    samples without a person, from which the network learns to report none.
    hardening: first share of the run, in which the most difficult samples become more and more difficult: turned, cut off, covered,
    recomposed.
    alone: share of the run before footage joins in. unlabelled: samples of footage per rendered one from then on. trust: least
    share of a joint's map around its peak for the averaged weights' position to be learned.
    sigma: of the Gaussian targets, in pixels of a map. hidden: weight of positions of hidden joints; visible ones have 1. blank:
    weight of the loss of the maps of joints outside of the picture. flag: weight of the loss of the visibility logit.
    workers: processes that draw samples, with half as many again for footage; 0: threads of the training process draw them.
    """

    coarse: float = 0.7
    recomposed: float = 0.5
    hardening: float = 0.5
    others: bool = True
    deserted: float = 0.1
    alone: float = 0.5
    unlabelled: float = 0.1
    trust: float = 0.6
    sigma: float = 1.5
    hidden: float = 0.5
    blank: float = 0.1
    flag: float = 0.1
    workers: int = 0

    FREE: ClassVar[frozenset[str]] = PictureRecipe.FREE | {"coarse", "alone", "trust", "workers"}
    SHARES: ClassVar[tuple[str, ...]] = (
        *PictureRecipe.SHARES, "coarse", "recomposed", "hardening", "deserted", "alone", "unlabelled", "trust",
    )  # fmt: skip

    def continued(self) -> Recipe:
        """For a network that was trained before: full size, difficult samples, footage and a falling rate from the start, and held
        norms."""
        return replace(self, coarse=0.0, hardening=0.0, alone=0.0, settle=1.0, held=True)

    def size(self, seen: int, full: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the pictures after so many samples."""
        return (full[0] // 2, full[1] // 2) if seen < self.coarse * self.samples else full

    def hardness(self, seen: int) -> float:
        """0..1 how difficult samples are after so many: from plain views to the most difficult."""
        return min(1.0, seen / (self.hardening * self.samples)) if self.hardening else 1.0

    def joined(self, seen: int) -> bool:
        """Whether footage takes part after so many samples."""
        return seen >= self.alone * self.samples


@dataclass(frozen=True, kw_only=True)
class SpatialPaths(Paths):
    """The fields of `Paths`, and: videos: folder with balance/reference.npz, to measure on. footage: folder of clips and
    photographs of people, without labels, which joins in after the recipe's share of the run."""

    videos: Path | None = None
    footage: Path | None = None
