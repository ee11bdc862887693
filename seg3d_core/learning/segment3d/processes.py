"""Devices and processes of a training, through Lightning Fabric; under torchrun as many as it starts.

Processes share gradients (DistributedDataParallel), batch statistics and the denominators of losses, so that several of
them learn what one would from all their samples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from seg3d_core.devices import choose_device
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig
from seg3d_core.sparse.layers import BatchNorm


def start_processes(config: Segment3DTrainingConfig) -> Fabric:
    """This process among those that train together.

    Raises:
        DeviceError: CUDA is asked for and is not there.
    """
    device = choose_device(config.device)
    # torchrun says how many processes there are; otherwise Fabric starts them.
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", config.devices))
    nodes = int(os.environ.get("WORLD_SIZE", devices)) // devices
    mixed = None if config.precision == "32-true" else _MixedPrecision(config.precision, device.type)
    fabric = Fabric(
        accelerator=device.type,
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        plugins=mixed,
    )
    fabric.launch()
    if config.threads:
        torch.set_num_threads(config.threads)
    return fabric


@contextmanager
def joined_processes(config: Segment3DTrainingConfig) -> Iterator[Fabric]:
    """This process among those that train together; they leave together, too.

    Raises:
        DeviceError: CUDA is asked for and is not there.
    """
    fabric = start_processes(config)
    try:
        yield fabric
        fabric.barrier()
    finally:
        # A process that ends as a member of the group may be aborted by threads of gloo that still talk to the others.
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def means_over_processes(fabric: Fabric, own: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """Of numbers that every process has."""
    return own if fabric.world_size == 1 else cast(Tensor, fabric.all_reduce(own, reduce_op="mean"))


def any_process(fabric: Fabric, own: bool) -> bool:
    """Whether it is true of any of them."""
    if fabric.world_size == 1:
        return own
    return bool(means_over_processes(fabric, torch.tensor([float(own)], device=fabric.device)).item() > 0)


def share_batch_statistics(network: nn.Module) -> None:
    """Let every batch normalisation see the voxels of all processes."""
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.bn = _SharedBatchNorm.like(module.bn)


class _MixedPrecision(MixedPrecision):
    """Layers choose their types; places stay as precise as they come."""

    def convert_input(self, data: Any) -> Any:
        return data


class _SharedBatchNorm(nn.BatchNorm1d):
    """PyTorch's own synchronised one is for GPUs alone."""

    @classmethod
    def like(cls, norm: nn.BatchNorm1d) -> _SharedBatchNorm:
        shared = cls(norm.num_features, norm.eps, norm.momentum)
        shared.load_state_dict(norm.state_dict())
        return shared.to(norm.weight.device)

    def forward(self, x: Float[Tensor, "V C"]) -> Float[Tensor, "V C"]:
        if not self.training:
            normalised: Tensor = super().forward(x)
            return normalised
        kind, x = x.dtype, x.float()
        totals = _sum_over_processes(torch.cat([x.sum(0), x.new_tensor([float(len(x))])]))
        count = totals[-1].detach()
        mean = totals[:-1] / count
        variance = _sum_over_processes((x - mean).square().sum(0)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return ((x - mean) * scale + self.bias).to(kind)

    @torch.no_grad()
    def _remember(self, mean: Float[Tensor, " C"], variance: Float[Tensor, " C"]) -> None:
        momentum = cast(float, self.momentum)
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(variance, momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)


def _sum_over_processes(values: Tensor) -> Tensor:
    differentiable: Any = all_reduce
    return cast(Tensor, differentiable(values))
