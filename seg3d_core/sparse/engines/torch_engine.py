"""The default engine: runs wherever PyTorch does."""

from __future__ import annotations

import torch
from jaxtyping import Float

from seg3d_core.errors import ConfigError
from seg3d_core.sparse import functional
from seg3d_core.sparse.engines.interface import FusedConvolution, Step
from seg3d_core.sparse.kernel_maps import KernelMap
from seg3d_core.sparse.products import convolve_pairs
from seg3d_core.sparse.tensor import SparseTensor

_HALVES = (torch.float16, torch.bfloat16)


class TorchEngine:
    """Gathers rows, multiplies and adds up.

    Args:
        device: of the weights and inputs.
    """

    name = "torch"

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def convolution(
        self,
        kernel: Float[torch.Tensor, "K3 Cin Cout"] | Float[torch.Tensor, "Cin Cout"],
        bias: Float[torch.Tensor, " Cout"] | None,
        step: Step,
        relu: bool = False,
    ) -> FusedConvolution:
        """The layer with these weights.

        Raises:
            ConfigError: the kernel has another size than the step, is on another device, or in half precision on a CPU.
        """
        if kernel.device.type != self._device.type:
            raise ConfigError(f"the kernel is on {kernel.device}, the engine on {self._device}")
        if kernel.device.type == "cpu" and kernel.dtype in _HALVES:
            raise ConfigError(f"{kernel.dtype} is for CUDA devices; a CPU computes in float32 or float64")
        size = 1 if kernel.ndim == 2 else functional.kernel_size_of(kernel)
        if size != step.kernel_size:
            raise ConfigError(f"the kernel has size {size}, its step {step.kernel_size}")
        return _Layer(kernel.detach(), bias, step, relu)

    def prepare(self, x: SparseTensor, steps: list[tuple[int, Step]]) -> None:
        """Make the kernel maps of layers that read the level of a stride and take a step."""
        for stride, step in steps:
            if step.kernel_size > 1:
                _ = _kernel_map(x, stride, step).tiles


class _Layer:
    def __init__(
        self,
        kernel: Float[torch.Tensor, "..."],
        bias: Float[torch.Tensor, " Cout"] | None,
        step: Step,
        relu: bool,
    ) -> None:
        self._kernel = kernel
        self._bias = bias
        self._step = step
        self._relu = relu

    @torch.no_grad()
    def __call__(self, x: SparseTensor, residual: Float[torch.Tensor, "W Cout"] | None = None) -> SparseTensor:
        if self._kernel.ndim == 2:
            features = x.features @ self._kernel
        else:
            features = convolve_pairs(x.features, self._kernel, _kernel_map(x, x.stride, self._step))
        for added in (self._bias, residual):
            if added is not None:
                features += added
        if self._relu:
            features.relu_()
        stride = stride_after(x.stride, self._step)
        return SparseTensor(x.maps.coordinates(stride), features, stride, x.maps)


def stride_after(stride: int, step: Step) -> int:
    """Stride of the level that a step from the level of ``stride`` leads to."""
    return {"same": stride, "down": 2 * stride, "up": stride // 2}[step.direction]


def _kernel_map(x: SparseTensor, stride: int, step: Step) -> KernelMap:
    if step.direction == "same":
        return x.maps.centred(stride, step.kernel_size)
    if step.direction == "down":
        return x.maps.down(stride, step.kernel_size)
    return x.maps.up(stride // 2)
