"""Point-SAM at several sizes: a cloud, its first click, and a later click with the mask before."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32

from seg3d_core.benchmark.flops import peak_gflops
from seg3d_core.benchmark.measured import Measured
from seg3d_core.benchmark.memory import peak_bytes
from seg3d_core.benchmark.point_sam_flops import Operations
from seg3d_core.benchmark.rooms import room_points
from seg3d_core.devices import DTYPES, device_text
from seg3d_core.point_sam.predictor import PointSam
from seg3d_core.point_sam_config import PromptModelConfig, patches_for
from seg3d_core.prompting import make_point_sam
from seg3d_core.stages import recorded
from seg3d_core.types import Cloud, Prompt

STAGES = ("groups", "patches", "transformer")
"""Stages of encoding a cloud in their order; what is between them is counted as ``other``."""

CLICKS = ("click", "click with mask")


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        config: the network and how it is run; clouds are encoded whole.
        threads: of PyTorch on the CPU; 0 = as many as it takes by itself.
        repeats: runs of which the median is reported, after one that is not counted.
    """

    config: PromptModelConfig
    threads: int
    repeats: int


@dataclass(frozen=True)
class Measurement(Measured):
    """One size; ``gflop`` of all but the groups.

    Attributes:
        points: of the cloud.
        patches, patch_size: as they were chosen for it.
        stage_gflop: of each stage that multiplies matrices.
    """

    points: int
    patches: int
    patch_size: int
    stage_gflop: dict[str, float]

    family: ClassVar[str] = "Point-SAM"
    unit: ClassVar[str] = "points"
    counted: ClassVar[tuple[str, ...]] = ("patches", "transformer", *CLICKS)
    counted_name: ClassVar[str] = "network"

    @property
    def size(self) -> int:
        """Points."""
        return self.points

    @property
    def encode_ms(self) -> float:
        """All that happens when a cloud arrives."""
        return self.total_ms - sum(self.stage_ms[name] for name in CLICKS)

    def recompute_ratio(self, click: str) -> float:
        """How much longer ``click`` would take if the cloud were encoded again for it."""
        return (self.encode_ms + self.stage_ms[click]) / self.stage_ms[click]

    def stage_share(self, name: str) -> float:
        """What part of ``peak_gflops`` a stage reaches."""
        return self.stage_gflop[name] / self.stage_ms[name] * 1e3 / self.peak_gflops

    @property
    def ratios(self) -> dict[str, str]:
        """Shares of the peak, and what it saves not to encode again."""
        shares = {f"{name} of peak": f"{self.stage_share(name):.0%}" for name in self.counted}
        return {**shares, **{f"{name} saves": f"{self.recompute_ratio(name):.0f}x" for name in CLICKS}}


def measure(plan: Plan, points: int) -> Measurement:
    """Measure one size in this process.

    Raises:
        ConfigError, CheckpointError, DeviceError: as ``make_point_sam`` does.
        InputError: as ``PointSam`` does.
    """
    if plan.threads:
        torch.set_num_threads(plan.threads)
    settings = plan.config.point_sam
    model: PointSam = make_point_sam(plan.config.model, settings)
    cloud = room_points(points)
    memory = peak_bytes(partial(_timed, model, cloud), model.device)
    runs = [_timed(model, cloud) for _ in range(plan.repeats)]
    stages = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    operations = Operations(model.config, points, *patches_for(points, settings, model.config.tokenizer))
    gflop = operations.stages()
    return Measurement(
        stage_ms={name: stages[name] for name in (*STAGES, "other", *CLICKS)},
        total_ms=stages["total"],
        peak_bytes=memory,
        gflop=sum(gflop.values()),
        peak_gflops=peak_gflops(model.device, DTYPES[settings.precision]),
        device=device_text(model.device),
        threads=torch.get_num_threads(),
        points=points,
        patches=operations.patches,
        patch_size=operations.patch_size,
        stage_gflop=gflop,
    )


def _timed(model: PointSam, cloud: Cloud) -> dict[str, float]:
    """Milliseconds of encoding by stage, of two clicks, and of all."""
    wait = partial(torch.cuda.synchronize, model.device) if model.device.type == "cuda" else None
    first, second = cloud.points[len(cloud) // 3], cloud.points[len(cloud) // 2]
    with recorded(wait) as times:
        started = times.now_ms()
        model.set_cloud(cloud)
        encoded = times.now_ms()
        mask: Float32[np.ndarray, " N"] = model.predict(Prompt.click(*first)).mask_logits[0]
        clicked = times.now_ms()
        model.predict(Prompt(np.stack([first, second]), np.array([True, False])), mask_input=mask)
        ended = times.now_ms()
    stages = {name: times.milliseconds[name] for name in STAGES}
    other = encoded - started - sum(stages.values())
    clicks = dict(zip(CLICKS, (clicked - encoded, ended - clicked), strict=True))
    return {**stages, "other": other, **clicks, "total": ended - started}
