"""What a forward pass needs to know of the voxels before any feature is computed.

Everything here may wait for the device; nothing after it does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from seg3d_core.errors import InputError
from seg3d_core.segment3d.queries import query_voxels
from seg3d_core.segment3d_config import Segment3DConfig
from seg3d_core.sparse.tensor import SparseTensor

COARSER_LEVELS = 4
"""Levels of the backbone below full resolution."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The voxels of one scene of a batch at one level.

    Attributes:
        rows: a slice where they follow each other, which then are read without a copy.
        count: their number.
    """

    rows: slice | Int64[Tensor, " _"]
    count: int

    def of(self, values: Float[Tensor, "V C"] | Int64[Tensor, " V"]) -> Float[Tensor, "_ C"] | Int64[Tensor, " _"]:
        """The rows of this scene."""
        own: Tensor = values[self.rows]
        return own

    def sample(self, limit: int) -> Scene:
        """At most ``limit`` of the voxels, drawn at random; torch's own generator, as dropout would."""
        if self.count <= limit:
            return self
        rows = self.rows
        device = None if isinstance(rows, slice) else rows.device
        drawn = torch.randperm(self.count, device=device)[:limit]
        return Scene(drawn + rows.start if isinstance(rows, slice) else rows[drawn], limit)


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of each scene: of its voxels the number, dense from 0, and of each segment the number of voxels."""

    numbers: list[Int64[Tensor, " _"]]
    sizes: list[Int64[Tensor, " _"]]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the scenes of a batch are.

    Attributes:
        levels: the scenes at stride 1, 2, 4, 8 and 16.
        query_voxels: of each scene (Q,), the voxels (rows within the scene) on which the queries stand.
        segments: what masks consist of instead of voxels, or None.
    """

    levels: list[list[Scene]]
    query_voxels: list[Int64[Tensor, " Q"]]
    segments: Segments | None


def lay_out(
    x: SparseTensor,
    xyz: Float[Tensor, "N 3"],
    config: Segment3DConfig,
    voxel_to_segment: Int64[Tensor, " M"] | None = None,
    num_queries: int | None = None,
) -> Layout:
    """Check a batch, make the voxels of all its levels, and place the queries; see ``Segment3DNetwork.forward``.

    Raises:
        InputError: ``x`` has no voxels, a scene of the batch has none, or a number of rows or segments is wrong.
    """
    if len(x) == 0:
        raise InputError("0 voxels, a scene needs at least 1")
    if len(xyz) != len(x):
        raise InputError(f"{len(xyz)} places for {len(x)} voxels")
    count = int(x.coordinates[:, 0].max()) + 1
    scenes = _scenes(x.coordinates[:, 0], count)
    empty = [i for i, scene in enumerate(scenes) if scene.count == 0]
    if empty:
        raise InputError(f"scenes {empty} of a batch of {count} have 0 voxels, each needs at least 1")
    segments = None if voxel_to_segment is None else _segments(scenes, len(x), voxel_to_segment)
    coarser = [x.maps.coarser(2**level)[:, 0] for level in range(COARSER_LEVELS)]
    levels = [scenes, *(_scenes(batch, count) for batch in coarser)]
    wanted = config.num_queries if num_queries is None else num_queries
    queries = [query_voxels(x.coordinates[scene.rows, 1:], wanted, config.farthest_point_ties) for scene in scenes]
    return Layout(levels, queries, segments)


def present(scenes: list[Scene], device: torch.device) -> Bool[Tensor, "B K"]:
    """False in the padding that brings all scenes to the length of the largest."""
    places = torch.arange(max(scene.count for scene in scenes), device=device)
    return torch.stack([places < scene.count for scene in scenes])


def _scenes(batch: Tensor, count: int) -> list[Scene]:
    if count == 1:
        return [Scene(slice(0, len(batch)), len(batch))]
    rows = [(batch == i).nonzero()[:, 0] for i in range(count)]
    return [Scene(own, len(own)) for own in rows]


def _segments(scenes: list[Scene], voxels: int, voxel_to_segment: Int64[Tensor, " M"]) -> Segments:
    if len(voxel_to_segment) != voxels:
        raise InputError(f"{len(voxel_to_segment)} segment numbers for {voxels} voxels")
    numbers = [scene.of(voxel_to_segment) for scene in scenes]
    sizes = []
    for own in numbers:
        if int(own.min()) < 0:
            raise InputError(f"segment number {int(own.min())}, they count from 0")
        counted = torch.bincount(own)
        if not bool(counted.all()):
            raise InputError(f"segment {int(counted.argmin())} of {len(counted)} has 0 voxels, each needs at least 1")
        sizes.append(counted)
    return Segments(numbers, sizes)
