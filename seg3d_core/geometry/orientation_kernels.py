"""Compiled loops of ``orientation``: a spanning forest over which normals agree."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def agreeing_signs(
    normals: np.ndarray, a: np.ndarray, b: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) root and (N,) sign of each normal against its root's, along the spanning forest that ``order`` builds.

    Union-find with parity: ``sign`` holds the relation to the parent. Edges between normals at a right angle, or with
    an undefined (zero) one, join nothing: they do not say which signs agree.
    """
    count = len(normals)
    parent = np.arange(count)
    size = np.ones(count, np.int64)
    sign = np.ones(count, np.int8)
    for e in order:
        dot = np.float64(0)
        for c in range(3):
            dot += normals[a[e], c] * normals[b[e], c]
        if dot == 0:
            continue
        i, same_a = _root(parent, sign, a[e])
        j, same_b = _root(parent, sign, b[e])
        if i == j:
            continue
        if size[i] < size[j]:
            i, j = j, i
        parent[j] = i
        size[i] += size[j]
        sign[j] = same_a * same_b * (1 if dot > 0 else -1)
    roots = np.empty(count, np.int64)
    signs = np.empty(count, np.int8)
    for v in range(count):
        roots[v], signs[v] = _root(parent, sign, v)
    return roots, signs


@njit(cache=True, nogil=True)
def _root(parent: np.ndarray, sign: np.ndarray, i: int) -> tuple[int, int]:
    """Root of ``i`` and its sign against it. No path is compressed: trees joined by size are at most log2 N deep."""
    same = 1
    while parent[i] != i:
        same *= sign[i]
        i = parent[i]
    return i, same
