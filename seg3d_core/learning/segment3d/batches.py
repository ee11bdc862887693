"""Samples of a step as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, Int64
from torch import Tensor

from seg3d_core.learning.segment3d.samples import VoxelSample

_COARSEST = np.int32(16)
"""Edge of a voxel of the coarsest level, in voxels."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B scenes, one after the other; V voxels in all.

    Attributes:
        coordinates: (V, 4) number of the scene and x, y, z.
        colours: (V, 3) normalised.
        xyz: (V, 3) a point of each voxel, m.
        masks: of each scene (its masks, its voxels), or its superpoints where there are ``segments``.
        segments: (V,) superpoint of each voxel, dense from 0 in each scene; None where masks consist of voxels.
    """

    coordinates: Int32[Tensor, "V 4"]
    colours: Float32[Tensor, "V 3"]
    xyz: Float32[Tensor, "V 3"]
    masks: list[Bool[Tensor, "_ _"]]
    segments: Int64[Tensor, " V"] | None = None


def batch_of(samples: Sequence[VoxelSample], device: torch.device) -> Batch:
    """``samples`` on ``device``; at least one.

    Each is moved beside the origin, by whole voxels of the coarsest level: tables of neighbours then are as small as
    the largest scene lets them be, wherever the scenes were. Either all of them have superpoints or none.
    """
    numbers = np.repeat(np.arange(len(samples), dtype=np.int32), [len(sample) for sample in samples])
    places = np.concatenate([_beside_origin(sample.coordinates) for sample in samples])
    segments, masks = None, [sample.masks for sample in samples]
    dense = [_dense(sample.superpoints) for sample in samples if sample.superpoints is not None]
    if dense:
        segments = torch.from_numpy(np.concatenate(dense)).to(device)
        masks = [_of_superpoints(own, patches) for own, patches in zip(masks, dense, strict=True)]
    return Batch(
        torch.from_numpy(np.column_stack([numbers, places])).to(device),
        torch.from_numpy(np.concatenate([sample.colours for sample in samples])).to(device),
        torch.from_numpy(np.concatenate([sample.xyz for sample in samples])).to(device),
        [torch.from_numpy(own).to(device) for own in masks],
        segments,
    )


def _dense(superpoints: Int32[np.ndarray, " V"]) -> Int64[np.ndarray, " V"]:
    """The same patches, numbered from 0 without a gap."""
    numbers: Int64[np.ndarray, " V"] = np.unique(superpoints, return_inverse=True)[1].astype(np.int64)
    return numbers


def _of_superpoints(masks: Bool[np.ndarray, "M V"], superpoints: Int64[np.ndarray, " V"]) -> Bool[np.ndarray, "K S"]:
    """The superpoints of which more than half is in each mask; masks without any are dropped."""
    sizes = np.bincount(superpoints)
    shares = [np.bincount(superpoints, weights=mask, minlength=len(sizes)) / sizes for mask in masks]
    whole = np.array(shares).reshape(len(masks), len(sizes)) > 0.5
    kept: Bool[np.ndarray, "K S"] = whole[whole.any(axis=1)]
    return kept


def _beside_origin(coordinates: Int32[np.ndarray, "V 3"]) -> Int32[np.ndarray, "V 3"]:
    moved: Int32[np.ndarray, "V 3"] = coordinates - coordinates.min(axis=0) // _COARSEST * _COARSEST
    return moved
