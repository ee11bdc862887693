"""Clouds larger than memory: overlapping tiles, segmented one at a time, and their instances joined again.

Two tiles join what both of them see in the strip that they share: proposals whose intersection over union there is
``join_iou`` or more. What only touches a border has nothing in common in the strip and stays two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from seg3d_core.errors import InputError
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.tiling_kernels import unite
from seg3d_core.segment3d_config import TilingConfig
from seg3d_core.stages import stage

_LEAST_PART = 0.25
"""Of the length of a piece that is cut."""

Rows = Int64[np.ndarray, " _"]
"""Ascending rows of the cloud."""


@dataclass(frozen=True, eq=False)
class TileProposals:
    """What was found in one tile.

    Attributes:
        rows: ascending rows of the cloud that the tile holds.
        proposals: on these rows, numbered from 0.

    Raises:
        InputError: the proposals are on another number of rows.
    """

    rows: Rows
    proposals: Proposals

    def __post_init__(self) -> None:
        if self.proposals.num_rows != len(self.rows):
            raise InputError(f"proposals on {self.proposals.num_rows} rows for a tile of {len(self.rows)}")


def segment_in_tiles(
    xyz: Float32[np.ndarray, "V 3"], segment_tile: Callable[[Rows], Proposals], config: TilingConfig
) -> Proposals:
    """Proposals on all V rows, best score first; of a cloud that fits into one tile, those of ``segment_tile``.

    Memory: ``segment_tile`` never gets more than ``max_voxels`` rows. Beside it the tiles and what was found are
    kept, about 60 B for every row of every tile and 40 B for every member of every proposal.

    Args:
        xyz: a point of each voxel, m.
        segment_tile: finds proposals on the rows it is given (ascending), numbered from 0 in that order.
        config: size and overlap of tiles.

    Raises:
        InputError: see ``split_tiles``; or ``segment_tile`` answers for another number of rows.
    """
    tiles = [TileProposals(rows, segment_tile(rows)) for rows in split_tiles(xyz, config)]
    if len(tiles) == 1:
        return tiles[0].proposals
    with stage("postprocess"):
        return merge_tiles(tiles, len(xyz), config.join_iou)


def split_tiles(xyz: Float32[np.ndarray, "V 3"], config: TilingConfig) -> list[Rows]:
    """Rows of each tile: columns, the cloud cut across the floor until every piece, with its margin, is small enough.

    Networks are trained with columns, and what stands on a floor is not understood without it: so z, which is up, is
    cut only where a column is no wider than the overlap. Neighbours share a strip of ``overlap_m``, half of it on
    either side of the cut. Which points are together does not depend on their order. No points are one tile without
    rows.

    Raises:
        InputError: a coordinate is not finite, or so many voxels are together that strips alone fill a tile.
    """
    if not np.isfinite(xyz).all():
        raise InputError(f"{int((~np.isfinite(xyz).all(axis=1)).sum())} of {len(xyz)} points are not finite")
    whole = _Box(np.full(3, -np.inf), np.full(3, np.inf))
    return _halved(xyz, np.arange(len(xyz)), whole, config)


@dataclass(frozen=True, eq=False)
class _Box:
    """Half-open on every axis, m."""

    lower: Float64[np.ndarray, "3"]
    upper: Float64[np.ndarray, "3"]

    def holds(self, xyz: Float32[np.ndarray, "V 3"], margin_m: float = 0.0) -> Bool[np.ndarray, " V"]:
        inside = (xyz >= self.lower - margin_m) & (xyz < self.upper + margin_m)
        return np.asarray(inside.all(axis=1))

    def cut(self, axis: int, at_m: float) -> tuple[_Box, _Box]:
        upper, lower = self.upper.copy(), self.lower.copy()
        upper[axis] = lower[axis] = at_m
        return _Box(self.lower, upper), _Box(lower, self.upper)


def _halved(xyz: Float32[np.ndarray, "V 3"], rows: Rows, box: _Box, config: TilingConfig) -> list[Rows]:
    """Tiles of what ``box`` holds; ``rows`` are those in it and in its margin."""
    if len(rows) <= config.max_voxels:
        return [rows]
    points = xyz[rows]
    core = points[box.holds(points)].astype(np.float64)
    axis = _cut_axis(np.ptp(core, axis=0), len(rows), config)
    cut_m = _cut_place(core[:, axis])
    halves = []
    for half in box.cut(axis, cut_m):
        halves += _halved(xyz, rows[half.holds(points, config.overlap_m / 2)], half, config)
    return halves


def _cut_axis(extent: Float64[np.ndarray, "3"], count: int, config: TilingConfig) -> int:
    """The longer side of the base; the height where both are within the overlap."""
    axis = int(extent[:2].argmax())
    if extent[axis] <= config.overlap_m:
        axis = 2
    if extent[axis] <= config.overlap_m:
        raise InputError(
            f"{count} voxels lie within {config.overlap_m:g} m (overlap_m) of a piece of {extent.max():.3g} m; "
            f"tiles hold at most {config.max_voxels} (max_voxels): raise it, or lower the overlap"
        )
    return axis


def _cut_place(values: Float64[np.ndarray, " C"]) -> float:
    """The median, but not near the ends: where a wall has most of the points there is nothing behind it."""
    low, high = float(values.min()), float(values.max())
    end = _LEAST_PART * (high - low)
    return float(np.clip(np.partition(values, len(values) // 2)[len(values) // 2], low + end, high - end))


def merge_tiles(tiles: Sequence[TileProposals], num_rows: int, join_iou: float) -> Proposals:
    """One result from those of overlapping tiles, whatever their order.

    Between two tiles every proposal joins at most one other: pairs are taken by intersection over union in the rows
    that both tiles hold, then by their scores. Joined proposals become their union; its score is the mean weighted by
    their numbers of rows, the probability of a row the greatest.
    """
    tiles = sorted(tiles, key=lambda tile: tile.rows.astype(">i8").tobytes())
    first = np.cumsum([0] + [len(tile.proposals) for tile in tiles])
    pairs = [np.empty((0, 2), np.int64)]
    for a, b in _neighbours(tiles, num_rows):
        pairs.append(_joins(tiles[a], tiles[b], join_iou) + first[[a, b]])
    joined = np.concatenate(pairs)
    graph = coo_array((np.ones(len(joined), np.bool_), tuple(joined.T)), shape=(first[-1], first[-1]))
    return _unions(tiles, connected_components(graph, directed=False)[1].astype(np.int64), num_rows)


def _neighbours(tiles: Sequence[TileProposals], num_rows: int) -> list[tuple[int, int]]:
    """Pairs of tiles that share rows."""
    lengths = np.cumsum([0] + [len(tile.rows) for tile in tiles])
    rows = np.concatenate([tile.rows for tile in tiles])
    holds = csr_array((np.ones(len(rows), np.int32), rows, lengths), shape=(len(tiles), num_rows))
    shared = coo_array(holds @ holds.T)
    return [(int(a), int(b)) for a, b in zip(*np.nonzero(shared.toarray()), strict=True) if a < b]


def _joins(one: TileProposals, other: TileProposals, join_iou: float) -> Int64[np.ndarray, "J 2"]:
    """Pairs (proposal of one, proposal of the other) that are the same thing."""
    _, in_one, in_other = np.intersect1d(one.rows, other.rows, assume_unique=True, return_indices=True)
    shared_one, shared_other = _restricted(one, in_one), _restricted(other, in_other)
    overlap = coo_array(shared_one @ shared_other.T)
    a, b, both = overlap.row, overlap.col, overlap.data
    either = shared_one.sum(axis=1)[a] + shared_other.sum(axis=1)[b] - both
    iou = both / either
    scores = one.proposals.scores[a].astype(np.float64) + other.proposals.scores[b]
    sizes = one.proposals.sizes[a] + other.proposals.sizes[b]
    order = np.lexsort((b, a, -sizes, -scores, -iou))
    return _one_to_one(np.column_stack([a, b])[order[iou[order] >= join_iou]].astype(np.int64))


def _restricted(tile: TileProposals, shared: Int64[np.ndarray, " S"]) -> csr_array:
    """Which proposal holds which of the ``shared`` rows of the tile: (F, S) ones."""
    found = tile.proposals
    holds = csr_array(
        (np.ones(len(found.members), np.int32), found.members, found.offsets), shape=(len(found), found.num_rows)
    )
    return holds[:, shared]


def _one_to_one(pairs: Int64[np.ndarray, "J 2"]) -> Int64[np.ndarray, "K 2"]:
    """The pairs of which neither side is in an earlier one."""
    taken: tuple[set[int], set[int]] = (set(), set())
    kept = []
    for a, b in pairs.tolist():
        if a not in taken[0] and b not in taken[1]:
            taken[0].add(a)
            taken[1].add(b)
            kept.append((a, b))
    return np.array(kept, np.int64).reshape(-1, 2)


def _unions(tiles: Sequence[TileProposals], group: Int64[np.ndarray, " F"], num_rows: int) -> Proposals:
    """Proposals of the same ``group`` as one."""
    found = [tile.proposals for tile in tiles]
    sizes = np.concatenate([proposals.sizes for proposals in found])
    scores = np.concatenate([proposals.scores for proposals in found])
    groups = int(group.max(initial=-1)) + 1
    total = np.bincount(group, sizes * scores.astype(np.float64), groups) / np.bincount(group, sizes, groups)
    members = np.concatenate([tile.rows[tile.proposals.members] for tile in tiles])
    probabilities = _probabilities(found)
    offsets, united, entries = unite(
        np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))]),
        np.argsort(group, kind="stable"),
        np.concatenate([[0], np.cumsum(sizes)]),
        members,
        np.empty(0, np.float32) if probabilities is None else probabilities,
        num_rows,
    )
    kept = None if probabilities is None else probabilities[entries]
    merged = Proposals(total.astype(np.float32), offsets, united, num_rows, kept)
    return merged.select(np.argsort(-merged.scores, kind="stable"))


def _probabilities(found: Sequence[Proposals]) -> Float32[np.ndarray, " M"] | None:
    known = [proposals.probabilities for proposals in found]
    present = [values for values in known if values is not None]
    return np.concatenate(present) if len(present) == len(known) else None
