"""Groups of points, given as one number a point, and how they overlap."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32, Int64

from seg3d_core.types import IGNORE


def group_sizes(labels: Int32[np.ndarray, " N"]) -> Int64[np.ndarray, " G"]:
    """(G,) points of groups 0..G-1, with G - 1 the greatest number."""
    return np.bincount(labels[labels >= 0], minlength=int(labels.max(initial=IGNORE)) + 1).astype(np.int64)


def compacted(labels: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
    """The same groups, dense from 0 in the order of their numbers; ``IGNORE`` stays."""
    used = group_sizes(labels) > 0
    numbers = np.append(np.cumsum(used) - 1, IGNORE).astype(np.int32)
    return np.asarray(numbers[labels])


def without_small(labels: Int32[np.ndarray, " N"], fewest: int) -> Int32[np.ndarray, " N"]:
    """Points of groups with fewer points are in none; the others keep their numbers."""
    large = np.append(group_sizes(labels) >= fewest, False)
    return np.where(large[labels], labels, np.int32(IGNORE))


def best_overlaps(
    a: Int32[np.ndarray, " N"], b: Int32[np.ndarray, " N"], b_sizes: Int64[np.ndarray, " H"], min_overlap: float
) -> Int32[np.ndarray, " G"]:
    """(G,) group of ``b`` that each group of ``a`` has most points in common with; of equal ones the lowest number.

    ``IGNORE`` where there is none, or where the points in common are less than ``min_overlap`` of the smaller group.

    Args:
        a, b: groups of the same points; ``IGNORE`` for none.
        b_sizes: points of the groups of ``b``, which may have more than these N.
        min_overlap: share of the smaller group, 0..1.
    """
    sizes = group_sizes(a)
    best = np.full(len(sizes), IGNORE, np.int32)
    both = (a >= 0) & (b >= 0)
    pairs, counts = np.unique(a[both].astype(np.int64) * len(b_sizes) + b[both], return_counts=True)
    mine, theirs = np.divmod(pairs, max(len(b_sizes), 1))
    # Ascending count, and among equal counts descending number: the last one written stays.
    order = np.lexsort((-theirs, counts))
    most = np.full(len(sizes), IGNORE)
    most[mine[order]] = order
    chosen = most[most >= 0]
    enough = chosen[counts[chosen] >= min_overlap * np.minimum(sizes[mine[chosen]], b_sizes[theirs[chosen]])]
    best[mine[enough]] = theirs[enough]
    return best
