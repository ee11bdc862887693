"""Which side of a surface was seen, where nobody says: in maps without normals, made from many viewpoints.

Neighbouring normals are made to agree along a spanning tree of the straightest edges (Hoppe et al. 1992); then each
connected surface is turned so that what lies flat and low faces up. Floors, table tops and seats are seen from above.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32

from seg3d_core.geometry.orientation_kernels import agreeing_signs
from seg3d_core.geometry.sorting_kernels import radix_order

_FLAT = 0.9
"""Cosine with the vertical of what counts as lying flat."""

_LOW_M = 1.5
"""Flat surfaces higher than this above the lowest ones may be ceilings, seen from below."""


def upward(
    points: Float32[np.ndarray, "N 3"],
    normals: Float32[np.ndarray, "N 3"],
    a: Int32[np.ndarray, " E"],
    b: Int32[np.ndarray, " E"],
) -> Float32[np.ndarray, "N 3"]:
    """``normals`` with their signs made consistent over the edges ``a``-``b``; +z is up.

    A surface without anything flat and low in it is turned to face the middle of the cloud: walls face the room.
    Deterministic; ties between edges are decided by their order.
    """
    if len(points) == 0:
        return normals
    straightness = np.abs(np.einsum("ec,ec->e", normals[a], normals[b]))
    # The bits of floats that are not negative sort as the floats do.
    bends = (np.float32(np.inf).view(np.int32) - straightness.view(np.int32)).astype(np.int64)
    roots, signs = agreeing_signs(normals, a, b, radix_order(bends))
    agreed = normals * signs[:, None].astype(np.float32)
    low = points[:, 2] < np.percentile(points[:, 2], 1) + _LOW_M
    flat = low & (np.abs(normals[:, 2]) > _FLAT)
    votes = np.bincount(roots, np.where(flat, agreed[:, 2], 0), len(points))
    inward = np.einsum("nc,nc->n", agreed, np.median(points, axis=0) - points)
    fallback = np.bincount(roots, inward, len(points))
    turn = np.where(votes != 0, votes, fallback) < 0
    return np.where(turn[roots][:, None], -agreed, agreed)
