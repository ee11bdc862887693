"""Clouds of a chosen size with the neighbourhoods of real rooms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int32

from seg3d_core.config import RoomConfig
from seg3d_core.data.rooms import make_room
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.types import Cloud

_POINTS_PER_ROOM = 1_200_000
"""Half a dozen to a voxel of 2 cm, so that hardly any voxel of the surface is missed."""

_ROOMS_APART_M = 8.0
"""Rooms of the default size do not touch."""


def room_cloud(voxels: int, voxel_size_m: float = 0.02, points_per_voxel: int = 3, seed: int = 0) -> Cloud:
    """Surface of rendered rooms that fills exactly ``voxels`` voxels.

    The voxels nearest to the middle of a room are taken; where one room has too few, further rooms stand beside it.

    Args:
        voxels: how many, at least 1.
        voxel_size_m: edge of a voxel, m.
        points_per_voxel: at most this many points of each, as in a fused cloud.
        seed: of the first room.
    """
    cloud, point_to_voxel, count = _enough(voxels, voxel_size_m, seed)
    nearest = np.full(count, np.inf)
    middle = cloud.points[: _POINTS_PER_ROOM // 4].mean(axis=0)
    np.minimum.at(nearest, point_to_voxel, np.linalg.norm(cloud.points - middle, axis=1))
    chosen = np.zeros(count, np.bool_)
    chosen[np.argsort(nearest, kind="stable")[:voxels]] = True
    rows = np.flatnonzero(chosen[point_to_voxel] & (_occurrence(point_to_voxel) < points_per_voxel))
    assert cloud.rgb is not None
    return Cloud(cloud.points[rows], cloud.rgb[rows], frame_id=cloud.frame_id)


def room_points(points: int, seed: int = 0) -> Cloud:
    """Exactly so many points, at least 1, spread evenly over the surface of a rendered room."""
    cloud = make_room(seed, RoomConfig.build({})).surface(4 * points + 1000, seed).cloud
    rows = np.random.default_rng(seed).permutation(len(cloud))[:points]
    assert cloud.rgb is not None and len(rows) == points
    return Cloud(cloud.points[rows], cloud.rgb[rows], frame_id=cloud.frame_id)


def _enough(voxels: int, voxel_size_m: float, seed: int) -> tuple[Cloud, Int32[np.ndarray, " N"], int]:
    """Rooms until there are enough voxels."""
    points: list[Float32[np.ndarray, "N 3"]] = []
    colours: list[Float32[np.ndarray, "N 3"]] = []
    for room in _rooms(seed):
        assert room.rgb is not None
        points.append(room.points)
        colours.append(room.rgb)
        together = Cloud(np.concatenate(points), np.concatenate(colours), frame_id=room.frame_id)
        found = voxelize(together.points, voxel_size_m)
        if len(found.coordinates) >= voxels:
            return together, found.point_to_voxel, len(found.coordinates)
    raise AssertionError("rooms never end")


def _rooms(seed: int) -> Iterator[Cloud]:
    number = 0
    while True:
        surface = make_room(seed + number, RoomConfig.build({})).surface(_POINTS_PER_ROOM, seed).cloud
        shift = np.array([_ROOMS_APART_M * number, 0, 0], np.float32)
        yield Cloud(surface.points + shift, surface.rgb, frame_id=surface.frame_id)
        number += 1


def _occurrence(values: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
    """How many equal values stand before each."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    result = np.empty(len(values), np.int32)
    result[order] = rank
    return result
