"""From surface patches to objects: neighbouring patches join along borders that bend little on average.

Felzenszwalb's rule joins two patches through the single lightest edge between them, which leaks wherever noise
happens to be kind. The mean over the whole common border does not: the average linkage of hierarchical clustering,
on the region adjacency graph.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32

from seg3d_core.baselines.region_borders_kernels import (
    border_shares,
    region_borders,
    relabel,
    straightest_neighbours,
)
from seg3d_core.baselines.region_merging_kernels import join_along
from seg3d_core.geometry.superpoints import SurfaceGraph


def merge_regions(graph: SurfaceGraph, labels: Int32[np.ndarray, " S"], max_border: float) -> Int32[np.ndarray, " S"]:
    """Join regions, straightest border first, while the mean weight across one is at most ``max_border``.

    ``labels`` are dense from 0, and so are the returned ones.
    """
    count = int(labels.max(initial=-1)) + 1
    pairs, totals, edges = region_borders(labels, count, graph.a, graph.b, graph.weights)
    joined: Int32[np.ndarray, " S"] = relabel(join_along(pairs, totals, edges, count, max_border), labels)
    return joined


def absorb_slivers(
    graph: SurfaceGraph, labels: Int32[np.ndarray, " S"], border_share: float = 0.8
) -> Int32[np.ndarray, " S"]:
    """Join every region that is nearly all border to the neighbour that it bends least toward.

    In the crease between a box and a table normals point half way: a strip of samples one or two wide that belongs
    to neither. ``labels`` are dense from 0, and so are the returned ones.
    """
    count = int(labels.max(initial=-1)) + 1
    pairs, totals, edges = region_borders(labels, count, graph.a, graph.b, graph.weights)
    # Only solid regions take slivers in; slivers among themselves would join in a circle.
    is_sliver = border_shares(labels, count, graph.a, graph.b) >= border_share
    joined: Int32[np.ndarray, " S"] = relabel(straightest_neighbours(pairs, totals, edges, is_sliver), labels)
    return joined
