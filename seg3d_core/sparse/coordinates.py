"""What all layers of a network share about one input: voxels of every level and the maps between them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import numpy as np
import torch
from jaxtyping import Int32, Int64

from seg3d_core.errors import ConfigError, InputError
from seg3d_core.sparse.kernel_maps import (
    TABLE_CELLS,
    KernelMap,
    RowLookup,
    TableLookup,
    centred_map,
    lookup,
    neighbour_table,
    strided_map,
)
from seg3d_core.sparse.keys import KeySpace
from seg3d_core.sparse.pair_tiles import PairTiles

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Parents:
    """Where voxels of one level lie in the next coarser one.

    Attributes:
        rows: (V,) row of the parent.
        slots: (V,) place in the parent, dx + 2 dy + 4 dz: the row of a kernel of size 2.
        children: (W,) number of voxels in each parent.
    """

    rows: Int64[torch.Tensor, " V"]
    slots: Int64[torch.Tensor, " V"]
    children: Int64[torch.Tensor, " W"]

    @property
    def count(self) -> int:
        """Number of parents."""
        return len(self.children)


class _Level:
    """The voxels of one stride and their keys."""

    def __init__(self, coordinates: Int32[torch.Tensor, "V 4"], stride: int, table_cells: int) -> None:
        self.coordinates = coordinates
        self.space = KeySpace.enclosing(coordinates, stride)
        self.keys = self.space.pack(coordinates)
        self._table_cells = table_cells

    @cached_property
    def rows(self) -> RowLookup:
        return lookup(self.keys, self.space, self._table_cells)


class CoordinateMaps:
    """Caches, per stride and kernel, what depends on the voxels alone; built when first asked for.

    Levels are made by ``coarser`` and stay: a decoder finds the very rows that its encoder had. Rows of coarser levels
    are in ascending order of batch, x, y, z.

    Raises:
        InputError: voxels occur twice, or are out of range.
    """

    def __init__(self, coordinates: Int32[torch.Tensor, "V 4"], table_cells: int = TABLE_CELLS) -> None:
        self._table_cells = table_cells
        self._levels = {1: _Level(coordinates, 1, table_cells)}
        self._parents: dict[int, Parents] = {}
        self._kernel_maps: dict[tuple[int, int, int], KernelMap] = {}
        self._derived: dict[Hashable, object] = {}
        ordered = self._levels[1].keys.sort().values
        repeated = int((ordered[1:] == ordered[:-1]).sum())
        if repeated:
            raise InputError(f"{repeated} of {len(coordinates)} voxels occur more than once")

    @property
    def strides(self) -> list[int]:
        """Strides of the levels made so far, ascending."""
        return sorted(self._levels)

    def coordinates(self, stride: int) -> Int32[torch.Tensor, "V 4"]:
        """Voxels of a level.

        Raises:
            ConfigError: no layer has made that level.
        """
        return self._level(stride).coordinates

    def coarser(self, stride: int) -> Int32[torch.Tensor, "W 4"]:
        """Voxels of the level after ``stride``: every voxel of twice the edge that holds one."""
        self.parents(stride)
        return self.coordinates(2 * stride)

    def parents(self, stride: int) -> Parents:
        """Parents of the voxels of ``stride`` in the level of twice the stride."""
        if stride not in self._parents:
            self._parents[stride] = self._make_parents(stride)
        return self._parents[stride]

    def centred(self, stride: int, kernel_size: int) -> KernelMap:
        """Map of a kernel of odd size that leaves the voxels as they are."""
        key = (stride, stride, kernel_size)
        if key not in self._kernel_maps:
            level = self._level(stride)
            self._kernel_maps[key] = centred_map(level.keys, level.space, level.rows, kernel_size)
        return self._kernel_maps[key]

    def down(self, stride: int, kernel_size: int = 2) -> KernelMap:
        """Map of a kernel from the level of ``stride`` to the next coarser one."""
        key = (stride, 2 * stride, kernel_size)
        if key not in self._kernel_maps:
            self._kernel_maps[key] = (
                self._children(stride) if kernel_size == 2 else self._make_strided(stride, kernel_size)
            )
        return self._kernel_maps[key]

    def up(self, stride: int) -> KernelMap:
        """Map of a transposed kernel of size 2 from the level of twice ``stride`` to that of ``stride``."""
        key = (2 * stride, stride, 2)
        if key not in self._kernel_maps:
            self._kernel_maps[key] = self.down(stride).transposed
        return self._kernel_maps[key]

    def pairs(self, stride: int, to_stride: int, kernel_size: int) -> KernelMap:
        """Map of a kernel between two levels: ``centred``, ``down`` or ``up``."""
        if to_stride == stride:
            return self.centred(stride, kernel_size)
        return self.down(stride, kernel_size) if to_stride > stride else self.up(to_stride)

    def tiles(self, stride: int, to_stride: int, kernel_size: int) -> PairTiles:
        """What ``pairs`` says in the order of a CPU's work; kernel size 1 joins rows with themselves."""
        return self.cached(
            ("tiles", stride, to_stride, kernel_size), lambda: self._tiles(stride, to_stride, kernel_size)
        )

    def neighbours(self, stride: int, kernel_size: int, to_stride: int) -> Int32[torch.Tensor, "K3 W"]:
        """Row of the level of ``stride`` under each kernel row and voxel of the level of ``to_stride``; -1 where none.

        What ``centred`` and ``down`` say in lists, without waiting for the device for each of them. Not kept.
        """
        level = self._level(stride)
        keys = level.keys if to_stride == stride else level.space.pack(self.coordinates(to_stride))
        return neighbour_table(keys, level.space, level.rows, kernel_size)

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """What an engine derives from the voxels alone, made when it is first asked for."""
        if key not in self._derived:
            self._derived[key] = make()
        return cast(T, self._derived[key])

    def _level(self, stride: int) -> _Level:
        if stride not in self._levels:
            raise ConfigError(f"there is no level of stride {stride}, only of {', '.join(map(str, self.strides))}")
        return self._levels[stride]

    def _make_parents(self, stride: int) -> Parents:
        fine = self._level(stride).coordinates
        keys = KeySpace.enclosing(fine, 2 * stride).pack(fine)
        unique, rows, children = torch.unique(keys, return_inverse=True, return_counts=True)
        bits = fine[:, 1:].div(stride, rounding_mode="floor").bitwise_and(1)
        slots = (bits[:, 0] + 2 * bits[:, 1] + 4 * bits[:, 2]).long()
        positions = fine.clone()
        positions[:, 1:] -= bits * stride
        # Every child writes the same coordinates to its parent's row.
        coarse = fine.new_empty(len(unique), 4).index_copy_(0, rows, positions)
        self._levels.setdefault(2 * stride, _Level(coarse, 2 * stride, self._table_cells))
        return Parents(rows, slots, children)

    def _tiles(self, stride: int, to_stride: int, kernel_size: int) -> PairTiles:
        if to_stride < stride:
            return self.tiles(to_stride, stride, kernel_size).transposed
        if to_stride > stride and kernel_size == 2:
            parents = self.parents(stride)
            rows = np.arange(len(parents.rows))
            return PairTiles.sort(parents.slots.numpy(), rows, parents.rows.numpy(), (len(rows), parents.count), 8)
        level = self._level(stride)
        if kernel_size == 1:
            rows = np.arange(len(level.keys))
            return PairTiles.sort(np.zeros_like(rows), rows, rows, (len(rows), len(rows)), 1)
        if to_stride == stride and isinstance(level.rows, TableLookup):
            return PairTiles.of_table(level.keys, level.space, level.rows, kernel_size)
        return PairTiles.of(self.pairs(stride, to_stride, kernel_size))

    def _children(self, stride: int) -> KernelMap:
        parents = self.parents(stride)
        fine = [(parents.slots == slot).nonzero()[:, 0] for slot in range(8)]
        coarse = [parents.rows.index_select(0, rows) for rows in fine]
        return KernelMap(fine, coarse, len(parents.rows), parents.count)

    def _make_strided(self, stride: int, kernel_size: int) -> KernelMap:
        level = self._level(stride)
        keys = level.space.pack(self.coarser(stride))
        return strided_map(keys, level.space, level.rows, kernel_size, len(level.coordinates))
