"""The id tracker with numpy alone where it turns points into voxels and looks for them, to compare with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seg3d_core.geometry.voxels import voxel_keys
from seg3d_core.tracking.association import IdTracker, _canonical_order
from seg3d_core.types import Instances


class PlainTracker(IdTracker):
    """Passes over every mask, sorts all voxel keys, and looks each track up by itself."""

    def update(self, instances: Instances) -> Instances:
        keys = voxel_keys(instances.cloud.points, self._config.voxel_size_m)
        if instances.cloud.frame_id != self._frame_id:
            self.reset()
            self._frame_id = instances.cloud.frame_id
        seen, point_to_key = np.unique(keys, return_inverse=True)
        found = [voxels_of(mask, point_to_key, len(seen)) for mask in instances.masks]
        there = [np.isin(track.keys, seen) for track in self._tracks]
        known = [np.searchsorted(seen, track.keys[t]) for track, t in zip(self._tracks, there, strict=True)]
        rank = _canonical_order(found)
        ids = self._match(found, rank, seen, known)
        self._name_new(ids, rank, instances.scores)
        self._remember(ids, found, seen, there)
        return replace(instances, instance_ids=ids)


def voxels_of(mask: np.ndarray, point_to_key: np.ndarray, count: int) -> np.ndarray:
    touched = np.zeros(count, bool)
    touched[point_to_key[mask]] = True
    return np.flatnonzero(touched)
