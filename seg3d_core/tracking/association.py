"""Instance ids that stay: every result is matched with what is known of the same, growing scene.

An instance is remembered as the set of voxels it occupies, in the frame of the map. Two results rarely cover the same
region (the map grows, the camera looks elsewhere), so overlap is measured only where both have looked: what is out of
view is not gone, and what is new does not count against growth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, Integer
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from seg3d_core.config import TrackingConfig
from seg3d_core.geometry.sorting_kernels import compact_keys, group_of_each, group_starts, radix_order
from seg3d_core.geometry.voxels import voxel_keys
from seg3d_core.tracking.ids import next_tracked_id
from seg3d_core.tracking.voxel_sets_kernels import merge_disjoint, voxels_of_labels, voxels_of_masks
from seg3d_core.types import Instances

VoxelSet: TypeAlias = Int64[np.ndarray, " _"]
"""Sorted voxels without repetition: keys, or positions among the keys of one result."""

_CONTAINED = 0.7
"""Share of the smaller of two instances inside the larger at which they are one that grew or shrank."""

_EVIDENCE = 0.1
"""Share of the smaller one that must overlap at all: a shared voxel at the edge of the view proves nothing."""

_AGE_BONUS = 1e-9
"""Advantage, per place in the order of age, that lets the older of two equal tracks win."""


@dataclass(frozen=True, eq=False)
class _Track:
    """What is known of one id: its voxels (sorted keys), and how often it was looked for in vain."""

    instance_id: int
    keys: VoxelSet
    misses: int = 0


class IdTracker:
    """Gives instances the ids of the instances that they overlap most in the results before, one to one.

    When an instance falls apart the part with the larger overlap keeps the id; when instances merge the id of the
    larger one stays, of the older one if they are equal. New ids count up from 1, past those that people give
    (``ACCEPTED_IDS``), and are never given twice, not even after ``reset``. An id not found where its voxels were seen
    again is forgotten after ``patience`` such results; an id out of view is kept. Ids depend neither on the order of
    instances nor on the order of points.
    """

    def __init__(self, config: TrackingConfig) -> None:
        self._config = config
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget all instances; the next result gets fresh ids."""
        self._tracks: list[_Track] = []
        self._seen = np.zeros(0, np.int64)
        self._frame_id: str | None = None

    def update(self, instances: Instances) -> Instances:
        """``instances`` with stable ids, in the same order. A change of ``frame_id`` resets first.

        Raises:
            InputError: a point is too far from the origin for a voxel number; the tracker is unchanged.
        """
        point_keys = voxel_keys(instances.cloud.points, self._config.voxel_size_m)
        if instances.cloud.frame_id != self._frame_id:
            self.reset()
            self._frame_id = instances.cloud.frame_id
        compact = compact_keys(point_keys)
        order = radix_order(compact)
        starts = group_starts(compact, order)
        seen = point_keys[order[starts[:-1]]]
        found = _voxels_of(instances, order, starts)
        known = _places([track.keys for track in self._tracks], seen)
        rank = _canonical_order(found)
        ids = self._match(found, rank, seen, [places for places, _ in known])
        self._name_new(ids, rank, instances.scores)
        self._remember(ids, found, seen, [there for _, there in known])
        return instances.with_ids(ids)

    def _match(
        self,
        found: list[VoxelSet],
        rank: Int64[np.ndarray, " Q"],
        seen: Int64[np.ndarray, " V"],
        known: list[VoxelSet],
    ) -> Int32[np.ndarray, " Q"]:
        """Ids of the tracks that instances continue, 0 for new ones.

        Positions in ``seen`` are what instances have (``found``) and what is there of each track (``known``).
        """
        ids = np.zeros(len(found), np.int32)
        if not found or not self._tracks:
            return ids
        was_seen = np.zeros(len(seen), bool)
        was_seen[_places([self._seen], seen)[0][0]] = True
        was_seen[np.concatenate(known)] = True
        overlap = _Overlap.between(known, [keys[was_seen[keys]] for keys in found], len(seen))
        smaller = np.minimum.outer([len(track.keys) for track in self._tracks], [len(keys) for keys in found])
        affinity = np.where(overlap.shared >= _EVIDENCE * smaller, overlap.affinity(self._config.min_iou), 0.0)[:, rank]
        # Squares let one good match outweigh two poor ones. Tracks are in order of age.
        gain = affinity**2 * (1 - _AGE_BONUS * np.arange(len(affinity)))[:, None]
        rows, columns = linear_sum_assignment(gain, maximize=True)
        for row, column in zip(rows, columns, strict=True):
            if affinity[row, column] > 0:
                ids[rank[column]] = self._tracks[row].instance_id
        return ids

    def _name_new(
        self, ids: Int32[np.ndarray, " Q"], rank: Int64[np.ndarray, " Q"], scores: Float32[np.ndarray, " Q"]
    ) -> None:
        """Fresh ids in place of zeros: best score first, then the larger, then the one first in space."""
        for row in rank[np.argsort(-scores[rank], kind="stable")]:
            if ids[row] == 0:
                ids[row] = self._last_id = next_tracked_id(self._last_id)

    def _remember(
        self,
        ids: Int32[np.ndarray, " Q"],
        found: list[VoxelSet],
        seen: Int64[np.ndarray, " V"],
        there: list[Bool[np.ndarray, " _"]],
    ) -> None:
        """Keep the tracks that go on. ``there`` says which voxels of each track are in ``seen``."""
        now = {int(instance_id): seen[keys] for instance_id, keys in zip(ids, found, strict=True)}
        tracks = []
        for track, in_view in zip(self._tracks, there, strict=True):
            out_of_view = track.keys[~in_view]
            if track.instance_id in now:
                keys = merge_disjoint(out_of_view, now.pop(track.instance_id))
                tracks.append(_Track(track.instance_id, keys))
                continue
            looked_for = 2 * len(out_of_view) < len(track.keys)
            missed = replace(track, misses=track.misses + looked_for)
            if missed.misses < self._config.patience:
                tracks.append(missed)
        # What has no voxel can never be found again, nor be seen to be gone.
        tracks += [_Track(instance_id, keys) for instance_id, keys in sorted(now.items()) if len(keys)]
        self._tracks, self._seen = tracks, seen


@dataclass(frozen=True, eq=False)
class _Overlap:
    """Voxels shared by every track (rows) and every instance (columns), where both could be seen."""

    shared: Float64[np.ndarray, "T Q"]
    track_sizes: Integer[np.ndarray, "T 1"]
    found_sizes: Integer[np.ndarray, "1 Q"]

    @classmethod
    def between(cls, known: list[VoxelSet], found: list[VoxelSet], count: int) -> _Overlap:
        a, b = _incidence(known, count), _incidence(found, count)
        return cls((a @ b.T).toarray(), np.diff(a.indptr)[:, None], np.diff(b.indptr)[None, :])

    def affinity(self, min_iou: float) -> Float64[np.ndarray, "T Q"]:
        """Intersection over union from ``min_iou`` on; below it containment counts, but less than any overlap."""
        iou = self.shared / np.maximum(self.track_sizes + self.found_sizes - self.shared, 1)
        contained = self.shared / np.maximum(np.minimum(self.track_sizes, self.found_sizes), 1)
        by_containment = np.where(contained >= _CONTAINED, min_iou * np.maximum(iou, 1e-3), 0.0)
        affinity: Float64[np.ndarray, "T Q"] = np.where(iou >= min_iou, iou, by_containment)
        return affinity


def _incidence(rows: list[VoxelSet], count: int) -> csr_array:
    pointers = np.cumsum([0, *(len(row) for row in rows)])
    columns = np.concatenate(rows)
    return csr_array((np.ones(len(columns)), columns, pointers), shape=(len(rows), count))


def _places(sets: list[VoxelSet], seen: VoxelSet) -> list[tuple[VoxelSet, Bool[np.ndarray, " _"]]]:
    """Of each set: positions in ``seen`` of those of its keys that are there, and which those are.

    By bisection: a result has many times the voxels of a track, and np.isin would sort them all for every track.
    """
    keys = np.concatenate([np.zeros(0, np.int64), *sets])
    places = np.searchsorted(seen, keys)
    is_there = np.zeros(len(keys), bool)
    inside = places < len(seen)
    is_there[inside] = seen[places[inside]] == keys[inside]
    cuts = np.cumsum([0, *(len(keys) for keys in sets)]).tolist()
    parts = [slice(*ends) for ends in pairwise(cuts)]
    return [(places[part][is_there[part]], is_there[part]) for part in parts]


def _voxels_of(instances: Instances, order: Int32[np.ndarray, " N"], starts: Int64[np.ndarray, " _"]) -> list[VoxelSet]:
    """Sorted voxel numbers that each instance touches; ``order`` and ``starts`` group the points by voxel."""
    if instances.partition is not None:
        voxels, begins = voxels_of_labels(instances.partition, len(instances), order, starts)
    else:
        voxels, begins = voxels_of_masks(instances.masks, group_of_each(order, starts), len(starts) - 1)
    return [voxels[begin:end] for begin, end in pairwise(begins.tolist())]


def _canonical_order(found: list[VoxelSet]) -> Int64[np.ndarray, " Q"]:
    """Instances by size, then by their voxels in space: an order that does not depend on the given one."""
    return np.array(sorted(range(len(found)), key=lambda q: (-len(found[q]), found[q].tobytes())), np.int64)
