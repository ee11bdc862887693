"""Features on occupied voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int32, Int64

from seg3d_core.errors import InputError
from seg3d_core.sparse.coordinates import CoordinateMaps


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """One feature row per occupied voxel of one level of a pyramid.

    Attributes:
        coordinates: (V, 4) batch index and x, y, z in voxels of stride 1, multiples of ``stride``, no two rows equal.
        features: (V, C) float32 or float64 (half precisions on CUDA), row by row those of ``coordinates``.
        stride: edge of a voxel of this level in voxels of stride 1.
        maps: what all levels and layers of this input share.
    """

    coordinates: Int32[torch.Tensor, "V 4"]
    features: Float[torch.Tensor, "V C"]
    stride: int
    maps: CoordinateMaps

    @classmethod
    def from_coordinates(
        cls, coordinates: Int32[torch.Tensor, "V 4"], features: Float[torch.Tensor, "W C"]
    ) -> SparseTensor:
        """The level of stride 1: row i stays row i. Spatially sorted rows are faster, any order is right.

        Raises:
            InputError: voxels occur twice (with their number), are out of range, are not on the device of the
                features, or are more or fewer than the feature rows.
        """
        if len(features) != len(coordinates):
            raise InputError(f"{len(features)} feature rows for {len(coordinates)} voxels")
        if features.device != coordinates.device:
            raise InputError(f"features are on {features.device}, voxels on {coordinates.device}")
        return cls(coordinates, features, 1, CoordinateMaps(coordinates))

    def replace(self, features: Float[torch.Tensor, "W D"]) -> SparseTensor:
        """The same voxels with other features; any number of channels.

        Raises:
            InputError: the number of rows is another one.
        """
        if len(features) != len(self.coordinates):
            raise InputError(f"{len(features)} feature rows for {len(self.coordinates)} voxels")
        return replace(self, features=features)

    def batch_rows(self, batch_size: int) -> list[Int64[torch.Tensor, " R"]]:
        """Rows of each of the ``batch_size`` elements, ascending; an element without voxels has none."""
        batch = self.coordinates[:, 0]
        return [(batch == i).nonzero()[:, 0] for i in range(batch_size)]

    def __len__(self) -> int:
        return len(self.coordinates)
