"""Output rows in tiles that need the same rows of a kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int32, Int64

from seg3d_core.sparse.coordinates import CoordinateMaps, Parents
from seg3d_core.sparse.engines.interface import Step
from seg3d_core.sparse.engines.torch_engine import stride_after
from seg3d_core.sparse.engines.triton_tiles import rows_of_tile
from seg3d_core.sparse.keys import kernel_offsets

_KEY_BITS = 62


@dataclass(frozen=True, eq=False)
class TiledMap:
    """A kernel map in the order in which the tiles read it; a tile's unused places have no row (-1).

    Attributes:
        input_rows: (T, K3, R) input row of each output row of a tile under each kernel row that the tile needs, in the
            order of ``kernel_rows``; -1 where there is none.
        kernel_rows: (T, K3) kernel rows, first those that any output row of the tile needs.
        kernel_row_counts: (T,) how many that are; the heaviest tiles come first.
        output_rows: (T, R) output rows.
        output_count: number of output rows in all.
    """

    input_rows: Int32[torch.Tensor, "T K3 R"]
    kernel_rows: Int32[torch.Tensor, "T K3"]
    kernel_row_counts: Int32[torch.Tensor, " T"]
    output_rows: Int32[torch.Tensor, "T R"]
    output_count: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tiles, output rows of each."""
        return self.output_rows.shape[0], self.output_rows.shape[1]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """What kernels read, in the order of their parameters."""
        return [self.input_rows, self.kernel_rows, self.kernel_row_counts, self.output_rows]


def tiled_map(neighbours: Int32[torch.Tensor, "K3 W"], rows: int) -> TiledMap:
    """Tiles of ``rows`` output rows, sorted so that those of a tile have neighbours in the same places.

    Args:
        neighbours: input row of each output row under each kernel row, -1 where there is none.
        rows: of a tile.
    """
    volume, count = neighbours.shape
    order = _occupancy(neighbours).argsort(stable=True)
    padding = -count % rows
    output_rows = _padded(order.int(), padding).view(-1, rows)
    input_rows = _padded(neighbours.index_select(1, order), padding).view(volume, -1, rows)
    is_needed = (input_rows >= 0).any(2).t()
    counts = is_needed.sum(1)
    heaviest = counts.argsort(descending=True, stable=True)
    kernel_rows = (~is_needed[heaviest]).to(torch.uint8).argsort(dim=1, stable=True)
    return TiledMap(
        input_rows[kernel_rows, heaviest[:, None]],
        kernel_rows.int(),
        counts[heaviest].int(),
        output_rows[heaviest],
        count,
    )


def neighbours_above(parents: Parents) -> Int32[torch.Tensor, "8 V"]:
    """Row of the parent of every voxel, under the kernel row of its place in the parent; -1 under all others."""
    count = len(parents.rows)
    table = torch.full((8, count), -1, dtype=torch.int32, device=parents.rows.device)
    return table.scatter_(0, parents.slots[None], parents.rows[None].int())


def tiles_of(maps: CoordinateMaps, stride: int, step: Step, processors: int) -> TiledMap:
    """The tiles of a step from the level of ``stride``; made once, and waiting for the device only then.

    Raises:
        ConfigError: there is no finer level.
    """

    def make() -> TiledMap:
        neighbours = _neighbours(maps, stride, step)
        return tiled_map(neighbours, rows_of_tile(neighbours.shape[1], processors))

    return maps.cached(("triton", stride, step), make)


def _neighbours(maps: CoordinateMaps, stride: int, step: Step) -> Int32[torch.Tensor, "K3 W"]:
    if step.direction == "up":
        return neighbours_above(maps.parents(stride // 2))
    if step.direction == "down":
        maps.coarser(stride)
    elif step.kernel_size == 1:
        return row_for_row(maps, stride)
    return maps.neighbours(stride, step.kernel_size, stride_after(stride, step))


def row_for_row(maps: CoordinateMaps, stride: int) -> Int32[torch.Tensor, "1 V"]:
    """Every voxel meets itself."""
    coordinates = maps.coordinates(stride)
    return torch.arange(len(coordinates), dtype=torch.int32, device=coordinates.device)[None]


def _occupancy(neighbours: Int32[torch.Tensor, "K3 W"]) -> Int64[torch.Tensor, " W"]:
    """One number per output row whose bits say which neighbours it has, the farthest ones in the highest bits.

    On surfaces the far neighbours say most: rows that agree there agree about the near ones, too. Kernels of more than
    62 rows are sorted by the 62 farthest.
    """
    size = round(len(neighbours) ** (1 / 3))
    distances = [sum(map(abs, offset)) for offset in kernel_offsets(size)]
    farthest = sorted(range(len(neighbours)), key=lambda row: -distances[row])[:_KEY_BITS]
    is_there = neighbours[farthest] >= 0
    bits = torch.arange(len(farthest), device=neighbours.device).flip(0)
    return (is_there.long() << bits[:, None]).sum(0)


def _padded(rows: Int32[torch.Tensor, "*K W"], padding: int) -> Int32[torch.Tensor, "*K P"]:
    return torch.nn.functional.pad(rows, (0, padding), value=-1)
