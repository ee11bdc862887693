"""Region merging in plain Python, to compare with: heapq, and one dictionary of borders per region."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from seg3d_core.geometry.superpoints import SurfaceGraph


@dataclass(frozen=True)
class _Border:
    """Sum of the edge weights across a common border, and their number."""

    total: float
    edges: int

    @property
    def mean(self) -> float:
        return self.total / self.edges

    def __add__(self, other: _Border) -> _Border:
        return _Border(self.total + other.total, self.edges + other.edges)


_Borders = list[dict[int, _Border]]


def merge_regions(graph: SurfaceGraph, labels: Int32[np.ndarray, " S"], max_border: float) -> Int32[np.ndarray, " S"]:
    """Join regions, straightest border first, while the mean weight across one is at most ``max_border``.

    ``labels`` are dense from 0, and so are the returned ones.
    """
    borders = _adjacency(graph, labels)
    parent = list(range(len(borders)))
    queue = [(border.mean, x, y) for x, row in enumerate(borders) for y, border in row.items() if x < y]
    heapq.heapify(queue)
    while queue:
        mean, x, y = heapq.heappop(queue)
        if mean > max_border:
            break
        border = borders[x].get(y)
        # An entry is stale once either region has been joined away or their border has grown.
        if border is None or border.mean != mean:
            continue
        if len(borders[x]) < len(borders[y]):
            x, y = y, x
        parent[y] = x
        for z in _take_over(borders, x, y):
            heapq.heappush(queue, (borders[x][z].mean, min(x, z), max(x, z)))
    return _relabel(parent, labels)


def absorb_slivers(
    graph: SurfaceGraph, labels: Int32[np.ndarray, " S"], border_share: float = 0.8
) -> Int32[np.ndarray, " S"]:
    """Join every region that is nearly all border to the neighbour that it bends least toward.

    In the crease between a box and a table normals point half way: a strip of samples one or two wide that belongs
    to neither. ``labels`` are dense from 0, and so are the returned ones.
    """
    borders = _adjacency(graph, labels)
    crossing = labels[graph.a] != labels[graph.b]
    on_border = np.zeros(len(labels), bool)
    on_border[graph.a[crossing]] = on_border[graph.b[crossing]] = True
    shares = np.bincount(labels, on_border) / np.bincount(labels)
    parent = list(range(len(borders)))
    # Only solid regions take slivers in; slivers among themselves would join in a circle.
    for x in np.flatnonzero(shares >= border_share).tolist():
        solid = [(border.mean, y) for y, border in borders[x].items() if shares[y] < border_share]
        if solid:
            parent[x] = min(solid)[1]
    return _relabel(parent, labels)


def _adjacency(graph: SurfaceGraph, labels: Int32[np.ndarray, " S"]) -> _Borders:
    count = int(labels.max(initial=-1)) + 1
    low, high = np.sort([labels[graph.a], labels[graph.b]], axis=0).astype(np.int64)
    crossing = low != high
    pairs, pair_of_edge = np.unique(low[crossing] * count + high[crossing], return_inverse=True)
    totals = np.bincount(pair_of_edge, graph.weights[crossing], len(pairs))
    edges = np.bincount(pair_of_edge, minlength=len(pairs))
    borders: _Borders = [{} for _ in range(count)]
    for pair, total, number in zip(pairs.tolist(), totals.tolist(), edges.tolist(), strict=True):
        x, y = divmod(pair, count)
        borders[x][y] = borders[y][x] = _Border(total, number)
    return borders


def _take_over(borders: _Borders, x: int, y: int) -> list[int]:
    """Give all borders of ``y`` to ``x``; returns the regions whose border with ``x`` changed."""
    del borders[x][y], borders[y][x]
    changed = list(borders[y])
    for z in changed:
        border = borders[z].pop(y)
        if x in borders[z]:
            border = border + borders[z][x]
        borders[x][z] = borders[z][x] = border
    borders[y].clear()
    return changed


def _relabel(parent: list[int], labels: Int32[np.ndarray, " S"]) -> Int32[np.ndarray, " S"]:
    roots = np.array(parent, np.int64)
    while (roots[roots] != roots).any():
        roots = roots[roots]
    joined: Int32[np.ndarray, " R"] = np.unique(roots, return_inverse=True)[1].astype(np.int32)
    relabelled: Int32[np.ndarray, " S"] = joined[labels]
    return relabelled
