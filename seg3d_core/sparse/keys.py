"""One integer per voxel, so that a neighbour is an addition away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int32, Int64

from seg3d_core.errors import ConfigError, InputError

COORDINATE_LIMIT = 2**19
"""Coordinates lie in [-2^19, 2^19): 10.4 km each way at 2 cm."""

KEY_LIMIT = 2**62
"""Largest number of cells of the box around all voxels of all batch elements."""

REACH = 3
"""A kernel looks at most this many cells away; the box of keys has that much room around it."""

Offset = tuple[int, int, int]


def kernel_offsets(kernel_size: int) -> list[Offset]:
    """Cells that the rows of a kernel look at, x fastest: centred for odd sizes, 0..K-1 for even ones."""
    axis = [i - kernel_size // 2 if kernel_size % 2 else i for i in range(kernel_size)]
    return [(x, y, z) for z in axis for y in axis for x in axis]


@dataclass(frozen=True)
class KeySpace:
    """Numbers the cells of a box, z fastest, then y, x and batch.

    Every axis is followed by ``REACH`` empty cells, which the next one along the axis above shares: a step out of the
    box lands there and never on another row of it.

    Attributes:
        stride: edge of a cell in stride-1 voxels.
        lower: least batch index and cell along x, y, z.
        steps: difference of keys from one cell to the next along batch, x, y, z; the last is 1.
        size: keys lie in 0..size - 1, also those of neighbours of voxels.
    """

    stride: int
    lower: tuple[int, int, int, int]
    steps: tuple[int, int, int, int]
    size: int

    @classmethod
    def enclosing(cls, coordinates: Int32[torch.Tensor, "V 4"], stride: int) -> KeySpace:
        """The key space of cells of edge ``stride`` around voxels [batch, x, y, z] in stride-1 units.

        Raises:
            InputError: a coordinate is out of range, a batch index is negative, or the box has too many cells.
        """
        low, high = _bounds(coordinates)
        cells = [high[0] - low[0] + 1] + [b // stride - a // stride + 1 for a, b in zip(low[1:], high[1:], strict=True)]
        step_y = cells[3] + REACH
        step_x = step_y * (cells[2] + REACH)
        step_batch = step_x * (cells[1] + REACH)
        size = step_batch * cells[0] + 2 * REACH * (step_x + step_y + 1)
        if size > KEY_LIMIT:
            raise InputError(
                f"the box around all voxels has {cells[1]} x {cells[2]} x {cells[3]} cells in {cells[0]} batch "
                f"elements, more than {KEY_LIMIT:.1e} in all"
            )
        lower = (low[0], low[1] // stride, low[2] // stride, low[3] // stride)
        return cls(stride, lower, (step_batch, step_x, step_y, 1), size)

    def pack(self, coordinates: Int32[torch.Tensor, "V 4"]) -> Int64[torch.Tensor, " V"]:
        """Keys of the cells that hold voxels [batch, x, y, z] in stride-1 units."""
        keys = torch.full((len(coordinates),), self.step((REACH, REACH, REACH)), device=coordinates.device)
        for axis, (lower, step) in enumerate(zip(self.lower, self.steps, strict=True)):
            values = coordinates[:, axis].long()
            if axis > 0 and self.stride > 1:
                values = values.div(self.stride, rounding_mode="floor")
            keys += (values - lower) * step
        return keys

    def step(self, offset: Offset) -> int:
        """Difference between the key of a cell and of the one ``offset`` cells further along x, y, z.

        Raises:
            ConfigError: a component is beyond ``REACH``.
        """
        if max(map(abs, offset)) > REACH:
            raise ConfigError(f"a kernel looks {max(map(abs, offset))} cells away, the limit is {REACH} cells")
        return sum(o * s for o, s in zip(offset, self.steps[1:], strict=True))


def _bounds(coordinates: Int32[torch.Tensor, "V 4"]) -> tuple[list[int], list[int]]:
    """Least and largest batch index, x, y and z, checked. Zeros where there is no voxel."""
    if len(coordinates) == 0:
        return [0] * 4, [0] * 4
    low, high = (bound.tolist() for bound in torch.aminmax(coordinates, dim=0))
    if low[0] < 0:
        raise InputError(f"batch index is {low[0]}, the least is 0")
    for value in (min(low[1:]), max(high[1:])):
        if not -COORDINATE_LIMIT <= value < COORDINATE_LIMIT:
            raise InputError(
                f"voxel coordinate {value} is outside [-{COORDINATE_LIMIT}, {COORDINATE_LIMIT}), "
                f"{COORDINATE_LIMIT * 0.02 / 1000:.1f} km each way at 2 cm"
            )
    return low, high
