"""Random fields over an image that change slowly: for borders that wander and holes with round edges."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell_px: float) -> Float32[np.ndarray, "H W"]:
    """Normal values on a grid with ``cell_px`` between its points, interpolated linearly; about 1 at its points.

    Deviation is 1 at the points of the grid and 0.5 to 0.7 between them.
    """
    down, across = _weights(height, cell_px), _weights(width, cell_px)
    grid = rng.standard_normal((down.shape[1], across.shape[1]), np.float32)
    field: Float32[np.ndarray, "H W"] = down @ grid @ across.T
    return field


def highest(field: Float32[np.ndarray, "H W"], share: float) -> Float32[np.ndarray, "H W"]:
    """How far the highest ``share`` (0..1) of the field lies above the rest: 0 below, 1 at the top."""
    if share <= 0:
        return np.zeros_like(field)
    # A coarse sample is enough: quantiles of the whole image take longer than everything else.
    floor = np.float32(np.quantile(field[::4, ::4], 1 - share))
    top = max(float(field.max() - floor), 1e-6)
    return np.maximum(field - floor, np.float32(0)) / np.float32(top)


def _weights(length: int, cell_px: float) -> Float32[np.ndarray, "L G"]:
    """Of each point of the grid at each pixel."""
    place = np.arange(length) / cell_px
    points = np.arange(int(place[-1]) + 2)
    weights: Float32[np.ndarray, "L G"] = np.maximum(0, 1 - np.abs(place[:, None] - points)).astype(np.float32)
    return weights
