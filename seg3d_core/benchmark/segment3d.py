"""Segment3D at several sizes, each in a process of its own."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from seg3d_core.benchmark.flops import CountingEngine, peak_gflops
from seg3d_core.benchmark.measured import Measured
from seg3d_core.benchmark.memory import peak_bytes
from seg3d_core.benchmark.rooms import room_cloud
from seg3d_core.devices import DTYPES, device_text
from seg3d_core.errors import ConfigError
from seg3d_core.segment3d.checkpoint import load_network
from seg3d_core.segment3d.inference import InferenceNetwork
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d.predictor import Segment3D
from seg3d_core.segment3d.voxel_input import voxel_input
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DSettings
from seg3d_core.sparse.engines.choice import choose_engine
from seg3d_core.stages import recorded
from seg3d_core.types import Cloud

STAGES = ("voxelize", "superpoints", "layout", "maps", "backbone", "decoder", "postprocess")
"""Stages of a segmentation in their order; what is between them is counted as ``other``."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        model: preset or checkpoint.
        settings: of the predictor.
        threads: of PyTorch on the CPU; 0 = as many as it takes by itself.
        repeats: runs of which the median is reported, after one that is not counted.
    """

    model: str
    settings: Segment3DSettings
    threads: int
    repeats: int


@dataclass(frozen=True)
class Measurement(Measured):
    """One size; ``stage_ms`` of each of ``STAGES`` that ran, and ``other``; ``gflop`` of the backbone.

    Attributes:
        voxels, points: size of the cloud.
        instances: found.
        engine: by what the backbone was computed.
    """

    voxels: int
    points: int
    instances: int
    engine: str

    family: ClassVar[str] = "Segment3D"
    unit: ClassVar[str] = "voxels"
    counted: ClassVar[tuple[str, ...]] = ("maps", "backbone")
    counted_name: ClassVar[str] = "backbone"

    @property
    def size(self) -> int:
        """Voxels."""
        return self.voxels

    @property
    def how(self) -> str:
        """By what it was computed, for a heading."""
        return f"engine {self.engine}, {self.threads} threads"


def measure(plan: Plan, voxels: int) -> Measurement:
    """Measure one size in this process.

    Raises:
        ConfigError, CheckpointError, DeviceError: as ``Segment3D`` does.
        InputError: memory ran out.
    """
    if plan.threads:
        torch.set_num_threads(plan.threads)
    network = _network(plan.model)
    cloud = room_cloud(voxels, plan.settings.voxel_edge_m)
    predictor = Segment3D(network, plan.settings)
    device = predictor.device
    memory = peak_bytes(lambda: predictor.segment(cloud), device)
    runs = [_timed(predictor, cloud) for _ in range(plan.repeats)]
    found = predictor.segment(cloud)
    stages = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return Measurement(
        voxels=voxels,
        points=len(cloud),
        instances=len(found),
        stage_ms={name: stages[name] for name in (*STAGES, "other") if name in stages},
        total_ms=stages["total"],
        peak_bytes=memory,
        gflop=_gflop(network, cloud, plan.settings, device),
        peak_gflops=peak_gflops(device, DTYPES[plan.settings.precision]),
        device=device_text(device),
        engine=choose_engine(plan.settings.engine, device).name,
        threads=torch.get_num_threads(),
    )


def _network(model: str) -> Segment3DNetwork:
    if model not in SEGMENT3D_PRESETS:
        if not Path(model).is_file():
            raise ConfigError(
                f"model = {model!r}: neither one of {', '.join(SEGMENT3D_PRESETS)} nor a file that exists"
            )
        return load_network(model)
    torch.manual_seed(0)
    return Segment3DNetwork(SEGMENT3D_PRESETS[model]).eval()


def _timed(predictor: Segment3D, cloud: Cloud) -> dict[str, float]:
    """Milliseconds of each stage, of what is between them, and of all."""
    device = predictor.device
    wait = (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else None
    with recorded(wait) as times:
        started = times.now_ms()
        predictor.segment(cloud)
        total = times.now_ms() - started
    return {**times.milliseconds, "other": total - sum(times.milliseconds.values()), "total": total}


def _gflop(network: Segment3DNetwork, cloud: Cloud, settings: Segment3DSettings, device: torch.device) -> float:
    """Of the backbone on all voxels at once: where memory allows only tiles, their overlap is not counted."""
    voxels = voxel_input(cloud, settings)
    counting = CountingEngine(choose_engine(settings.engine, device))
    counted = InferenceNetwork(network.to(device), counting, DTYPES[settings.precision])
    x = voxels.tensor(np.arange(len(voxels)), device)
    counted(x, torch.from_numpy(voxels.xyz).to(device), num_queries=1)
    return counting.flops / 1e9
