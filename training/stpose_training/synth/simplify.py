"""Coarser meshes for small pictures: vertices in one cell of a grid are merged.

On a person 200 pixels tall most of the 27,000 faces are smaller than a pixel: they cost time and add no detail. Vertex clustering
(Rossignac and Borrel, 1993) keeps one original vertex of each cell, so every attribute remains that of a vertex of the mesh.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def cluster(points: Floats, faces: Ints, cell: Floats | float, group: Ints | None = None) -> tuple[Ints, Ints]:
    """-> kept (M,), the vertices that stay, and the remaining faces (G, 3) as positions in `kept`.

    points: (V, 3) metres. faces: (F, 3). cell: edge of the cells, metres, of each vertex (V,) or of all. group: (V,) vertices of
    different groups are never merged (parts of a texture, or adjacent fingers). Vertices without faces are dropped.
    """
    used = np.zeros(len(points), bool)
    used[faces] = True
    size = np.broadcast_to(np.asarray(cell, np.float64), (len(points),))
    place = np.floor(points / size[:, None]).astype(np.int64)
    kind = np.unique(size, return_inverse=True)[1].reshape(-1)
    labels = np.zeros(len(points), np.int64) if group is None else group
    keys = np.column_stack([place, kind, labels])[used]
    owners, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.reshape(-1)
    number = np.flatnonzero(used)
    centre = np.zeros((len(owners), 3))
    np.add.at(centre, which, points[number])
    centre /= np.bincount(which, minlength=len(owners))[:, None]
    away = np.linalg.norm(points[number] - centre[which], axis=1)
    # The vertex nearest to the centre of its cell represents all of them.
    order = np.lexsort((away, which))
    first = np.concatenate([[True], which[order][1:] != which[order][:-1]])
    kept = number[order[first]]
    to = np.full(len(points), -1, np.int64)
    to[number] = which
    corners = to[faces]
    whole = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    corners = corners[whole]
    _, once = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
    return kept, corners[np.sort(once)]


def components(count: int, faces: Ints) -> Ints:
    """(count,) the connected component of each vertex."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    start, end = np.concatenate([faces[:, 0], faces[:, 1]]), np.concatenate([faces[:, 1], faces[:, 2]])
    links = coo_matrix((np.ones(len(start)), (start, end)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)
