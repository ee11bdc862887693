"""Sparse convolution as its definition says it: dictionaries and loops, to read and to test against.

Coordinates are [batch, x, y, z] in stride-1 units at every level, offsets count voxels of the input (of the output
for ``transposed``), a kernel is (K^3, Cin, Cout) with x fastest. Rows of coarser levels are in ascending order of
coordinates.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int32

Coordinate = tuple[int, ...]


def offsets(kernel_size: int) -> list[tuple[int, int, int]]:
    """Offset of each kernel row: odd sizes are centred, even sizes count from 0."""
    first = -(kernel_size // 2) if kernel_size % 2 else 0
    axis = range(first, first + kernel_size)
    return [(x, y, z) for z in axis for y in axis for x in axis]


def row_of_coordinate(coordinates: Int32[torch.Tensor, "V 4"]) -> dict[Coordinate, int]:
    """Row of every occupied voxel."""
    return {tuple(coordinate): row for row, coordinate in enumerate(coordinates.tolist())}


def parent(coordinate: Coordinate, stride: int) -> Coordinate:
    """The voxel of edge ``stride`` that holds a coordinate: rounded down, also below zero."""
    batch, *position = coordinate
    return (batch, *(value // stride * stride for value in position))


def coarser(coordinates: Int32[torch.Tensor, "V 4"], stride: int) -> Int32[torch.Tensor, "W 4"]:
    """Occupied voxels of edge ``stride``, ascending."""
    parents = sorted({parent(tuple(coordinate), stride) for coordinate in coordinates.tolist()})
    return torch.tensor(parents, dtype=torch.int32).reshape(-1, 4)


def convolve(
    features: Float[torch.Tensor, "V Cin"],
    kernel: Float[torch.Tensor, "K3 Cin Cout"],
    coordinates: Int32[torch.Tensor, "V 4"],
    output_coordinates: Int32[torch.Tensor, "W 4"],
    stride: int,
) -> Float[torch.Tensor, "W Cout"]:
    """out[u] = sum over r of in[u + offset_r * stride] @ kernel[r]; ``stride`` is that of the input."""
    rows = row_of_coordinate(coordinates)
    result = []
    for batch, x, y, z in output_coordinates.tolist():
        total = features.new_zeros(kernel.shape[2])
        for (dx, dy, dz), weights in zip(offsets(round(len(kernel) ** (1 / 3))), kernel, strict=True):
            row = rows.get((batch, x + dx * stride, y + dy * stride, z + dz * stride))
            if row is not None:
                total = total + features[row] @ weights
        result.append(total)
    return torch.stack(result) if result else features.new_zeros(0, kernel.shape[2])


def transposed(
    features: Float[torch.Tensor, "W Cin"],
    kernel: Float[torch.Tensor, "8 Cin Cout"],
    coordinates: Int32[torch.Tensor, "W 4"],
    output_coordinates: Int32[torch.Tensor, "V 4"],
    stride: int,
) -> Float[torch.Tensor, "V Cout"]:
    """out[v] = in[parent of v] @ kernel[place of v in its parent]; ``stride`` is that of the output."""
    rows = row_of_coordinate(coordinates)
    result = []
    for coordinate in map(tuple, output_coordinates.tolist()):
        above = parent(coordinate, 2 * stride)
        place = tuple((c - p) // stride for c, p in zip(coordinate, above, strict=True))[1:]
        result.append(features[rows[above]] @ kernel[offsets(2).index((place[0], place[1], place[2]))])
    return torch.stack(result) if result else features.new_zeros(0, kernel.shape[2])


def average(
    features: Float[torch.Tensor, "V C"],
    coordinates: Int32[torch.Tensor, "V 4"],
    output_coordinates: Int32[torch.Tensor, "W 4"],
    stride: int,
) -> Float[torch.Tensor, "W C"]:
    """Mean over the occupied children of each voxel of edge ``stride``."""
    children: dict[Coordinate, list[int]] = {tuple(u): [] for u in output_coordinates.tolist()}
    for coordinate, row in row_of_coordinate(coordinates).items():
        children[parent(coordinate, stride)].append(row)
    means = [features[rows].mean(0) for rows in children.values()]
    return torch.stack(means) if means else features.new_zeros(0, features.shape[1])
