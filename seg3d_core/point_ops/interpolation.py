"""Features of many points from those of a few near ones."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from seg3d_core.errors import InputError
from seg3d_core.point_ops.inputs import require_one_device
from seg3d_core.point_ops.neighbours import nearest

SQUARED_DISTANCE_FLOOR = 1e-8
"""Nearer than this (squared, unit of the points) all centres count alike: a point on a centre divides by no zero."""

_CENTRES = 3


def three_nearest(
    points: Float32[Tensor, "*B N 3"], centres: Float32[Tensor, "*B L 3"]
) -> tuple[Int64[Tensor, "*B N 3"], Float32[Tensor, "*B N 3"]]:
    """For each point the rows of its three nearest centres, nearest first, and their weights, which add up to 1.

    Weights fall with the squared distance, as Point-SAM's do; they are made for its clouds of radius 1. Like the rows
    they depend on the coordinates alone, so one table serves every interpolation of a cloud.

    Raises:
        InputError: fewer than three centres, and what ``nearest`` refuses.
    """
    indices, distances = nearest(centres, points, _CENTRES)
    return indices, inverse_square_weights(distances)


def inverse_square_weights(distances: Float[Tensor, "*B K"]) -> Float[Tensor, "*B K"]:
    """1 / max(d², ``SQUARED_DISTANCE_FLOOR``), divided by their sum over the last axis."""
    weights = distances.square().clamp_min(SQUARED_DISTANCE_FLOOR).reciprocal()
    return weights / weights.sum(dim=-1, keepdim=True)


def interpolate(
    features: Float[Tensor, "*B L C"], indices: Int64[Tensor, "*#B N K"], weights: Float[Tensor, "*#B N K"]
) -> Float[Tensor, "*B N C"]:
    """Weighted sums of ``features``: row n is the sum over k of ``weights[n, k] * features[indices[n, k]]``.

    A table of indices and weights without (some of) the batch axes of ``features`` serves all of them. Differentiable
    in features and weights, and no gathered copy (N K C) is made. ``indices`` are trusted to be rows of ``features``.

    Raises:
        InputError: indices and weights of different shapes, batches that do not fit, two devices, weights of another
            type than features.
    """
    _check_table(features, indices, weights)
    batch, (count, channels) = features.shape[:-2], features.shape[-2:]
    table = (*batch, *indices.shape[-2:])
    rows = indices.expand(table).reshape(-1, *indices.shape[-2:])
    if len(rows) > 1:
        rows = rows + torch.arange(len(rows), device=rows.device)[:, None, None] * count
    mixed = functional.embedding_bag(
        rows.flatten(0, 1),
        features.reshape(-1, channels),
        per_sample_weights=weights.expand(table).reshape(-1, table[-1]),
        mode="sum",
    )
    return mixed.reshape(*table[:-1], channels)


def _check_table(features: Tensor, indices: Tensor, weights: Tensor) -> None:
    if indices.shape != weights.shape:
        raise InputError(f"indices have shape {tuple(indices.shape)}, weights {tuple(weights.shape)}; must be the same")
    require_one_device("features", features, "indices", indices)
    require_one_device("features", features, "weights", weights)
    if features.dtype != weights.dtype:
        raise InputError(f"features are {features.dtype}, weights {weights.dtype}; must be the same")
    table, batch = tuple(indices.shape[:-2]), tuple(features.shape[:-2])
    if len(table) > len(batch) or any(n not in (1, m) for n, m in zip(table[::-1], batch[::-1], strict=False)):
        raise InputError(f"a table of batch {table} does not serve features of batch {batch}")
