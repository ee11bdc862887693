"""Farthest point sampling: as few points as wanted, spread as evenly as a greedy choice can."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from seg3d_core.config_base import FarthestPointTies
from seg3d_core.errors import InputError
from seg3d_core.point_ops.buckets import Buckets
from seg3d_core.point_ops.inputs import require_one_device, require_points
from seg3d_core.point_ops.sampling_device import sample_on_device
from seg3d_core.point_ops.sampling_kernels import sample_buckets
from seg3d_core.point_ops.ties import released_order


def farthest_points(
    points: Float32[Tensor, "*B N 3"],
    count: int,
    start: int = 0,
    ties: FarthestPointTies = "lowest_index",
    candidates: Bool[Tensor, "*B N"] | None = None,
) -> Int64[Tensor, "*B count"]:
    """Rows of ``count`` points: ``start``, then always the one farthest from all before it. Unit and frame are free.

    Every device gives the same rows: squared distances are (dx² + dy²) + dz² in float32, each operation rounded once
    (nothing is fused). Ties go to the lowest row, or with ``released`` to the row that the original CUDA samplers of
    Segment3D and Point-SAM find (``released_order``). Rows outside of ``candidates`` are never taken but as the start.
    When every candidate has been taken, all distances are 0 and the first candidate in the order of ties repeats, so
    that ``count`` may exceed N; without any candidate row 0 repeats. Each cloud of a batch is sampled by itself.

    Raises:
        InputError: points that are not float32 and finite, no point, ``count`` below 1, ``start`` that is no row,
            ``candidates`` on another device.
    """
    require_points("points", points)
    if candidates is not None:
        require_one_device("points", points, "candidates", candidates)
    return sample_farthest(points, count, start, ties, candidates)


def sample_farthest(
    points: Float32[Tensor, "*B N 3"],
    count: int,
    start: int = 0,
    ties: FarthestPointTies = "lowest_index",
    candidates: Bool[Tensor, "*B N"] | None = None,
) -> Int64[Tensor, "*B count"]:
    """``farthest_points`` of values that are known to be finite: never waits for the device.

    Raises:
        InputError: no point, ``count`` below 1, ``start`` that is no row.
    """
    batch, available = points.shape[:-2], points.shape[-2]
    if count < 1 or available < 1:
        raise InputError(f"{count} farthest points were asked of {available} points, both must be at least 1")
    if not 0 <= start < available:
        raise InputError(f"start point {start} is not one of {available} points")
    clouds = points.detach().reshape(-1, available, 3)
    allowed = None if candidates is None else candidates.reshape(-1, available)
    order = released_order(available, points.device) if ties == "released" else None
    if points.device.type == "cpu":
        rows = torch.stack(
            [
                _sample_cloud(cloud, count, start, order, None if allowed is None else allowed[i])
                for i, cloud in enumerate(clouds)
            ]
        )
    else:
        rows = _sample_ranked(clouds, count, start, order, allowed)
    return rows.reshape(*batch, count)


def _sample_cloud(
    cloud: Float32[Tensor, "N 3"],
    count: int,
    start: int,
    order: Int64[Tensor, " N"] | None,
    candidates: Bool[Tensor, " N"] | None,
) -> Int64[Tensor, " count"]:
    rows = torch.arange(len(cloud)) if order is None else order
    if candidates is not None:
        rows = rows[candidates[rows]]
    chosen = torch.zeros(count, dtype=torch.int64)
    chosen[0] = start
    if len(rows) and count > 1:
        ranks = _sample_rows(cloud.numpy(), rows.numpy(), start, count - 1)
        chosen[1:] = rows[torch.from_numpy(ranks)]
    return chosen


def _sample_rows(
    points: Float32[np.ndarray, "N 3"], rows: Int64[np.ndarray, " R"], start: int, count: int
) -> Int64[np.ndarray, " count"]:
    # The copies that fill up the last bucket change no maximum and no lowest rank.
    buckets = Buckets.of(points, rows)
    return sample_buckets(buckets.points, buckets.ranks, buckets.low, buckets.high, points[start], count)


def _sample_ranked(
    clouds: Float32[Tensor, "B N 3"],
    count: int,
    start: int,
    order: Int64[Tensor, " N"] | None,
    candidates: Bool[Tensor, "B N"] | None,
) -> Int64[Tensor, "B count"]:
    """With the points in the order of their ranks, the first of equals is the one to take."""
    squared = torch.full_like(clouds[..., 0], torch.inf)
    if candidates is not None:
        squared.masked_fill_(~candidates, -torch.inf)
    first = torch.full((1,), start, device=clouds.device)
    if order is None:
        return sample_on_device(clouds.mT.contiguous(), squared, first, count)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    ranks = sample_on_device(clouds[:, order].mT.contiguous(), squared[:, order], rank[first], count)
    return order[ranks]
