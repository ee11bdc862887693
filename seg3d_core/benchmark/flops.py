"""Arithmetic: what the convolutions of a network ask for, and what the machine can do."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from jaxtyping import Float

from seg3d_core.sparse.engines.interface import Engine, FusedConvolution, Step
from seg3d_core.sparse.matmul import onednn_linear
from seg3d_core.sparse.tensor import SparseTensor


class CountingEngine:
    """Another engine whose floating-point operations are counted: two for each pair of voxels and of channels."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.flops = 0
        self._engine = engine

    def convolution(
        self,
        kernel: Float[torch.Tensor, "K3 Cin Cout"] | Float[torch.Tensor, "Cin Cout"],
        bias: Float[torch.Tensor, " Cout"] | None,
        step: Step,
        relu: bool = False,
    ) -> FusedConvolution:
        """The layer of the other engine."""
        channels = int(kernel.shape[-2] * kernel.shape[-1])
        return _Counted(self._engine.convolution(kernel, bias, step, relu), channels, step, self)


@dataclass(frozen=True)
class _Counted:
    layer: FusedConvolution
    channels: int
    step: Step
    count: CountingEngine

    def __call__(self, x: SparseTensor, residual: Float[torch.Tensor, "W Cout"] | None = None) -> SparseTensor:
        self.count.flops += 2 * self.channels * _pairs(x, self.step)
        return self.layer(x, residual)


def _pairs(x: SparseTensor, step: Step) -> int:
    if step.kernel_size == 1:
        return len(x)
    if step.direction == "same":
        return x.maps.centred(x.stride, step.kernel_size).pair_count
    if step.direction == "down":
        return x.maps.down(x.stride, step.kernel_size).pair_count
    return x.maps.up(x.stride // 2).pair_count


def peak_gflops(device: torch.device, dtype: torch.dtype, rounds: int = 5) -> float:
    """Billions of floating-point operations per second of one large matrix product: the best of ``rounds``.

    On the CPU by oneDNN, or by torch's own product where that is missing; with torch's number of threads.
    """
    size = 8192 if device.type == "cuda" else 1536
    matrix = torch.rand(size, size, device=device, dtype=dtype)
    linear = onednn_linear() if device.type == "cpu" and dtype == torch.float32 else None
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        matrix @ matrix if linear is None else linear(matrix, matrix, None, "none", [], "")
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times[1:]) / 1e9
