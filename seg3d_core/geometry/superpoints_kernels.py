"""Compiled loops of ``superpoints``: edges of a neighbour graph, their weights, and Felzenszwalb's union-find."""

from __future__ import annotations

import numpy as np
from numba import njit

_INWARD_COS = -0.05
"""A bend counts as inward when the normals close up along the edge by this cosine; about 0 they turn sideways, which
happens along every crease and says nothing."""


@njit(cache=True, nogil=True)
def undirected_edges(neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(E,) a and (E,) b: every neighbour pair once, a < b, in the order of a."""
    count, k = neighbours.shape
    a = np.empty(count * k, np.int32)
    b = np.empty(count * k, np.int32)
    edges = 0
    for i in range(count):
        for t in range(k):
            j = neighbours[i, t]
            if j < 0:
                continue
            # The pair is emitted by its lower end where that one lists it, by the upper end otherwise.
            listed = False
            if j < i:
                for s in range(k):
                    if neighbours[j, s] == i:
                        listed = True
                        break
            if not listed:
                a[edges] = min(i, j)
                b[edges] = max(i, j)
                edges += 1
    return a[:edges], b[:edges]


@njit(cache=True, nogil=True)
def find(parent: np.ndarray, i: int) -> int:
    """Root of ``i``; halves the path on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _join(parent: np.ndarray, sizes: np.ndarray, x: int, y: int) -> int:
    """Join two roots, the larger stays root (the lower index on a tie)."""
    if sizes[x] < sizes[y] or (sizes[x] == sizes[y] and y < x):
        x, y = y, x
    parent[y] = x
    sizes[x] += sizes[y]
    return x


@njit(cache=True, nogil=True)
def felzenszwalb(
    count: int, a: np.ndarray, b: np.ndarray, weights: np.ndarray, order: np.ndarray, k: float, min_size: int
) -> np.ndarray:
    """(N,) int32 root of each of ``count`` vertices; ``order`` sorts the edges by weight.

    Felzenszwalb & Huttenlocher 2004; then components below ``min_size`` join along the lightest edge that leaves them.
    """
    parent = np.arange(count).astype(np.int32)
    sizes = np.ones(count, np.int32)
    threshold = np.full(count, k, np.float64)
    # Only what the first pass leaves apart can join in the second.
    apart = np.empty(len(order), np.int32)
    left = 0
    for e in order:
        x, y = find(parent, a[e]), find(parent, b[e])
        if x == y:
            continue
        if weights[e] <= threshold[x] and weights[e] <= threshold[y]:
            x = _join(parent, sizes, x, y)
            threshold[x] = weights[e] + k / sizes[x]
        else:
            apart[left] = e
            left += 1
    for e in apart[:left]:
        x, y = find(parent, a[e]), find(parent, b[e])
        if x != y and (sizes[x] < min_size or sizes[y] < min_size):
            _join(parent, sizes, x, y)
    for i in range(count):
        parent[i] = find(parent, i)
    return parent


@njit(cache=True, nogil=True)
def dense_labels(roots: np.ndarray) -> np.ndarray:
    """(N,) int32 labels 0, 1, ... of ``roots``, which are 0..N-1, in order of first appearance."""
    number = np.full(len(roots), -1, np.int32)
    labels = np.empty(len(roots), np.int32)
    used = 0
    for i in range(len(roots)):
        if number[roots[i]] < 0:
            number[roots[i]] = used
            used += 1
        labels[i] = number[roots[i]]
    return labels


@njit(cache=True, nogil=True)
def mesh_edges(
    vertices: np.ndarray, normals: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three directed edges per triangle and their weights by the rule of the ScanNet Segmentator."""
    count = len(triangles)
    a = np.empty(3 * count, np.int32)
    b = np.empty(3 * count, np.int32)
    weights = np.empty(3 * count, np.float32)
    for t in range(count):
        for side, (first, second) in enumerate(((0, 1), (0, 2), (2, 1))):
            p, q = triangles[t, first], triangles[t, second]
            dot = ahead = square = np.float32(0)
            for c in range(3):
                step = vertices[q, c] - vertices[p, c]
                dot += normals[p, c] * normals[q, c]
                ahead += step * normals[q, c]
                square += step * step
            weight = np.float32(1) - dot
            a[3 * t + side], b[3 * t + side] = p, q
            # The sign of the step decides, so its length need not be divided out.
            weights[3 * t + side] = weight * weight if ahead > 0 else weight
    return a, b, weights


@njit(cache=True, nogil=True)
def face_normal_means(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) float32 mean of the unit normals of the faces around each vertex; zero-area faces count as zero."""
    sums = np.zeros((len(vertices), 3), np.float64)
    counts = np.zeros(len(vertices), np.int64)
    for t in range(len(triangles)):
        p, q, r = vertices[triangles[t, 0]], vertices[triangles[t, 1]], vertices[triangles[t, 2]]
        ux, uy, uz = np.float64(q[0]) - p[0], np.float64(q[1]) - p[1], np.float64(q[2]) - p[2]
        vx, vy, vz = np.float64(r[0]) - p[0], np.float64(r[1]) - p[1], np.float64(r[2]) - p[2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = np.sqrt(x * x + y * y + z * z)
        scale = 1.0 / length if length > 0 else 0.0
        for corner in triangles[t]:
            sums[corner, 0] += x * scale
            sums[corner, 1] += y * scale
            sums[corner, 2] += z * scale
            counts[corner] += 1
    means = np.zeros((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        for c in range(3):
            means[i, c] = sums[i, c] / max(counts[i], 1)
    return means


@njit(cache=True, nogil=True)
def bends(points: np.ndarray, normals: np.ndarray, a: np.ndarray, b: np.ndarray, convex_weight: float) -> np.ndarray:
    """(E,) float32 1 - cos between the normals of each edge's ends, times ``convex_weight`` unless they close up.

    Undefined (zero) normals bend nothing: a wire holds together.
    """
    weights = np.empty(len(a), np.float32)
    for e in range(len(a)):
        i, j = a[e], b[e]
        own = other = dot = spread = turn = step = 0.0
        for c in range(3):
            own += normals[i, c] * normals[i, c]
            other += normals[j, c] * normals[j, c]
            dot += normals[i, c] * normals[j, c]
            between = points[j, c] - points[i, c]
            change = normals[j, c] - normals[i, c]
            spread += change * between
            turn += change * change
            step += between * between
        if own < 0.5 or other < 0.5:
            weights[e] = 0.0
            continue
        bend = max(0.0, 1.0 - dot)
        inward = spread < _INWARD_COS * np.sqrt(turn * step)
        weights[e] = bend if inward else bend * convex_weight
    return weights
