"""Cutting triangles until they are small enough to carry light at their corners."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

MAX_EDGE_M = 0.18


def tessellate(
    corners: Float64[np.ndarray, "T 3 3"], normals: Float64[np.ndarray, "T 3 3"]
) -> tuple[Float64[np.ndarray, "U 3 3"], Float64[np.ndarray, "U 3 3"]]:
    """Halve every triangle at its longest edge until no edge is longer than ``MAX_EDGE_M``; normals go along."""
    done: list[tuple[np.ndarray, np.ndarray]] = []
    while len(corners):
        edges = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
        is_small = edges.max(axis=1) <= MAX_EDGE_M
        done.append((corners[is_small], normals[is_small]))
        longest = edges[~is_small].argmax(axis=1)
        corners, normals = (_halved(values[~is_small], longest) for values in (corners, normals))
    pieces = np.concatenate([piece for piece, _ in done])
    directions = np.concatenate([normal for _, normal in done])
    return pieces, directions / np.linalg.norm(directions, axis=2, keepdims=True)


def _halved(values: Float64[np.ndarray, "T 3 3"], longest: np.ndarray) -> Float64[np.ndarray, "U 3 3"]:
    """Two triangles for each one, cut at the edge that starts at corner ``longest``."""
    rows = np.arange(len(values))
    start, end, tip = (values[rows, (longest + shift) % 3] for shift in range(3))
    middle = (start + end) / 2
    return np.concatenate([np.stack([start, middle, tip], axis=1), np.stack([middle, end, tip], axis=1)])
