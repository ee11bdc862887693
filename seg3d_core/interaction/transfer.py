"""A mask of one cloud on another cloud of the same scene."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.spatial import cKDTree

from seg3d_core.interaction.rows_kernels import rows_in_box


def transfer_mask(
    points: Float32[np.ndarray, "N 3"],
    mask: Bool[np.ndarray, " N"],
    target: Float32[np.ndarray, "M 3"],
    tolerance_m: float,
) -> Bool[np.ndarray, " M"]:
    """The points of ``target`` whose nearest point among ``points`` is in the mask and at most ``tolerance_m`` away.

    Both in one frame, m. Where a point inside and one outside of the mask are equally near, the point is inside.
    """
    return ObjectPoints.of(points, mask, tolerance_m).mask_on(target, tolerance_m)


class ObjectPoints:
    """An object as a mask leaves it, apart from its cloud: its points, and those around it that are not of it.

    Args:
        points: of the object, m.
        surroundings: points of the scene that are not of the object; those within twice the tolerance decide.
    """

    def __init__(self, points: Float32[np.ndarray, "K 3"], surroundings: Float32[np.ndarray, "S 3"]) -> None:
        self.points, self.surroundings = points, surroundings
        self._trees: tuple[cKDTree, cKDTree] | None = None

    @classmethod
    def of(cls, points: Float32[np.ndarray, "N 3"], mask: Bool[np.ndarray, " N"], tolerance_m: float) -> ObjectPoints:
        """All that is needed of a cloud to know the mask's points on another one, as long as the tolerance is kept.

        A point within the tolerance of the object is nearer to a point beside the object only if that one is within
        twice the tolerance of the object.
        """
        inside = points[mask]
        rows = _rows_around(points, inside, 2 * tolerance_m)
        beside = points[rows[~mask[rows]]]
        return cls(inside, beside[np.isfinite(_distances_m(_tree(inside), beside, 2 * tolerance_m))])

    def mask_on(self, target: Float32[np.ndarray, "M 3"], tolerance_m: float) -> Bool[np.ndarray, " M"]:
        """The points of ``target`` that are nearest to the object and at most ``tolerance_m`` away from it."""
        mask = np.zeros(len(target), np.bool_)
        rows = _rows_around(target, self.points, tolerance_m)
        if not len(rows):
            return mask
        if self._trees is None:
            self._trees = _tree(self.points), _tree(self.surroundings)
        of_object, beside = self._trees
        inside_m = _distances_m(of_object, target[rows], tolerance_m)
        rows, inside_m = rows[inside_m <= tolerance_m], inside_m[inside_m <= tolerance_m]
        # Only what is nearer than the object counts: to look farther takes minutes where everything is far.
        mask[rows] = inside_m <= _distances_m(beside, target[rows], tolerance_m)
        return mask


def _tree(points: Float32[np.ndarray, "K 3"]) -> cKDTree:
    return cKDTree(points, balanced_tree=False)


def _distances_m(tree: cKDTree, points: Float32[np.ndarray, "N 3"], limit_m: float) -> Float64[np.ndarray, " N"]:
    """To the nearest point in the tree; infinite beyond the limit, but for its rounding."""
    distances: Float64[np.ndarray, " N"] = tree.query(points, distance_upper_bound=limit_m * (1 + 1e-6))[0]
    return distances


def _rows_around(
    points: Float32[np.ndarray, "N 3"], box_of: Float32[np.ndarray, "K 3"], margin_m: float
) -> Int64[np.ndarray, " R"]:
    """Rows of the points in the box around others, or at most the margin beside it."""
    if not len(box_of):
        return np.empty(0, np.int64)
    # In double precision: the margin must not be rounded away from a border.
    low, high = box_of.min(axis=0).astype(np.float64), box_of.max(axis=0).astype(np.float64)
    rows: Int64[np.ndarray, " R"] = rows_in_box(points, low - margin_m, high + margin_m)
    return rows
