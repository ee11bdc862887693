"""Cutting triangles until they are small enough to carry light at their corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

MAX_EDGE_M = 0.18


@dataclass(frozen=True, eq=False)
class Pieces:
    """Small triangles cut from larger ones.

    Attributes:
        corners: (U, 3, 3) metres.
        normals: (U, 3, 3) unit, interpolated.
        source: (U,) row of the triangle that each piece was cut from.
    """

    corners: Float64[np.ndarray, "U 3 3"]
    normals: Float64[np.ndarray, "U 3 3"]
    source: Int64[np.ndarray, " U"]


def tessellate(corners: Float64[np.ndarray, "T 3 3"], normals: Float64[np.ndarray, "T 3 3"]) -> Pieces:
    """Halve every triangle at its longest edge until no edge is longer than ``MAX_EDGE_M``."""
    # Corner and normal go together: both are halved alike.
    values = np.concatenate([corners, normals], axis=2)
    source = np.arange(len(values))
    done: list[Pieces] = []
    while True:
        edges = np.linalg.norm(np.roll(values[..., :3], -1, axis=1) - values[..., :3], axis=2)
        is_small = edges.max(axis=1) <= MAX_EDGE_M
        done.append(Pieces(values[is_small, :, :3], values[is_small, :, 3:], source[is_small]))
        if is_small.all():
            break
        values = _halved(values[~is_small], edges[~is_small].argmax(axis=1))
        source = np.tile(source[~is_small], 2)
    directions = np.concatenate([pieces.normals for pieces in done])
    return Pieces(
        np.concatenate([pieces.corners for pieces in done]),
        directions / np.linalg.norm(directions, axis=2, keepdims=True),
        np.concatenate([pieces.source for pieces in done]),
    )


def _halved(values: Float64[np.ndarray, "T 3 6"], longest: Int64[np.ndarray, " T"]) -> Float64[np.ndarray, "U 3 6"]:
    """Two triangles for each one, cut at the edge that starts at corner ``longest``."""
    rows = np.arange(len(values))
    start, end, tip = (values[rows, (longest + shift) % 3] for shift in range(3))
    middle = (start + end) / 2
    return np.concatenate([np.stack([start, middle, tip], axis=1), np.stack([middle, end, tip], axis=1)])
