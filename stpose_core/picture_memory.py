"""Memory for the pictures of a video, outside the heap.

On the heap, small objects that live on soon lie between the large pictures that come and go, and the gaps become too small for
further pictures: 20 minutes of a 1080p video then took up to 500 MB more, by chance, and kept it after the last picture.
"""

from __future__ import annotations

import mmap
import weakref

import numpy as np
from numpy.typing import NDArray

_LARGE = 1_000_000  # bytes: the heap is good enough for smaller pictures


class PictureMemory:
    """Blocks of memory, each of which is used again for another picture once nobody holds the one in it.

    All are given back to the system when neither this object nor any of the pictures is held any longer.
    """

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def copied(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A contiguous copy of a picture. Pictures of one object must have the same size."""
        if image.nbytes < _LARGE:
            return np.array(image, order="C")
        block = self._free.pop() if self._free else mmap.mmap(-1, image.nbytes)
        # Every view of the picture holds this array, because numpy does not look for a base beyond the block.
        memory = np.frombuffer(block, np.uint8)
        weakref.finalize(memory, self._free.append, block).atexit = False
        copy = memory.reshape(image.shape)
        copy[:] = image
        return copy
