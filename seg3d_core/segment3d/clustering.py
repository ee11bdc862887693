"""Density-based clustering (DBSCAN, Ester et al. 1996) of many subsets of one cloud."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32, Int64

from seg3d_core.geometry.voxels import voxel_keys
from seg3d_core.segment3d.clustering_kernels import cluster_members, neighbour_lists

_MARGIN = 1 + 1e-9
"""Of the edge of a search cell over the radius, so that rounding never puts neighbours two cells apart."""


class DensityClusters:
    """Exact DBSCAN. Neighbours are found once for the whole cloud, every subset reuses them.

    Subsets are clustered one at a time: one object serves one thread.
    """

    def __init__(self, points: Float32[np.ndarray, "V 3"], eps_m: float, min_samples: int) -> None:
        """Find the neighbours of all ``points`` (m) within ``eps_m``, inclusive.

        Raises:
            InputError: a point is not finite, or more than 2^20 times ``eps_m`` from the origin.
        """
        keys = voxel_keys(points, eps_m * _MARGIN)
        order = np.argsort(keys, kind="stable")
        self._offsets, self._indices = neighbour_lists(points, keys[order], order, eps_m)
        self._slots = np.full(len(points), -1, np.int32)
        self._min_samples = min_samples

    def labels(self, members: Int64[np.ndarray, " M"]) -> Int32[np.ndarray, " M"]:
        """Cluster 0..C-1 of each of ``members`` (distinct rows of the cloud), ``IGNORE`` for noise.

        A member is in the core of a cluster if ``min_samples`` members, itself included, are near it. Clusters are
        numbered by their first core member; members on the border of several belong to the first.
        """
        labels: Int32[np.ndarray, " M"] = cluster_members(
            members, self._offsets, self._indices, self._min_samples, self._slots
        )
        return labels
