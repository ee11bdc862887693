"""Samples of each step, drawn from the seed and the number of the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seg3d_core.learning.point_sam.cache import read_views
from seg3d_core.learning.point_sam.samples import Sample, draw_sample
from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig, SampleConfig
from seg3d_core.learning.point_sam.views import View

_ROOMS_IN_MEMORY = 48
"""About 5 MB each, in every worker."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Clouds of one step and the objects in them, as the network takes them.

    Attributes:
        xyz: (B, N, 3) normalised, y up.
        rgb: (B, N, 3) in -1..1.
        masks: (B, M, N).
        patches: how many the clouds are cut into.
        patch_size: points of each.
    """

    xyz: Float32[Tensor, "B N 3"]
    rgb: Float32[Tensor, "B N 3"]
    masks: Bool[Tensor, "B M N"]
    patches: int
    patch_size: int


class Batches(Dataset[Batch]):
    """The batch of each step, the same in whatever process and order it is asked for."""

    def __init__(self, config: SampleConfig, seed: int, rooms: Path) -> None:
        self._config, self._seed, self._rooms = config, seed, rooms

    def __getitem__(self, step: int) -> Batch:
        config, rng = self._config, np.random.default_rng((self._seed, step))
        points, patches, size = (
            int(rng.integers(low, high + 1)) for low, high in (config.points, config.patches, config.patch_size)
        )
        samples = [draw_sample(rng, self._views(rng), points, config.masks) for _ in range(config.clouds)]
        return batch_of(samples, patches, size)

    def _views(self, rng: np.random.Generator) -> list[View]:
        if not self._config.rooms:
            return []
        return _views(self._rooms, self._config.first_room + int(rng.integers(self._config.rooms)))


def batch_of(samples: list[Sample], patches: int, patch_size: int) -> Batch:
    """Samples of equal sizes, one after the other."""
    xyz, rgb, masks = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])) for name in ("xyz", "rgb", "masks")
    )
    return Batch(xyz, rgb, masks, patches, patch_size)


def load_batches(config: PointSamTrainingConfig, rooms: Path, first: int) -> Iterator[tuple[int, Batch]]:
    """Step and batch, from step ``first`` on, made ahead in ``config.workers`` processes."""
    steps = range(first, config.steps)
    loader = DataLoader(
        Batches(config.sample, config.seed, rooms),
        batch_size=None,
        sampler=steps,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
        multiprocessing_context="forkserver" if config.workers else None,
    )
    return zip(steps, loader, strict=True)


@lru_cache(_ROOMS_IN_MEMORY)
def _views(rooms: Path, seed: int) -> list[View]:
    return read_views(rooms, seed)
