"""Printed cloth: stripes, checks, dots, camouflage and plain prints, as tiles that repeat without seams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SEED = 7


def draw_patterns(count: int, size: int) -> NDArray[np.uint8]:
    """(count, size, size, 4) sRGB with alpha 255; the same pictures for the same numbers."""
    random = np.random.default_rng(_SEED)
    y, x = np.mgrid[:size, :size] / size
    out = np.full((count, size, size, 4), 255, np.uint8)
    for picture in out:
        colours = random.integers(0, 256, (3, 3)).astype(np.float32)
        kind = random.integers(5)
        times = int(random.integers(1, 12))
        if kind == 0:  # stripes, some of them slanted
            angle = (x, y, x + y)[random.integers(3)]
            value = ((angle * times) % 1 > random.uniform(0.2, 0.8)).astype(int)
        elif kind == 1:  # checks
            value = ((x * times) % 1 > 0.5).astype(int) + ((y * times) % 1 > 0.5)
        elif kind == 2:  # dots
            value = ((((x * times) % 1 - 0.5) ** 2 + ((y * times) % 1 - 0.5) ** 2) < random.uniform(0.02, 0.15)).astype(int)
        elif kind == 3:  # camouflage: slow waves, cut at two heights
            wave = sum(
                np.sin(2 * np.pi * (random.integers(-3, 4) * x + random.integers(-3, 4) * y + random.random())) for _ in range(5)
            )
            value = (wave > -0.7).astype(int) + (wave > 0.7)
        else:  # a coarse print: squares of one of three colours
            cells = max(2, times)
            table = random.integers(0, 3, (cells, cells))
            value = table[(y * cells).astype(int), (x * cells).astype(int)]
        picture[..., :3] = colours[value]
    return out
