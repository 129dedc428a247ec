"""Unit quaternions (w, x, y, z) in arrays, and the few turns that retargeting is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

IDENTITY: Array = np.array([1.0, 0.0, 0.0, 0.0])


def multiply(first: ArrayLike, second: ArrayLike) -> Array:
    """(..., 4) the turn `second` followed by the turn `first`; the shapes broadcast."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    aw, ax, ay, az = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bw, bx, by, bz = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    out = np.empty((*np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), 4))
    out[..., 0] = aw * bw - ax * bx - ay * by - az * bz
    out[..., 1] = aw * bx + ax * bw + ay * bz - az * by
    out[..., 2] = aw * by - ax * bz + ay * bw + az * bx
    out[..., 3] = aw * bz + ax * by - ay * bx + az * bw
    return out


def inverse(turn: ArrayLike) -> Array:
    """(..., 4) the turn back."""
    return np.asarray(turn, dtype=np.float64) * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(turn: ArrayLike, vector: ArrayLike) -> Array:
    """(..., 3) vectors turned; the shapes broadcast."""
    turn, vector = np.asarray(turn, dtype=np.float64), np.asarray(vector, dtype=np.float64)
    axis = turn[..., 1:]
    twice = 2 * np.cross(axis, vector)
    return np.asarray(vector + turn[..., :1] * twice + np.cross(axis, twice))


def unit(vector: ArrayLike) -> Array:
    """(..., n) of length 1; a vector of no length stays 0."""
    vector = np.asarray(vector, dtype=np.float64)
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12))


def across(vector: ArrayLike, axis: ArrayLike) -> Array:
    """The part of `vector` at right angles to the unit vector `axis`."""
    vector, axis = np.asarray(vector, dtype=np.float64), np.asarray(axis, dtype=np.float64)
    return np.asarray(vector - (vector * axis).sum(-1, keepdims=True) * axis)


def from_matrix(matrix: ArrayLike) -> Array:
    """(..., 4) from rotation matrices (..., 3, 3); w is not negative."""
    m = np.asarray(matrix, dtype=np.float64)
    x, y, z = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # The four squares, each four times its own; the largest is the safe one to divide by (Shepperd 1978).
    squares = np.stack([1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z], axis=-1)
    rows = np.empty((*m.shape[:-2], 4, 4))
    products = {
        (0, 1): m[..., 2, 1] - m[..., 1, 2], (0, 2): m[..., 0, 2] - m[..., 2, 0], (0, 3): m[..., 1, 0] - m[..., 0, 1],
        (1, 2): m[..., 1, 0] + m[..., 0, 1], (1, 3): m[..., 0, 2] + m[..., 2, 0], (2, 3): m[..., 2, 1] + m[..., 1, 2],
    }  # fmt: skip
    for i in range(4):
        rows[..., i, i] = squares[..., i]
        for j in range(i + 1, 4):
            rows[..., i, j] = rows[..., j, i] = products[i, j]
    best = squares.argmax(axis=-1)
    out = unit(np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :])
    return np.asarray(np.where(out[..., :1] < 0, -out, out))


def to_matrix(turn: ArrayLike) -> Array:
    """(..., 3, 3) rotation matrices."""
    turn = np.asarray(turn, dtype=np.float64)
    return np.stack([rotate(turn, axis) for axis in np.eye(3)], axis=-1)


def from_frame(first: ArrayLike, second: ArrayLike) -> Array:
    """(4,) the turn that brings y to `first`, and x as near as it can to `second` ((3,) vectors, not parallel)."""
    y = unit(first)
    x = unit(across(second, y))
    return from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))


def smallest(start: ArrayLike, end: ArrayLike) -> Array:
    """(..., 4) the smallest turn from one unit vector to the other; any half turn where they are opposite."""
    start, end = np.broadcast_arrays(np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64))
    cosine = (start * end).sum(-1, keepdims=True)
    out = np.concatenate([1 + cosine, np.cross(start, end)], axis=-1)
    # Opposite: about any axis at right angles to them.
    least = np.eye(3)[np.abs(start).argmin(axis=-1)]
    half = np.concatenate([np.zeros_like(cosine), np.cross(start, least)], axis=-1)
    return unit(np.where(cosine < -1 + 1e-9, half, out))


def about(axis: ArrayLike, angle: ArrayLike) -> Array:
    """(..., 4) the turn by `angle` (...) rad about the unit vector `axis` (..., 3)."""
    half = np.asarray(angle, dtype=np.float64)[..., None] / 2
    part = np.sin(half) * np.asarray(axis, dtype=np.float64)
    return np.concatenate([np.broadcast_to(np.cos(half), (*part.shape[:-1], 1)), part], axis=-1)


def blend(first: ArrayLike, second: ArrayLike, part: ArrayLike) -> Array:
    """(..., 4) `part` of the way from one turn to the other, the short way (spherical). part: broadcasts to (...)."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    cosine = (first * second).sum(-1, keepdims=True)
    second = np.where(cosine < 0, -second, second)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    part = np.asarray(part, dtype=np.float64)[..., None]
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    return unit(
        np.where(near, 1 - part, np.sin((1 - part) * angle) / safe) * first
        + np.where(near, part, np.sin(part * angle) / safe) * second
    )


def continuous(turns: Array) -> Array:
    """(T, ..., 4) the same turns, each with the sign that is nearer to the one before it in time."""
    if len(turns) < 2:
        return turns.copy()
    flips = np.where((turns[1:] * turns[:-1]).sum(-1) < 0, -1.0, 1.0)
    signs = np.concatenate([np.ones((1, *flips.shape[1:])), np.cumprod(flips, axis=0)])
    return np.asarray(turns * signs[..., None])


def angle_between(first: ArrayLike, second: ArrayLike) -> Array:
    """(...) rad between two turns, 0..pi."""
    difference = multiply(inverse(first), second)
    return np.asarray(2 * np.arctan2(np.linalg.norm(difference[..., 1:], axis=-1), np.abs(difference[..., 0])))
