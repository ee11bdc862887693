"""Frames labelled by a Ray cluster, as Ray Data. Scenes must lie where every machine of it finds them."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from seg3d_core.errors import ConfigError, Seg3dError
from seg3d_core.labelling.jobs import FrameJob
from seg3d_core.labelling.labeller import Result
from seg3d_core.labelling.remote import Answer, Order, RemoteLabeller
from seg3d_core.labelling.settings import LabelFramesConfig
from seg3d_core.optional import import_optional

LOCAL = "local"
"""Instead of an address: a cluster of two workers, on this machine, for as long as the work takes."""

_LOCAL_WORKERS = 2

_LOCAL_ATTEMPTS = 3
"""On a busy machine Ray's processes may not start within the 15 s that it gives them; later ones start faster."""

_ANSWER_TIMEOUT_S = 10.0

_FRAMES_PER_BLOCK = 16
"""At most; results come block by block."""


class RayCluster:
    """Frames are rows of a data set, which as many actors as there is room for label, each with a source of its own.

    Args:
        config: settings; ``workers`` is the number of actors, 0 = one for each GPU (networks) or CPU.
        address: of the cluster, as ``ray.init`` takes it ("auto", "ray://HOST:PORT"), or "local".

    Raises:
        ConfigError: Ray is not installed.
    """

    def __init__(self, config: LabelFramesConfig, address: str) -> None:
        self._config, self._address = config, address
        self._ray = import_optional("ray", "--ray", "'ray[data]'")
        self._data = import_optional("ray.data", "--ray", "'ray[data]'")

    def results(self, jobs: Sequence[FrameJob]) -> Iterator[Result]:
        """Label frames; results come as blocks of them are done.

        Raises:
            ConfigError: there is no cluster at the address.
            Seg3dError: it failed as a whole: a source cannot be made, masks cannot be written.
        """
        self._join()
        try:
            for row in self._labelled(jobs).iter_rows():
                yield Answer(row["state"], row["reason"]).about(jobs[row["row"]])
        except self._ray.exceptions.RayError as error:
            raise _explained(error) from error

    def _labelled(self, jobs: Sequence[FrameJob]) -> Any:
        """The data set of answers; nothing is done until somebody reads it."""
        gpus = self._ray.cluster_resources().get("GPU", 0) if self._config.wants_gpu else 0
        room = gpus or self._ray.cluster_resources().get("CPU", 1)
        workers = min(self._config.workers or max(int(room), 1), len(jobs))
        rows = [
            {"row": row, "scene": order.scene, "index": order.index} for row, order in enumerate(map(Order.of, jobs))
        ]
        blocks = min(len(rows), max(workers, -(-len(rows) // _FRAMES_PER_BLOCK)))
        return self._data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Worker,
            fn_constructor_args=(self._config,),
            batch_size=self._config.batch_size,
            compute=self._data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=1 if gpus else None,
        )

    def _join(self) -> None:
        """Connect, for as long as this process lives."""
        if self._ray.is_initialized():
            return
        _require_answer(self._address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        self._connect(_LOCAL_ATTEMPTS if self._address == LOCAL else 1)
        # Progress is told by us, and what goes wrong is raised.
        self._data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)

    def _connect(self, attempts: int) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._address == LOCAL:
            options |= {"num_cpus": self._config.workers or _LOCAL_WORKERS, "include_dashboard": False}
        try:
            self._ray.init(address=self._address, **options)
        # Ray raises nothing narrower where its own processes do not start in time.
        except Exception as error:
            self._ray.shutdown()
            if attempts == 1:
                raise ConfigError(f"no Ray cluster at {self._address}: {str(error).splitlines()[0]}") from error
            self._connect(attempts - 1)


def _require_answer(address: str) -> None:
    """Ray itself keeps trying for minutes where nobody answers."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_TIMEOUT_S).close()
    except OSError as error:
        raise ConfigError(f"no Ray cluster at {address}: {error.strerror or error}") from error


class _Worker:
    """In a process of the cluster."""

    def __init__(self, config: LabelFramesConfig) -> None:
        self._labeller = RemoteLabeller(config)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        orders = [Order(str(scene), int(index)) for scene, index in zip(batch["scene"], batch["index"], strict=True)]
        answers = self._labeller.label(orders)
        told = {name: np.array([getattr(answer, name) for answer in answers]) for name in ("state", "reason")}
        return {"row": batch["row"], **told}


def _explained(error: Any) -> Seg3dError:
    """What went wrong over there, in one line; our own errors as they are."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Seg3dError):
        return cause
    lines = [line for line in str(error).splitlines() if line.strip()]
    return Seg3dError(f"the Ray cluster failed: {lines[-1].strip() if lines else type(error).__name__}")
