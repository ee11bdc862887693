"""Which points of one instance belong together: what hangs together, or what is nearest along the surface."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from seg3d_core.geometry.voxels import Voxels, voxelize

_VOXELS_IN_GAP = 2.0
"""Distances are looked at between voxels so much smaller than the gap: dense clouds cost no more than thin ones."""


def hanging_together(points: Float32[np.ndarray, "M 3"], gap_m: float, fewest: int) -> Int32[np.ndarray, " M"]:
    """Part of each point, the largest first: parts are farther apart than about ``gap_m``.

    Parts with fewer points than ``fewest`` belong to the nearest of the others; all is one part if there are only such.
    """
    voxels, graph, places = _surface(points, gap_m)
    _, part_of_voxel = connected_components(graph, directed=False)
    parts = part_of_voxel[voxels.point_to_voxel]
    sizes = np.bincount(parts)
    large = np.flatnonzero(sizes >= fewest)
    if len(large) < 2:
        return np.zeros(len(points), np.int32)
    order = large[np.argsort(-sizes[large], kind="stable")]
    rank = np.full(len(sizes), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    found: Int32[np.ndarray, " M"] = _filled(rank[part_of_voxel], places)[voxels.point_to_voxel]
    return found


def nearest_along_surface(
    points: Float32[np.ndarray, "M 3"], seeds: Float64[np.ndarray, "S 3"], gap_m: float
) -> Int32[np.ndarray, " M"]:
    """Part of each point, the largest first: the seed that is nearest along the surface.

    What hangs together with no seed (see ``hanging_together``) belongs to the part that is nearest in space. Seeds
    that are the same place to the eye, in one voxel of half the gap, are one.
    """
    voxels, graph, places = _surface(points, gap_m)
    starts = np.unique(cKDTree(places).query(seeds)[1])
    _, _, sources = dijkstra(graph, directed=False, indices=starts, min_only=True, return_predecessors=True)
    rank = np.full(len(places) + 1, -1, np.int32)
    rank[starts] = np.arange(len(starts), dtype=np.int32)
    # Voxels that no seed reaches have a negative source.
    of_voxel = _filled(np.where(sources >= 0, rank[sources], -1).astype(np.int32), places)
    parts = of_voxel[voxels.point_to_voxel]
    rank = np.argsort(np.argsort(-np.bincount(parts, minlength=len(starts)), kind="stable")).astype(np.int32)
    ranked: Int32[np.ndarray, " M"] = rank[parts]
    return ranked


def _surface(points: Float32[np.ndarray, "M 3"], gap_m: float) -> tuple[Voxels, csr_array, Float32[np.ndarray, "V 3"]]:
    """Voxels of the points, which of them are neighbours and how far (m), and a point of each."""
    voxels = voxelize(points, gap_m / _VOXELS_IN_GAP)
    places: Float32[np.ndarray, "V 3"] = points[voxels.first_point]
    pairs: Int64[np.ndarray, "E 2"] = cKDTree(places).query_pairs(gap_m, output_type="ndarray")
    # A length of 0 would be no edge.
    lengths = np.maximum(np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1), 1e-6)
    return voxels, csr_array((lengths, (pairs[:, 0], pairs[:, 1])), shape=(len(places), len(places))), places


def _filled(of_voxel: Int32[np.ndarray, " V"], places: Float32[np.ndarray, "V 3"]) -> Int32[np.ndarray, " V"]:
    """Voxels of no part (-1) belong to that of the nearest voxel that has one."""
    has = of_voxel >= 0
    if has.all():
        return of_voxel
    _, nearest = cKDTree(places[has]).query(places[~has])
    filled = of_voxel.copy()
    filled[~has] = of_voxel[has][nearest]
    return filled
