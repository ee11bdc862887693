"""Footprints of things: convex outlines seen from above, flat tops, and how far apart two of them must be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.spatial import ConvexHull, QhullError

from seg3d_core.data.rooms.items import Item

_FLAT_M = 0.0015
_BASE_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class Footprint:
    """A thing on the table, about the middle of its bounds.

    Attributes:
        outline: (V, 2) convex hull from above, counter-clockwise, m.
        base: (B, 2) hull of what touches the ground; one point or a line where it is round.
        top: (C, 2) hull of its highest plane, likewise.
        height_m: from ground to top.
    """

    outline: Float64[np.ndarray, "V 2"]
    base: Float64[np.ndarray, "B 2"]
    top: Float64[np.ndarray, "C 2"]
    height_m: float

    @property
    def has_base(self) -> bool:
        """Whether it stands firmly: a ball or a lying can does not."""
        return _area(self.base) > _BASE_SHARE * _area(self.outline)

    @property
    def has_top(self) -> bool:
        """Whether another thing can stand on it."""
        return _area(self.top) > _BASE_SHARE * _area(self.outline)


def footprint(item: Item, angle: float) -> Footprint:
    """Of an item on z = 0 whose middle is the origin, turned by ``angle`` (rad) about z."""
    vertices = np.concatenate([part.mesh.vertices for part in item.parts])
    low, high = item.bounds()
    flat = vertices[:, :2] - (low + high)[:2] / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    flat = flat @ np.array([[cosine, sine], [-sine, cosine]])
    is_low, is_high = vertices[:, 2] < low[2] + _FLAT_M, vertices[:, 2] > high[2] - _FLAT_M
    return Footprint(_hull(flat), _hull(flat[is_low]), _hull(flat[is_high]), float(high[2]))


def clearance(
    one: Float64[np.ndarray, "V 2"], other: Float64[np.ndarray, "W 2"]
) -> tuple[Float64[np.ndarray, "F 2"], Float64[np.ndarray, " F"]]:
    """Half planes (unit normals, offsets m) of the moves by which ``other`` still overlaps ``one``.

    A move v is clear by at least ``max(normals @ v - offsets)`` metres; overlapping if that is negative.
    """
    hull = ConvexHull((one[:, None] - other[None]).reshape(-1, 2))
    return hull.equations[:, :2], -hull.equations[:, 2]


def contact(one: Float64[np.ndarray, "V 2"], other: Float64[np.ndarray, "W 2"], angle: float) -> float:
    """How far (m) ``other`` must be moved towards ``angle`` (rad) until it only just touches ``one``, 0 if clear."""
    normals, offsets = clearance(one, other)
    speed = normals @ np.array([np.cos(angle), np.sin(angle)])
    leaves = speed > 1e-9
    return max(float((offsets[leaves] / speed[leaves]).min()), 0.0)


def holds(top: Float64[np.ndarray, "C 2"], base: Float64[np.ndarray, "B 2"], least_share: float = 0.55) -> bool:
    """Whether a thing stands: its base's middle is over the top, and so is this share of points all over the base."""
    hull = ConvexHull(top)
    middle = (base.min(axis=0) + base.max(axis=0)) / 2
    spread = np.concatenate([middle + share * (base - middle) for share in (0.0, 0.35, 0.7, 1.0)])
    inside = (spread @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-6).all(axis=1)
    return bool(inside[: 2 * len(base)].all() and inside.mean() >= least_share)


def _hull(points: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "H 2"]:
    """The corners of the convex hull; the points themselves where they have none."""
    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except (QhullError, ValueError):
        return points


def _area(outline: Float64[np.ndarray, "H 2"]) -> float:
    x, y = outline.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
