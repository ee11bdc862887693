"""Density-based clustering (DBSCAN, Ester et al. 1996) of many subsets of one cloud."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32, Int64

from seg3d_core.geometry.voxels import voxel_keys
from seg3d_core.segment3d.clustering_kernels import cluster_subsets, group_subsets, neighbour_lists
from seg3d_core.segment3d.proposals import Proposals

_MARGIN = 1 + 1e-9
"""Of the edge of a search cell over the radius, so that rounding never puts neighbours two cells apart."""


class DensityClusters:
    """Exact DBSCAN. Neighbours are found once for the whole cloud, every subset reuses them."""

    def __init__(self, points: Float32[np.ndarray, "V 3"], eps_m: float, min_samples: int) -> None:
        """Find the neighbours of all ``points`` (m) within ``eps_m``, inclusive.

        Raises:
            InputError: a point is not finite, or more than 2^20 times ``eps_m`` from the origin.
        """
        keys = voxel_keys(points, eps_m * _MARGIN)
        # In the order of their cells, neighbours in space are neighbours in memory.
        order = np.argsort(keys, kind="stable")
        self._rank = np.empty(len(points), np.int32)
        self._rank[order] = np.arange(len(points), dtype=np.int32)
        self._offsets, self._indices = neighbour_lists(points[order], keys[order], eps_m)
        self._min_samples = min_samples

    def labels(self, members: Int32[np.ndarray, " M"], bounds: Int64[np.ndarray, " _"]) -> Int32[np.ndarray, " M"]:
        """Clusters 0..C-1 of each subset, ``IGNORE`` for noise.

        A member is in the core of a cluster if ``min_samples`` members of its subset, itself included, are near it.
        Clusters are numbered by their first core member; members on the border of several belong to the first.

        Args:
            members: rows of the cloud, distinct in every subset.
            bounds: subset f is ``members[bounds[f]:bounds[f + 1]]``.
        """
        ranks = self._rank[members]
        labels: Int32[np.ndarray, " M"] = cluster_subsets(
            ranks, bounds, self._offsets, self._indices, self._min_samples
        )
        return labels

    def split(self, proposals: Proposals, drop: int) -> Proposals:
        """Each cluster of each proposal (of rows of the cloud) as one of its own, with the score of the whole.

        Noise, and clusters of ``drop`` members or fewer, are left out. Clusters of a proposal follow one another.
        """
        labels = self.labels(proposals.members, proposals.offsets)
        offsets, source, entries = group_subsets(labels, proposals.offsets, drop)
        probabilities = None if proposals.probabilities is None else proposals.probabilities[entries]
        return Proposals(
            proposals.scores[source], offsets, proposals.members[entries], proposals.num_rows, probabilities
        )
