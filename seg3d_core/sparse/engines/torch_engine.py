"""The default engine: runs wherever PyTorch does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float

from seg3d_core.errors import ConfigError
from seg3d_core.sparse import functional
from seg3d_core.sparse.compiled_products import PackedKernel, sum_of_products
from seg3d_core.sparse.engines.interface import FusedConvolution, Step
from seg3d_core.sparse.products import convolve_pairs
from seg3d_core.sparse.tensor import SparseTensor

_HALVES = (torch.float16, torch.bfloat16)


class TorchEngine:
    """On a CPU compiled loops, elsewhere PyTorch's own operations.

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
        bias = None if bias is None else bias.detach()
        kind = _CompiledLayer if kernel.device.type == "cpu" else _Layer
        return kind(kernel.detach().reshape(-1, *kernel.shape[-2:]), bias, step, relu)

    def prepare(self, x: SparseTensor, steps: list[tuple[int, Step]]) -> None:
        """Make the kernel maps of layers that read the level of a stride and take a step."""
        for stride, step in steps:
            if self._device.type == "cpu":
                x.maps.tiles(stride, stride_after(stride, step), step.kernel_size)
            elif step.kernel_size > 1:
                x.maps.pairs(stride, stride_after(stride, step), step.kernel_size)


@dataclass(frozen=True, eq=False)
class _Layer:
    """Gathers rows, multiplies and adds up, one kernel row after the other."""

    kernel: Float[torch.Tensor, "K3 Cin Cout"]
    bias: Float[torch.Tensor, " Cout"] | None
    step: Step
    relu: bool

    @torch.no_grad()
    def __call__(self, x: SparseTensor, residual: Float[torch.Tensor, "W Cout"] | None = None) -> SparseTensor:
        """Convolution of ``x``, plus bias and residual, then ReLU."""
        check_input(x, self.kernel)
        to_stride = stride_after(x.stride, self.step)
        if self.step.kernel_size == 1:
            features = x.features @ self.kernel[0]
        else:
            features = convolve_pairs(x.features, self.kernel, x.maps.pairs(x.stride, to_stride, self.step.kernel_size))
        for added in (self.bias, residual):
            if added is not None:
                features += added
        return _at_stride(x, to_stride, features.relu_() if self.relu else features)


class _CompiledLayer:
    """One compiled loop does all; the kernel is packed for it once."""

    def __init__(
        self,
        kernel: Float[torch.Tensor, "K3 Cin Cout"],
        bias: Float[torch.Tensor, " Cout"] | None,
        step: Step,
        relu: bool,
    ) -> None:
        self._kernel = PackedKernel.of(kernel)
        self._bias = bias
        self._step = step
        self._relu = relu

    @torch.no_grad()
    def __call__(self, x: SparseTensor, residual: Float[torch.Tensor, "W Cout"] | None = None) -> SparseTensor:
        """Convolution of ``x``, plus bias and residual, then ReLU."""
        check_input(x, self._kernel.blocks)
        to_stride = stride_after(x.stride, self._step)
        tiles = x.maps.tiles(x.stride, to_stride, self._step.kernel_size)
        features = sum_of_products(x.features, self._kernel, tiles, self._bias, residual, self._relu)
        return _at_stride(x, to_stride, features)


def check_input(x: SparseTensor, weights: Float[torch.Tensor, "... Cin C"]) -> None:
    """Nothing, where ``x`` fits a layer.

    Raises:
        ConfigError: it has another number of channels, another type, or is on another device.
    """
    if x.features.shape[1] != weights.shape[-2]:
        raise ConfigError(f"kernel has {weights.shape[-2]} input channels, the tensor {x.features.shape[1]}")
    if x.features.dtype != weights.dtype:
        raise ConfigError(f"kernel is {weights.dtype}, the tensor {x.features.dtype}")
    if x.features.device != weights.device:
        raise ConfigError(f"kernel is on {weights.device}, the tensor on {x.features.device}")


def _at_stride(x: SparseTensor, stride: int, features: Float[torch.Tensor, "W C"]) -> SparseTensor:
    return SparseTensor(x.maps.coordinates(stride), features, stride, x.maps)


def stride_after(stride: int, step: Step) -> int:
    """Stride of the level that a step from the level of ``stride`` leads to."""
    return {"same": stride, "down": 2 * stride, "up": stride // 2}[step.direction]
