"""Which input row meets which output row under which row of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int32, Int64

from seg3d_core.sparse.keys import KeySpace, kernel_offsets

TABLE_CELLS = 64 * 2**20
"""Boxes up to this many cells get a table with one 4-byte entry per cell (256 MB), larger ones are searched."""


@dataclass(frozen=True, eq=False)
class KernelMap:
    """Pairs of rows for each row of a kernel.

    Attributes:
        input_rows, output_rows: for each kernel row, the rows that it joins; no output row occurs twice in one.
        input_count, output_count: number of rows on either side.
        identity: the kernel row that joins every row with itself (the centre; its lists are empty), or None.
    """

    input_rows: list[torch.Tensor]
    output_rows: list[torch.Tensor]
    input_count: int
    output_count: int
    identity: int | None = None

    @property
    def transposed(self) -> KernelMap:
        """The map from outputs to inputs."""
        return KernelMap(self.output_rows, self.input_rows, self.output_count, self.input_count, self.identity)

    @cached_property
    def pair_count(self) -> int:
        """Number of pairs, those of the identity included: half the multiply-adds of one channel by one."""
        return sum(map(len, self.input_rows)) + (self.output_count if self.identity is not None else 0)

    @cached_property
    def neighbours(self) -> Int32[torch.Tensor, "W K3"]:
        """Input row of each output row under each kernel row; ``input_count`` where there is none."""
        shape = (self.output_count, len(self.input_rows))
        table = torch.full(shape, self.input_count, dtype=torch.int32, device=self.input_rows[0].device)
        for row, (inputs, outputs) in enumerate(zip(self.input_rows, self.output_rows, strict=True)):
            table[outputs, row] = inputs.int()
        if self.identity is not None:
            table[:, self.identity] = torch.arange(self.output_count, device=table.device)
        return table


@runtime_checkable
class RowLookup(Protocol):
    """Finds rows by key."""

    def column(self, keys: Int64[torch.Tensor, " M"], count: int) -> list[torch.Tensor]:
        """Rows at ``keys``, ``keys + 1`` ... ``keys + count - 1``; -1 where no voxel is."""


class TableLookup:
    """One entry per cell of the box: a lookup is one read."""

    def __init__(self, keys: Int64[torch.Tensor, " V"], size: int) -> None:
        self.table = torch.full((size,), -1, dtype=torch.int32, device=keys.device)
        self.table[keys] = torch.arange(len(keys), dtype=torch.int32, device=keys.device)

    def column(self, keys: Int64[torch.Tensor, " M"], count: int) -> list[Int32[torch.Tensor, " M"]]:
        """Rows at ``keys`` and the ``count - 1`` keys after each."""
        return [self.table[i:].index_select(0, keys) for i in range(count)]


class SearchLookup:
    """Binary search in the sorted keys: one for a whole column, whose next voxel can only be the next key."""

    def __init__(self, keys: Int64[torch.Tensor, " V"]) -> None:
        self._keys, self._rows = torch.sort(keys)

    def column(self, keys: Int64[torch.Tensor, " M"], count: int) -> list[Int64[torch.Tensor, " M"]]:
        """Rows at ``keys`` and the ``count - 1`` keys after each."""
        last = len(self._keys) - 1
        place = torch.searchsorted(self._keys, keys)
        found = []
        for i in range(count):
            held = place.clamp(max=last)
            hit = self._keys[held] == keys + i
            hit &= place <= last
            found.append(torch.where(hit, self._rows[held], -1))
            place = place + hit
        return found


def lookup(keys: Int64[torch.Tensor, " V"], space: KeySpace, table_cells: int = TABLE_CELLS) -> RowLookup:
    """The fastest way to find ``keys`` of ``space`` within ``table_cells`` cells of memory."""
    return TableLookup(keys, space.size) if space.size <= table_cells else SearchLookup(keys)


def centred_map(keys: Int64[torch.Tensor, " V"], space: KeySpace, rows: RowLookup, kernel_size: int) -> KernelMap:
    """Odd kernel, output voxels = input voxels. Only half is looked up: what is right of me has me on its left."""
    volume = kernel_size**3
    middle = volume // 2
    inputs = [keys.new_empty(0)] * volume
    outputs = list(inputs)
    for row, found in _looked_up(keys, space, rows, kernel_size, middle):
        here = (found >= 0).nonzero()[:, 0]
        there = found.index_select(0, here).long()
        inputs[row] = outputs[volume - 1 - row] = there
        outputs[row] = inputs[volume - 1 - row] = here
    return KernelMap(inputs, outputs, len(keys), len(keys), middle)


def strided_map(
    output_keys: Int64[torch.Tensor, " W"], space: KeySpace, rows: RowLookup, kernel_size: int, input_count: int
) -> KernelMap:
    """Any kernel on coarser output voxels; ``output_keys`` are the keys of their first input cell."""
    inputs = [output_keys.new_empty(0)] * kernel_size**3
    outputs = list(inputs)
    for row, found in _looked_up(output_keys, space, rows, kernel_size, kernel_size**3):
        outputs[row] = (found >= 0).nonzero()[:, 0]
        inputs[row] = found.index_select(0, outputs[row]).long()
    return KernelMap(inputs, outputs, input_count, len(output_keys))


def neighbour_table(
    output_keys: Int64[torch.Tensor, " W"], space: KeySpace, rows: RowLookup, kernel_size: int
) -> Int32[torch.Tensor, "K3 W"]:
    """Input row of each output row under each kernel row, -1 where there is none; no list, all columns at once."""
    steps = [space.step(offset) for offset in kernel_offsets(kernel_size)[: kernel_size**2]]
    starts = output_keys + torch.tensor(steps, device=output_keys.device)[:, None]
    found = rows.column(starts.view(-1), kernel_size)
    return torch.stack(found).int().view(kernel_size**3, len(output_keys))


def _looked_up(
    keys: Int64[torch.Tensor, " M"], space: KeySpace, rows: RowLookup, kernel_size: int, end: int
) -> list[tuple[int, torch.Tensor]]:
    """(kernel row, input row or -1 per key) for the kernel rows below ``end``, found column by column along z."""
    found = []
    area = kernel_size**2
    offsets = kernel_offsets(kernel_size)
    for column in range(area):
        count = len(range(column, end, area))
        if count:
            values = rows.column(keys + space.step(offsets[column]), count)
            found += [(column + area * i, value) for i, value in enumerate(values)]
    return found
