"""Pairs of rows in the order in which a CPU works through them: what is in work at a time stays in its cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int32, Int64

from seg3d_core.sparse.kernel_maps import KernelMap, TableLookup
from seg3d_core.sparse.keys import KeySpace, kernel_offsets
from seg3d_core.sparse.pair_tiles_kernels import sorted_pairs, table_pairs

TILE_ROWS = 512
"""Output rows in work at a time."""


@dataclass(frozen=True, eq=False)
class PairTiles:
    """All pairs of a kernel: tile by tile of the output rows, within a tile one kernel row after the other.

    Attributes:
        starts: (tiles * K^3 + 1,) where the pairs of each kernel row of each tile begin.
        inputs, outputs: (P,) the rows that each pair joins.
        input_count, output_count: number of rows on either side.
        volume: K^3.
    """

    starts: Int64[np.ndarray, " S"]
    inputs: Int32[np.ndarray, " P"]
    outputs: Int32[np.ndarray, " P"]
    input_count: int
    output_count: int
    volume: int

    @classmethod
    def sort(
        cls,
        kernel_rows: Int64[np.ndarray, " P"],
        inputs: Int64[np.ndarray, " P"] | Int32[np.ndarray, " P"],
        outputs: Int64[np.ndarray, " P"] | Int32[np.ndarray, " P"],
        counts: tuple[int, int],
        volume: int,
    ) -> PairTiles:
        """Pairs in any order, each with its kernel row; ``counts`` are those of the input and output rows."""
        arrays = sorted_pairs(kernel_rows, inputs, outputs, _tiles(counts[1]), TILE_ROWS, volume)
        return cls(*arrays, *counts, volume)

    @classmethod
    def of(cls, pairs: KernelMap) -> PairTiles:
        """The same pairs as lists have."""
        inputs, outputs = list(pairs.input_rows), list(pairs.output_rows)
        if pairs.identity is not None:
            inputs[pairs.identity] = outputs[pairs.identity] = torch.arange(pairs.output_count)
        kernel_rows = np.repeat(np.arange(len(inputs)), [len(rows) for rows in inputs])
        counts = (pairs.input_count, pairs.output_count)
        return cls.sort(kernel_rows, torch.cat(inputs).numpy(), torch.cat(outputs).numpy(), counts, len(inputs))

    @classmethod
    def of_table(
        cls, keys: Int64[torch.Tensor, " V"], space: KeySpace, rows: TableLookup, kernel_size: int
    ) -> PairTiles:
        """Odd kernel, output voxels = input voxels."""
        steps = np.array([space.step(offset) for offset in kernel_offsets(kernel_size)])
        arrays = table_pairs(keys.numpy(), steps, rows.table.numpy(), _tiles(len(keys)), TILE_ROWS)
        return cls(*arrays, len(keys), len(keys), kernel_size**3)

    @cached_property
    def transposed(self) -> PairTiles:
        """The pairs from outputs to inputs."""
        lengths = np.diff(self.starts)
        kernel_rows = np.repeat(np.arange(len(lengths)) % self.volume, lengths)
        counts = (self.output_count, self.input_count)
        return PairTiles.sort(kernel_rows, self.outputs, self.inputs, counts, self.volume)

    @property
    def tile_rows(self) -> int:
        """Output rows of a tile."""
        return TILE_ROWS

    @property
    def pair_count(self) -> int:
        """Number of pairs: half the multiply-adds of one channel by one."""
        return len(self.inputs)


def _tiles(rows: int) -> int:
    return -(-rows // TILE_ROWS)
