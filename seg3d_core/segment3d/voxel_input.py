"""From a cloud to what the network reads: one coloured voxel for all points in it. N points, V voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64

from seg3d_core.errors import InputError
from seg3d_core.geometry.upright import upright
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.segment3d_config import Segment3DSettings
from seg3d_core.sparse.keys import COORDINATE_LIMIT
from seg3d_core.sparse.tensor import SparseTensor
from seg3d_core.types import Cloud

MIN_POINTS = 2

COLOUR_STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "scannet": (
        (0.47793125906962, 0.4303257521323044, 0.3749598901421883),
        (0.2834475483823543, 0.27566157565723015, 0.27018971370874995),
    ),
}
"""Mean and deviation of red, green and blue (0..1). Released networks were trained and evaluated with ImageNet's; the
first demo of the method used ScanNet's."""

_COLOUR_SLACK = 1e-3
"""Colours may leave 0..1 by this much: rounding of those who averaged them."""


@dataclass(frozen=True, eq=False)
class VoxelInput:
    """Voxels of a cloud in the order in which its points first enter them, each with the features of that point.

    Attributes:
        coordinates: (V, 3) floor(point / voxel size).
        colours: (V, 3) normalised; 0 is the mean colour.
        xyz: (V, 3) the point, z up, m divided by ``coordinate_scale``.
        point_to_voxel: (N,) voxel of each point.
        first_point: (V,) that point.
    """

    coordinates: Int32[np.ndarray, "V 3"]
    colours: Float32[np.ndarray, "V 3"]
    xyz: Float32[np.ndarray, "V 3"]
    point_to_voxel: Int32[np.ndarray, " N"]
    first_point: Int64[np.ndarray, " V"]

    def __len__(self) -> int:
        return len(self.coordinates)

    def tensor(self, rows: Int64[np.ndarray, " M"], device: torch.device) -> SparseTensor:
        """The voxels of ``rows`` as a batch of one."""
        coordinates = torch.zeros(len(rows), 4, dtype=torch.int32)
        coordinates[:, 1:] = torch.from_numpy(self.coordinates[rows])
        colours = torch.from_numpy(self.colours[rows])
        return SparseTensor.from_coordinates(coordinates.to(device), colours.to(device))


def voxel_input(cloud: Cloud, settings: Segment3DSettings) -> VoxelInput:
    """The voxels of ``cloud``. A cloud without colours gets the mean colour everywhere.

    Points are divided by the voxel size in float32, as the original divides them: a point on the border of two voxels
    falls into the same one. Clouds that say which way is up are turned to stand on their floor first.

    Raises:
        InputError: fewer than 2 points, coordinates out of reach of voxel numbers, or colours that are not in 0..1.
    """
    if len(cloud) < MIN_POINTS:
        raise InputError(f"cloud has {len(cloud)} points, Segment3D needs at least {MIN_POINTS}")
    points = scaled(cloud.points, settings.coordinate_scale)
    if cloud.up is not None:
        points = upright(points, cloud.up)
    in_voxels = points / np.float32(settings.voxel_edge_m)
    _check_reach(cloud, in_voxels, settings)
    if cloud.rgb is not None:
        _check_colours(cloud.rgb)
    voxels = voxelize(in_voxels, 1.0)
    first = voxels.first_point
    colours = np.zeros((len(voxels), 3), np.float32)
    if cloud.rgb is not None:
        mean, deviation = (np.array(values, np.float32) for values in COLOUR_STATISTICS[settings.colours])
        colours = (cloud.rgb[first] - mean) / deviation
    return VoxelInput(voxels.coordinates, colours, points[first], voxels.point_to_voxel, first)


def scaled(points: Float32[np.ndarray, "N 3"], coordinate_scale: float) -> Float32[np.ndarray, "N 3"]:
    """Points (m) in the scale that the network knows."""
    return points if coordinate_scale == 1 else points / np.float32(coordinate_scale)


def _check_reach(cloud: Cloud, in_voxels: Float32[np.ndarray, "N 3"], settings: Segment3DSettings) -> None:
    outside = (in_voxels < -COORDINATE_LIMIT) | (in_voxels >= COORDINATE_LIMIT)
    if outside.any():
        count = int(outside.any(axis=1).sum())
        point = int(outside.any(axis=1).argmax())
        limit_m = COORDINATE_LIMIT * settings.voxel_edge_m * settings.coordinate_scale
        raise InputError(
            f"{count} of {len(cloud)} points are beyond {limit_m:.0f} m, the reach of voxels of "
            f"{settings.voxel_edge_m:g} m; point {point} is at {cloud.points[point].tolist()} m"
        )


def _check_colours(rgb: Float32[np.ndarray, "N 3"]) -> None:
    low, high = float(rgb.min()), float(rgb.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int((~np.isfinite(rgb).all(axis=1)).sum())
        raise InputError(f"cloud has {bad} of {len(rgb)} points with NaN or infinite colours")
    if low < -_COLOUR_SLACK or high > 1 + _COLOUR_SLACK:
        advice = ": divide 8-bit colours by 255" if 1 < high <= 255 and low >= 0 else ""
        raise InputError(f"colours range from {low:g} to {high:g}, they must be in 0..1{advice}")
