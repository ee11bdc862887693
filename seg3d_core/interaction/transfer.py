"""A mask of one cloud on another cloud of the same scene."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from scipy.spatial import cKDTree


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
        beside = points[_within(points, inside, 2 * tolerance_m) & ~mask]
        if len(inside) and len(beside):
            distance, _ = _tree(inside).query(beside, distance_upper_bound=2 * tolerance_m * (1 + 1e-6))
            beside = beside[np.isfinite(distance)]
        return cls(inside, beside)

    def mask_on(self, target: Float32[np.ndarray, "M 3"], tolerance_m: float) -> Bool[np.ndarray, " M"]:
        """The points of ``target`` that are nearest to the object and at most ``tolerance_m`` away from it."""
        mask = _within(target, self.points, tolerance_m)
        near = target[mask]
        if not len(near):
            return mask
        if self._trees is None:
            self._trees = _tree(self.points), _tree(self.surroundings)
        inside, beside = (tree.query(near, distance_upper_bound=np.inf)[0] for tree in self._trees)
        mask[mask] = (inside <= tolerance_m) & (inside <= beside)
        return mask


def _tree(points: Float32[np.ndarray, "K 3"]) -> cKDTree:
    return cKDTree(points, balanced_tree=False)


def _within(
    points: Float32[np.ndarray, "N 3"], box_of: Float32[np.ndarray, "K 3"], margin_m: float
) -> Bool[np.ndarray, " N"]:
    """Which points lie in the box around others, or at most the margin beside it."""
    inside = np.full(len(points), len(box_of) > 0)
    if len(box_of):
        # In double precision: the margin must not be rounded away from a border.
        low, high = box_of.min(axis=0).astype(np.float64), box_of.max(axis=0).astype(np.float64)
        for axis in range(3):
            values = points[:, axis]
            inside &= (values >= low[axis] - margin_m) & (values <= high[axis] + margin_m)
    return inside
