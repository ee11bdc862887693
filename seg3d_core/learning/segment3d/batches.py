"""Samples of a step as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32
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
        masks: of each scene (its masks, its voxels).
    """

    coordinates: Int32[Tensor, "V 4"]
    colours: Float32[Tensor, "V 3"]
    xyz: Float32[Tensor, "V 3"]
    masks: list[Bool[Tensor, "_ _"]]


def batch_of(samples: Sequence[VoxelSample], device: torch.device) -> Batch:
    """``samples`` on ``device``; at least one.

    Each is moved beside the origin, by whole voxels of the coarsest level: tables of neighbours then are as small as
    the largest scene lets them be, wherever the scenes were.
    """
    numbers = np.repeat(np.arange(len(samples), dtype=np.int32), [len(sample) for sample in samples])
    places = np.concatenate([_beside_origin(sample.coordinates) for sample in samples])
    return Batch(
        torch.from_numpy(np.column_stack([numbers, places])).to(device),
        torch.from_numpy(np.concatenate([sample.colours for sample in samples])).to(device),
        torch.from_numpy(np.concatenate([sample.xyz for sample in samples])).to(device),
        [torch.from_numpy(sample.masks).to(device) for sample in samples],
    )


def _beside_origin(coordinates: Int32[np.ndarray, "V 3"]) -> Int32[np.ndarray, "V 3"]:
    moved: Int32[np.ndarray, "V 3"] = coordinates - coordinates.min(axis=0) // _COARSEST * _COARSEST
    return moved
