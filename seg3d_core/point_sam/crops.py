"""Balls of a large cloud that the network can see at once: where they are, what is in them, how answers get out."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.spatial import cKDTree

from seg3d_core.geometry.thinning import Thinned, thin
from seg3d_core.point_sam.crop_kernels import rows_in_ball
from seg3d_core.point_sam.patches import FEWEST_PATCHES
from seg3d_core.point_sam.predictor import EncodedScene
from seg3d_core.point_sam_config import SceneCropConfig
from seg3d_core.types import Cloud

OUTSIDE_LOGIT = -32.0
"""Of points that the network was not shown: a probability of 1e-14. Networks give logits of some tens at most."""

_LOWEST_LOGIT = -10.0
"""That of background, where a mask prompt says nothing else about any point of a crop."""

_CELLS_PER_RADIUS = 4
_GROWTH = 2.0

_RIM = 0.05
"""Of the radius: what is this close to the border touches it, and goes on where points lie this close beyond."""

_CUT_SHARE, _CUT_POINTS = 0.01, 3
"""More of a mask than this, and at least so many points, go on beyond the border: it is cut."""


@dataclass(frozen=True)
class Place:
    """Where a crop is: a cell of a lattice, so that clicks near each other share one whatever their order.

    Attributes:
        cell: of the centre, in steps of a quarter of the radius from the origin of the cloud's frame.
        radius_m: of the ball, m.
    """

    cell: tuple[int, int, int]
    radius_m: float

    @classmethod
    def around(cls, point_m: Float64[np.ndarray, "3"], radius_m: float) -> Place:
        """The crop of that radius whose centre is nearest to ``point_m``: 0.22 of the radius away at most."""
        x, y, z = np.rint(point_m * (_CELLS_PER_RADIUS / radius_m)).astype(np.int64).tolist()
        return cls((x, y, z), radius_m)

    @property
    def centre_m(self) -> Float64[np.ndarray, "3"]:
        """In the frame of the cloud."""
        centre: Float64[np.ndarray, "3"] = np.array(self.cell, np.float64) * (self.radius_m / _CELLS_PER_RADIUS)
        return centre


def crop_radii(config: SceneCropConfig) -> list[float]:
    """Radii (m) that a crop grows through: each twice the one before, the last the limit."""
    radii = [config.radius_m]
    while radii[-1] < config.max_radius_m:
        radii.append(min(radii[-1] * _GROWTH, config.max_radius_m))
    return radii


@dataclass(frozen=True, eq=False)
class Piece:
    """The points of a crop. M of the cloud's N points lie in it, the network sees K of them.

    Attributes:
        rows: (M,) ascending rows of the cloud.
        thinned: which of them the network sees.
        goes_on: (K,) whether the cloud goes on beyond the border right beside a point; false inside, and at walls of
            the ball that nothing crosses.
    """

    rows: Int64[np.ndarray, " M"]
    thinned: Thinned
    goes_on: Bool[np.ndarray, " K"]

    @property
    def shown(self) -> Int64[np.ndarray, " K"]:
        """Rows of the points that the network sees."""
        rows: Int64[np.ndarray, " K"] = self.rows[self.thinned.kept]
        return rows

    def cuts(self, mask: Bool[np.ndarray, " K"]) -> bool:
        """Whether the object goes on beyond the border."""
        touching = int((mask & self.goes_on).sum())
        return touching >= max(_CUT_POINTS, _CUT_SHARE * int(mask.sum()))

    def bring_in(self, mask_logits: Float32[np.ndarray, " N"]) -> Float32[np.ndarray, " K"]:
        """A mask of the cloud as a prompt; points that the mask knows nothing of get its lowest logit in the crop."""
        values = mask_logits[self.shown]
        unknown = values <= OUTSIDE_LOGIT
        lowest = values[~unknown].min(initial=_LOWEST_LOGIT) if not unknown.all() else _LOWEST_LOGIT
        known: Float32[np.ndarray, " K"] = np.where(unknown, np.float32(lowest), values)
        return known

    def spread(
        self, mask_logits: Float32[np.ndarray, "C K"], beyond: Float32[np.ndarray, "C N"]
    ) -> Float32[np.ndarray, "C N"]:
        """Write masks of the crop into those of the cloud, each point as the nearest one that the network saw."""
        beyond[:, self.rows] = mask_logits[:, self.thinned.nearest]
        return beyond


def cut_out(cloud: Cloud, place: Place, max_points: int) -> Piece | None:
    """The points at ``place``; None if they are too few to be seen. Reads every coordinate of the cloud once or twice.

    A pass over the cloud takes about a nanosecond a point, which is less than the answer takes that has a logit for
    each: an index over the points would not pay.
    """
    rim_m = _RIM * place.radius_m
    rows, rim = rows_in_ball(cloud.points, place.centre_m, place.radius_m, rim_m)
    if len(rows) < FEWEST_PATCHES:
        return None
    points = cloud.points[rows]
    thinned = thin(points, max_points)
    return Piece(rows, thinned, _goes_on(points[thinned.kept], cloud.points[rim], place, rim_m))


def _goes_on(
    shown: Float32[np.ndarray, "K 3"], beyond: Float32[np.ndarray, "R 3"], place: Place, rim_m: float
) -> Bool[np.ndarray, " K"]:
    goes_on = np.zeros(len(shown), np.bool_)
    border = np.flatnonzero(np.linalg.norm(shown - place.centre_m, axis=1) > place.radius_m - rim_m)
    if len(border) and len(beyond):
        distance_m, _ = cKDTree(beyond, balanced_tree=False).query(shown[border], distance_upper_bound=rim_m)
        goes_on[border] = np.isfinite(distance_m)
    return goes_on


@dataclass(frozen=True, eq=False)
class EncodedCrop:
    """A crop that the network has seen.

    Attributes:
        piece: its points.
        scene: what the network made of those it saw.
    """

    piece: Piece
    scene: EncodedScene

    def num_bytes(self) -> int:
        """Memory of all arrays and tensors in it."""
        return _num_bytes(self)


def _num_bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if is_dataclass(value):
        return sum(_num_bytes(getattr(value, field.name)) for field in fields(value))
    return 0
