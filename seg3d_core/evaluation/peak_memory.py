"""How much memory a model takes for a scene, each time in a process of its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from seg3d_core.errors import InputError
from seg3d_core.evaluation.models import make_model
from seg3d_core.evaluation.views import Views
from seg3d_core.evaluation_config import EvaluationConfig
from seg3d_core.optional import import_with_torch
from seg3d_core.resident_memory import peak_resident_bytes
from seg3d_core.types import Cloud


def peak_bytes(config: EvaluationConfig, cloud: Cloud, views: Views | None) -> int | None:
    """Peak while ``cloud`` is segmented, beyond model and cloud: of the GPU where the model is on one, else resident.

    None where the system cannot tell. A fresh process finds nothing that earlier scenes have left behind; it makes the
    model anew, which takes seconds.

    Raises:
        InputError: the model refuses the scene, or memory ran out.
    """
    # fork would take over threads and memory of this process.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, config, cloud, views).result()
        except BrokenProcessPool as error:
            raise InputError("the process that measures memory was killed: it probably ran out of it") from error


def _measure(config: EvaluationConfig, cloud: Cloud, views: Views | None) -> int | None:
    model = make_model(config)
    model.warm_up(cloud, views)
    work = partial(model.segment, cloud, views)
    device = model.device
    if device is None:
        return peak_resident_bytes(work)
    measured: int | None = import_with_torch("seg3d_core.benchmark.memory", "memory of a GPU").peak_bytes(work, device)
    return measured
