"""Compiled loops over the borders of regions: which regions touch, and how much they bend toward each other."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def region_borders(
    labels: np.ndarray, count: int, a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B, 2) int32 regions that touch, lower first; (B,) sums of the edge weights between them and (B,) edge numbers.

    ``labels`` are 0..``count`` - 1. Sums are added in the order of the edges.
    """
    starts, crossing = _crossing_edges(labels, count, a, b)
    pairs = np.empty((len(crossing), 2), np.int32)
    totals = np.zeros(len(crossing), np.float64)
    edges = np.zeros(len(crossing), np.int64)
    border_of = np.full(count, -1, np.int64)
    borders = 0
    for low in range(count):
        first = borders
        for t in range(starts[low], starts[low + 1]):
            e = crossing[t]
            high = max(labels[a[e]], labels[b[e]])
            # Numbers below the first belong to the neighbours of an earlier region.
            if border_of[high] < first:
                border_of[high] = borders
                pairs[borders, 0], pairs[borders, 1] = low, high
                borders += 1
            totals[border_of[high]] += weights[e]
            edges[border_of[high]] += 1
    return pairs[:borders], totals[:borders], edges[:borders]


@njit(cache=True, nogil=True)
def _crossing_edges(labels: np.ndarray, count: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges between regions, by the lower region and then as given, and where each region's begin."""
    starts = np.zeros(count + 2, np.int64)
    found = np.empty(len(a), np.int32)
    number = 0
    for e in range(len(a)):
        x, y = labels[a[e]], labels[b[e]]
        if x != y:
            found[number] = e
            number += 1
            starts[min(x, y) + 2] += 1
    for region in range(2, count + 2):
        starts[region] += starts[region - 1]
    ordered = np.empty(number, np.int32)
    for t in range(number):
        e = found[t]
        low = min(labels[a[e]], labels[b[e]])
        ordered[starts[low + 1]] = e
        starts[low + 1] += 1
    return starts[: count + 1], ordered


@njit(cache=True, nogil=True)
def border_shares(labels: np.ndarray, count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(R,) share of each region's samples that have an edge to another region; NaN for a region without samples."""
    on_border = np.zeros(len(labels), np.bool_)
    for e in range(len(a)):
        if labels[a[e]] != labels[b[e]]:
            on_border[a[e]] = on_border[b[e]] = True
    sizes = np.zeros(count, np.int64)
    touching = np.zeros(count, np.int64)
    for i in range(len(labels)):
        sizes[labels[i]] += 1
        touching[labels[i]] += on_border[i]
    return touching / sizes


@njit(cache=True, nogil=True)
def straightest_neighbours(
    pairs: np.ndarray, totals: np.ndarray, edges: np.ndarray, is_sliver: np.ndarray
) -> np.ndarray:
    """(R,) int32 of each sliver the region, no sliver itself, that it bends least toward; other regions themselves."""
    target = np.arange(len(is_sliver)).astype(np.int32)
    least = np.full(len(is_sliver), np.inf)
    for border in range(len(pairs)):
        x, y = pairs[border, 0], pairs[border, 1]
        if is_sliver[x] == is_sliver[y]:
            continue
        sliver, solid = (x, y) if is_sliver[x] else (y, x)
        mean = totals[border] / edges[border]
        if mean < least[sliver] or (mean == least[sliver] and solid < target[sliver]):
            least[sliver], target[sliver] = mean, solid
    return target


@njit(cache=True, nogil=True)
def relabel(parent: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(S,) int32 root of each label's region in ``parent``, numbered densely from 0 in the order of the roots."""
    number = np.zeros(len(parent), np.int32)
    roots = 0
    for region in range(len(parent)):
        if parent[region] == region:
            number[region] = roots
            roots += 1
    for region in range(len(parent)):
        root = region
        while parent[root] != root:
            parent[root] = parent[parent[root]]
            root = parent[root]
        number[region] = number[root]
    joined = np.empty(len(labels), np.int32)
    for i in range(len(labels)):
        joined[i] = number[labels[i]]
    return joined
