"""Levels of detail: what of a large cloud is sent to browsers, in pieces that are sent again only when they change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int64

from seg3d_core.geometry.thinning import thin
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.interaction.snapping import squared_distances
from seg3d_core.pictures import closing_size_m

OVERVIEW_POINTS = 600_000
"""All of the cloud is shown by at most so many points."""

DETAIL_POINTS = 150_000
"""Around the place that was clicked last, at most so many are shown besides."""

DETAIL_M = 1.0
"""And none that is farther away."""

POINT_SIZE = 0.7
"""Of a point, over the distance of neighbours: viser's size is about a radius, so that surfaces just close."""

POINT_LOOK = {"precision": "float32", "point_shape": "circle", "point_shading": "flat"}
"""Of point clouds in viser's scene."""

_PIECES = 12
"""The longest side of the cloud is so many pieces."""


@dataclass(frozen=True, eq=False)
class Overview:
    """An even subset of a cloud in pieces.

    Attributes:
        pieces: rows of the cloud; all of its points where they are few.
        spacing_m: between neighbouring points that are shown.
        is_whole: whether every point is shown.
    """

    pieces: tuple[Int64[np.ndarray, " _"], ...]
    spacing_m: float
    is_whole: bool

    @cached_property
    def rows(self) -> Int64[np.ndarray, " R"]:
        """Of all pieces, one after another."""
        return np.concatenate(self.pieces)


def even_rows(points: Float32[np.ndarray, "N 3"], most: int) -> tuple[Int64[np.ndarray, " R"], float]:
    """Rows of an even subset, all where they are few, and the distance (m) between neighbours of it."""
    rows = thin(points, most).kept
    return rows, closing_size_m(points[rows]) / 1.7


def overview(points: Float32[np.ndarray, "N 3"], most: int = OVERVIEW_POINTS) -> Overview:
    """What is shown of a cloud; a piece is a cube of it."""
    rows, spacing_m = even_rows(points, most)
    shown = points[rows] - points.min(axis=0)
    cubes = voxelize(shown, max(float(shown.max(initial=0)) / _PIECES, 1e-3)).point_to_voxel
    order = np.argsort(cubes, kind="stable")
    borders = np.flatnonzero(np.diff(cubes[order])) + 1
    return Overview(tuple(np.split(rows[order], borders)), spacing_m, len(rows) == len(points))


def detail(points: Float32[np.ndarray, "N 3"], centre: Float64[np.ndarray, "3"]) -> Int64[np.ndarray, " D"]:
    """Rows of the points around a place: the nearest, up to a limit in number and distance."""
    square = squared_distances(points, centre)
    rows = np.flatnonzero(square <= DETAIL_M**2)
    if len(rows) > DETAIL_POINTS:
        rows = np.sort(rows[np.argpartition(square[rows], DETAIL_POINTS)[:DETAIL_POINTS]])
    return rows
