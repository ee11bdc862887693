"""Farthest point sampling and nearest neighbours, in the versions that are obviously right."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64
from scipy.spatial import cKDTree

from seg3d_core.errors import InputError


def farthest_points(points: Float32[np.ndarray, "N 3"], count: int, start: int = 0) -> Int64[np.ndarray, " count"]:
    """Greedy farthest point sampling: each next point is the one farthest from all before it; ties: lowest index.

    Distances are sums of squared float32 differences in x, y, z order, as the CUDA implementations compute them. When
    all remaining points coincide with chosen ones, the lowest index among them repeats.

    Raises:
        InputError: ``count`` or ``start`` does not fit the number of points.
    """
    _check_count("farthest points", count, len(points))
    if not 0 <= start < len(points):
        raise InputError(f"start point {start} is not one of {len(points)} points")
    chosen = np.empty(count, np.int64)
    squared = np.full(len(points), np.inf, np.float32)
    farthest = start
    for i in range(count):
        chosen[i] = farthest
        x, y, z = (points - points[farthest]).T
        squared = np.minimum(squared, x * x + y * y + z * z)
        farthest = int(squared.argmax())
    return chosen


def nearest(
    points: Float32[np.ndarray, "N 3"], queries: Float32[np.ndarray, "M 3"], k: int
) -> tuple[Int64[np.ndarray, "M k"], Float32[np.ndarray, "M k"]]:
    """The ``k`` nearest of ``points`` for each query and their distances (m), nearest first, equal ones by index.

    Exact: distances are differences in double precision. Of more points than fit at the same k-th distance, an
    arbitrary choice is returned.

    Raises:
        InputError: ``k`` does not fit the number of points.
    """
    _check_count("nearest neighbours", k, len(points))
    tree = cKDTree(points, balanced_tree=False)
    distances, indices = tree.query(queries, k=np.arange(1, k + 1))
    order = np.lexsort((indices, distances), axis=1)
    return (
        np.take_along_axis(indices, order, axis=1).astype(np.int64),
        np.take_along_axis(distances, order, axis=1).astype(np.float32),
    )


def _check_count(what: str, count: int, available: int) -> None:
    if not 1 <= count <= available:
        raise InputError(f"{count} {what} were asked of {available} points, from 1 to {available} are possible")
