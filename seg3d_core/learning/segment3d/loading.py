"""Samples of each step, drawn from the seed and the number of the step alone, made ahead by other processes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from jaxtyping import Int64
from torch.utils.data import DataLoader, Dataset

from seg3d_core.data.scenes import SceneFolder, find_scene_folders
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.learning.segment3d.augmentation import kept_rows, move, recolour
from seg3d_core.learning.segment3d.data_settings import DataConfig
from seg3d_core.learning.segment3d.rehearsal import MixedSource
from seg3d_core.learning.segment3d.samples import TrainingCloud, VoxelSample, cut_around, voxel_sample
from seg3d_core.learning.segment3d.sources import CachedSource, CloudSource, cloud_source

_LOGGER = logging.getLogger(__name__)

FEWEST_VOXELS = 100
"""A sample of fewer has next to nothing in its coarsest level, and another one is taken."""

_ATTEMPTS = 20
"""Clouds in a row that cannot be used: more are no accident."""

_AN_ORDER = 1
"""Keeps the random numbers of an epoch's order apart from those of a sample."""


@dataclass(frozen=True)
class Share:
    """Which of the samples of a step a process gets: the ``index``-th part of ``count``.

    Together the processes see what one would see with ``count`` times the batch.

    Raises:
        ConfigError: there is no such part.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(f"process {self.index} of {self.count}: must be 0 to {self.count - 1}")


class Samples(Dataset[list[VoxelSample]]):
    """The samples of each step, the same in whatever process and order they are asked for.

    Every cloud is seen once in an epoch, in an order drawn for it. A cloud that cannot be used is said once and
    replaced by a random one.

    Args:
        source: of the clouds.
        config: how many, and how they are changed.
        seed: draws orders and changes.
        share: of this process.
    """

    def __init__(self, source: CloudSource, config: DataConfig, seed: int, share: Share | None = None) -> None:
        self._source, self._config, self._seed = source, config, seed
        self._share = share or Share()
        self._refused: set[int] = set()

    def __getitem__(self, step: int) -> list[VoxelSample]:
        batch = self._config.batch
        first = (step * self._share.count + self._share.index) * batch
        return [self.sample(number) for number in range(first, first + batch)]

    def sample(self, number: int) -> VoxelSample:
        """The ``number``-th sample of the whole training.

        Raises:
            InputError: many clouds in a row cannot be used.
        """
        rng = np.random.default_rng((self._seed, number))
        epoch, place = divmod(number, len(self._source))
        index = int(_order(self._seed, epoch, len(self._source))[place])
        for _ in range(_ATTEMPTS):
            try:
                return make_sample(rng, self._source.read(index), self._config)
            except InputError as error:
                self._refuse(index, error)
                index = int(rng.integers(len(self._source)))
        raise InputError(f"{_ATTEMPTS} of {len(self._source)} clouds in a row cannot be learned from, see the log")

    def _refuse(self, index: int, error: InputError) -> None:
        if index not in self._refused:
            self._refused.add(index)
            _LOGGER.warning("a cloud is left out (%d so far), another one is taken: %s", len(self._refused), error)


def make_sample(rng: np.random.Generator, cloud: TrainingCloud, config: DataConfig) -> VoxelSample:
    """A cloud, changed at random and cut into voxels.

    Raises:
        InputError: it has fewer than ``FEWEST_VOXELS``, or is too large to be distorted.
    """
    rows = kept_rows(rng, cloud.points, config.augmentation)
    if not len(rows):
        raise InputError(f"{cloud.name} has no points")
    points = move(rng, cloud.points[rows], config.augmentation)
    recoloured = partial(recolour, rng, config=config.augmentation)
    sample = voxel_sample(cloud, rows, points, config.voxel_size_m, config.fewest_voxels, recoloured)
    if config.max_voxels:
        sample = cut_around(rng, sample, config.max_voxels, config.fewest_voxels)
    if len(sample) < FEWEST_VOXELS:
        raise InputError(f"{cloud.name} has {len(sample)} voxels, at least {FEWEST_VOXELS} are needed")
    return sample


def load_samples(
    config: DataConfig,
    scenes: Sequence[SceneFolder],
    first_step: int,
    steps: int,
    seed: int,
    share: Share | None = None,
) -> Iterator[tuple[int, list[VoxelSample]]]:
    """Step and samples, from ``first_step`` to ``steps - 1``, made ahead in ``config.workers`` processes.

    Raises:
        ConfigError: none of the scenes has what is to be learned.
        InputError: while it is read: many clouds in a row cannot be used.
    """
    cached = CachedSource(_all_clouds(scenes, config), config.cache_mb * 1_000_000 // max(1, config.workers))
    numbers = range(first_step, steps)
    loader = DataLoader(
        Samples(cached, config, seed, share),
        batch_size=None,
        sampler=numbers,
        num_workers=config.workers,
        collate_fn=_as_it_is,
        prefetch_factor=config.ahead if config.workers else None,
        # One of its own: drawing from PyTorch's would make a training that goes on differ from one that never stopped.
        generator=torch.Generator(),
        # A fork would inherit the threads of PyTorch and numba, but not what they wait for.
        multiprocessing_context="forkserver" if config.workers else None,
    )
    return zip(numbers, loader, strict=True)


def steps_in_epoch(config: DataConfig, scenes: Sequence[SceneFolder], share: Share | None = None) -> int:
    """Steps after which all clouds have been seen, the last one rounded up.

    Raises:
        ConfigError: none of the scenes has what is to be learned.
    """
    seen = config.batch * (share or Share()).count
    return -(-len(_all_clouds(scenes, config)) // seen)


def _all_clouds(scenes: Sequence[SceneFolder], config: DataConfig) -> CloudSource:
    """Of ``scenes``, and those that are rehearsed."""
    rehearsal, source = config.rehearsal, cloud_source(scenes, config)
    if not rehearsal.scenes:
        return source
    known = config.model_copy(update={"targets": rehearsal.targets})
    return MixedSource(source, cloud_source(find_scene_folders(rehearsal.scenes), known), rehearsal.share)


def _as_it_is(samples: list[VoxelSample]) -> list[VoxelSample]:
    return samples


@lru_cache(4)
def _order(seed: int, epoch: int, count: int) -> Int64[np.ndarray, " C"]:
    return np.random.default_rng((seed, epoch, _AN_ORDER)).permutation(count)
