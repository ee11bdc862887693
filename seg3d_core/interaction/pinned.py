"""Accepted objects as others are told of them, so that they can find them in their own clouds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int32

from seg3d_core.errors import InputError
from seg3d_core.interaction.accepted_instance import AcceptedInstance
from seg3d_core.interaction.transfer import ObjectPoints
from seg3d_core.types import Cloud, Instances


@dataclass(frozen=True, eq=False)
class PinnedObjects:
    """The points of some objects, one object after another, each with the points beside it that are not of it.

    Attributes:
        cloud: all of these points.
        object_ids: (N,) the object that a point is of, or lies beside; positive.
        is_inside: (N,) whether it is of the object.
        scores: (N,) confidence of the object, 0..1.

    Raises:
        InputError: a length disagrees with the cloud, or an id is not positive.
    """

    cloud: Cloud
    object_ids: Int32[np.ndarray, " N"]
    is_inside: Bool[np.ndarray, " N"]
    scores: Float32[np.ndarray, " N"]

    def __post_init__(self) -> None:
        for name in ("object_ids", "is_inside", "scores"):
            if len(getattr(self, name)) != len(self.cloud):
                raise InputError(f"{len(self.cloud)} points but {len(getattr(self, name))} rows of {name}")
        if (self.object_ids <= 0).any():
            raise InputError(f"ids of accepted objects must be positive, the least is {self.object_ids.min()}")

    @classmethod
    def of(cls, accepted: Iterable[AcceptedInstance], frame_id: str, stamp_ns: int) -> PinnedObjects:
        """Accepted objects, all in the frame ``frame_id``."""
        instances = list(accepted)
        parts = [part for each in instances for part in (each.points, each.surroundings)]
        sizes = [len(part) for part in parts]
        ids = np.repeat(np.array([each.instance_id for each in instances], np.int32), 2)
        scores = np.repeat(np.array([each.score for each in instances], np.float32), 2)
        points = np.concatenate(parts) if parts else np.empty((0, 3), np.float32)
        return cls(
            Cloud(points, frame_id=frame_id, stamp_ns=stamp_ns),
            np.repeat(ids, sizes),
            np.repeat(np.arange(len(parts)) % 2 == 0, sizes),
            np.repeat(scores, sizes),
        )

    def on(self, cloud: Cloud, reach_m: float) -> Instances:
        """The objects on another cloud of the same frame, by id; those that it does not show have an empty mask.

        A point is of an object if it is nearest to one of its points, and at most ``reach_m`` away.

        Raises:
            InputError: the cloud is in another frame.
        """
        if cloud.frame_id != self.cloud.frame_id:
            raise InputError(f"the cloud is in frame {cloud.frame_id!r}, accepted objects in {self.cloud.frame_id!r}")
        ids, first = np.unique(self.object_ids, return_index=True)
        masks = [found.mask_on(cloud.points, reach_m) for found in self._objects]
        stacked = np.stack(masks) if masks else np.empty((0, len(cloud)), np.bool_)
        return Instances(cloud, stacked, self.scores[first], ids.astype(np.int32))

    @cached_property
    def _objects(self) -> list[ObjectPoints]:
        """By id; each keeps its search trees."""
        points = self.cloud.points
        rows = [self.object_ids == number for number in np.unique(self.object_ids)]
        return [ObjectPoints(points[own & self.is_inside], points[own & ~self.is_inside]) for own in rows]
