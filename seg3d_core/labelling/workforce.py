"""Who labels frames: this process, several on this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from multiprocessing import get_context
from typing import Protocol, runtime_checkable

from seg3d_core.errors import Seg3dError
from seg3d_core.labelling.jobs import FrameJob, Share
from seg3d_core.labelling.labeller import FrameLabeller, Result
from seg3d_core.labelling.remote import Answer, Order, RemoteLabeller
from seg3d_core.labelling.settings import LabelFramesConfig
from seg3d_core.labelling.source import MaskSource
from seg3d_core.labelling.sources import make_source


@runtime_checkable
class Workforce(Protocol):
    """Labels frames."""

    def results(self, jobs: Sequence[FrameJob]) -> Iterator[Result]:
        """Label frames; one result for each, as they come.

        Raises:
            InputError: masks cannot be written.
        """
        ...


def choose_workforce(config: LabelFramesConfig, ray_address: str | None, share: Share) -> Workforce:
    """A cluster where there is an address, else so many processes as the settings say.

    Raises:
        ConfigError, CheckpointError, DeviceError: the source cannot be made.
    """
    if ray_address is not None:
        from seg3d_core.labelling.ray_workforce import RayCluster

        return RayCluster(config, ray_address)
    if config.workers > 1:
        return WorkerProcesses(config, share.local_rank)
    return ThisProcess(make_source(config, share.local_rank))


def batches(jobs: Sequence[FrameJob], size: int) -> list[Sequence[FrameJob]]:
    """``size`` by ``size``, in order."""
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


class ThisProcess:
    """Frames are labelled here, batch by batch."""

    def __init__(self, source: MaskSource) -> None:
        self._labeller, self._batch_size = FrameLabeller(source), source.batch_size

    def results(self, jobs: Sequence[FrameJob]) -> Iterator[Result]:
        """Label frames in their order."""
        for batch in batches(jobs, self._batch_size):
            yield from self._labeller.label(batch)


class WorkerProcesses:
    """Several processes on this machine, each with a source of its own."""

    def __init__(self, config: LabelFramesConfig, local_rank: int) -> None:
        self._config, self._local_rank = config, local_rank

    def results(self, jobs: Sequence[FrameJob]) -> Iterator[Result]:
        """Label frames; results come in order.

        Raises:
            Seg3dError: a process ended before its time (memory), or the source cannot be made there.
        """
        # spawn: a forked process inherits locked locks of PyTorch, Numba and Open3D.
        pool = ProcessPoolExecutor(self._config.workers, get_context("spawn"))
        work = partial(_work, self._config, self._local_rank)
        parts = batches(jobs, self._config.batch_size)
        try:
            for part, answers in zip(parts, pool.map(work, map(_orders, parts)), strict=True):
                yield from (answer.about(job) for job, answer in zip(part, answers, strict=True))
        except BrokenProcessPool as error:
            raise Seg3dError("a labelling process ended before its time: too little memory for so many?") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _orders(jobs: Sequence[FrameJob]) -> list[Order]:
    return [Order.of(job) for job in jobs]


@cache
def _labeller(config: LabelFramesConfig, local_rank: int) -> RemoteLabeller:
    return RemoteLabeller(config, local_rank)


def _work(config: LabelFramesConfig, local_rank: int, orders: list[Order]) -> list[Answer]:
    """In a worker process; its source is made for the first frames, so that what is wrong with it comes back."""
    return _labeller(config, local_rank).label(orders)
