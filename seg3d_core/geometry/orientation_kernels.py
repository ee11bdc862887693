"""Compiled loop of ``orientation``: a spanning forest over which normals agree."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def agreeing_signs(
    normals: np.ndarray, a: np.ndarray, b: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) root and (N,) sign of each normal against its root's, along the spanning forest that ``order`` builds.

    Union-find with parity: ``sign`` holds the relation to the parent.
    """
    count = len(normals)
    parent = np.arange(count)
    size = np.ones(count, np.int64)
    sign = np.ones(count, np.int8)
    for e in order:
        i, j = a[e], b[e]
        same = 1
        # Walk up without compressing: trees joined by size are at most log2 N deep.
        while parent[i] != i:
            same *= sign[i]
            i = parent[i]
        while parent[j] != j:
            same *= sign[j]
            j = parent[j]
        if i == j:
            continue
        dot = 0.0
        for c in range(3):
            dot += normals[a[e], c] * normals[b[e], c]
        if size[i] < size[j]:
            i, j = j, i
        parent[j] = i
        size[i] += size[j]
        sign[j] = same if dot >= 0 else -same
    roots = np.empty(count, np.int64)
    signs = np.empty(count, np.int8)
    for v in range(count):
        i = v
        total = 1
        while parent[i] != i:
            total *= sign[i]
            i = parent[i]
        roots[v] = i
        signs[v] = total
    return roots, signs
