"""The state that all browsers share: the newest clouds, what is painted on them, and what a click means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from scipy.spatial import cKDTree

from seg3d_core.browser.colouring import Colours, true_colours
from seg3d_core.browser.detail import even_rows
from seg3d_core.browser.pointing import point_under
from seg3d_core.errors import PromptError
from seg3d_core.types import Cloud

LayerName = Literal["cloud", "found", "mask", "accepted"]
"""The cloud to click on, the instances found in it, the object in progress, and the objects that were accepted."""

_SAME_M = 1e-5
"""Points of one snapshot are the same numbers."""

_NEAR = 1.5
"""Over the distance of neighbours: so far an instance of another snapshot reaches."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One cloud that came, and what of it browsers get.

    Attributes:
        cloud: all of it.
        instance_ids: of its points, 0 = none.
        rows: an even subset.
        spacing_m: between neighbouring points of the subset.
    """

    cloud: Cloud
    instance_ids: Int32[np.ndarray, " N"]
    rows: Int64[np.ndarray, " R"]
    spacing_m: float

    @classmethod
    def of(cls, cloud: Cloud, instance_ids: Int32[np.ndarray, " N"] | None, max_points: int) -> Layer:
        """With at most ``max_points`` for browsers."""
        ids = np.zeros(len(cloud), np.int32) if instance_ids is None else instance_ids
        return cls(cloud, ids, *even_rows(cloud.points, max_points))

    @property
    def is_whole(self) -> bool:
        """Browsers get every point."""
        return len(self.rows) == len(self.cloud)


@dataclass(frozen=True)
class PlacedClick:
    """A click in the scene.

    Attributes:
        point: m, in the frame of the cloud.
        is_foreground: on the object, or beside it.
        frame_id: of the cloud that was clicked on.
        stamp_ns: of that cloud.
    """

    point: tuple[float, float, float]
    is_foreground: bool
    frame_id: str
    stamp_ns: int


class LiveView:
    """Belongs to one thread.

    Args:
        max_points: of a cloud that browsers get.
    """

    def __init__(self, max_points: int) -> None:
        self._max_points = max_points
        self.layers: dict[LayerName, Layer] = {}
        self.revision = 0
        """Another number after everything that is to be seen."""
        self.colours: Colours = "instances"
        self.excludes = False
        """What a plain click means: beside the object."""
        self.clicked: PlacedClick | None = None
        self.message = ""

    @property
    def base(self) -> Layer | None:
        """What is shown and clicked on: the cloud or, where none comes, the one that instances were found in."""
        return self.layers.get("cloud") or self.layers.get("found")

    def take(self, name: LayerName, cloud: Cloud, instance_ids: Int32[np.ndarray, " N"] | None = None) -> None:
        """Another cloud came; ``instance_ids``: of its points, 0 = none."""
        self.layers[name] = Layer.of(cloud, instance_ids, self._max_points)
        if name == "mask" and not len(cloud):
            self.clicked = None
        self.revision += 1

    def set_colours(self, colours: Colours) -> None:
        """How the cloud is coloured."""
        self.colours = colours
        self.revision += 1

    def click(
        self, origin: Float64[np.ndarray, "3"], direction: Float64[np.ndarray, "3"], is_foreground: bool
    ) -> PlacedClick:
        """What a click means, as a ray (m, in the cloud's frame).

        Raises:
            PromptError: there is no cloud yet, or no point of it under the cursor.
        """
        if self.base is None:
            raise PromptError("there is no cloud to click on yet")
        cloud = self.base.cloud
        place = point_under(cloud.points, origin, direction, self.base.spacing_m)
        self.clicked = PlacedClick(place, is_foreground, cloud.frame_id, cloud.stamp_ns)
        self.revision += 1
        return self.clicked

    def true_rgb(self, rows: Int64[np.ndarray, " P"]) -> Float32[np.ndarray, "P 3"]:
        """Colours (0..1) of points of the base, grey where it has none."""
        part = self._shown.cloud.select(rows)
        # A result has the colours of its instances.
        return true_colours(part if "cloud" in self.layers else Cloud(part.points))

    def selected(self, rows: Int64[np.ndarray, " P"]) -> Bool[np.ndarray, " P"] | None:
        """Which points of the base are of the object in progress; None while there is none."""
        mask = self._fitting("mask")
        if mask is None or not len(mask.cloud):
            return None
        reach_m = _SAME_M if mask.cloud.stamp_ns == self._shown.cloud.stamp_ns else self._shown.spacing_m
        return _nearest(mask.cloud.points, self._shown.cloud.points[rows], reach_m) >= 0

    def instance_ids(self, rows: Int64[np.ndarray, " P"]) -> Int32[np.ndarray, " P"]:
        """Ids of points of the base, 0 = none: what was accepted, and else what was found."""
        ids = np.zeros(len(rows), np.int32)
        for layer in (self._fitting("found"), self._fitting("accepted")):
            if layer is None:
                continue
            of_object = layer.rows[layer.instance_ids[layer.rows] > 0]
            reach_m = _NEAR * max(layer.spacing_m, self._shown.spacing_m)
            nearest = _nearest(layer.cloud.points[of_object], self._shown.cloud.points[rows], reach_m)
            has = nearest >= 0
            ids[has] = layer.instance_ids[of_object[nearest[has]]]
        return ids

    def misfits(self) -> list[str]:
        """Why what came is not shown: it is in another frame than the cloud."""
        base = self.base
        return [
            f"{name} is in frame {layer.cloud.frame_id!r}, the cloud in {base.cloud.frame_id!r}: it is not shown"
            for name, layer in self.layers.items()
            if base is not None and len(layer.cloud) and layer.cloud.frame_id != base.cloud.frame_id
        ]

    @property
    def _shown(self) -> Layer:
        assert self.base is not None, "something is shown"
        return self.base

    def _fitting(self, name: LayerName) -> Layer | None:
        """A layer, if it came and is in the frame of what is shown."""
        layer = self.layers.get(name)
        return layer if layer is not None and layer.cloud.frame_id == self._shown.cloud.frame_id else None


def _nearest(
    points: Float32[np.ndarray, "N 3"], queries: Float32[np.ndarray, "P 3"], reach_m: float
) -> Int64[np.ndarray, " P"]:
    """Row of the point nearest to each query, at most ``reach_m`` away; -1 where there is none."""
    if not len(points):
        return np.full(len(queries), -1, np.int64)
    distance_m, rows = cKDTree(points).query(queries, distance_upper_bound=reach_m)
    found: Int64[np.ndarray, " P"] = np.where(np.isfinite(distance_m), rows, -1)
    return found
