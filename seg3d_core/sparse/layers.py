"""Layers with MinkowskiEngine's parameter names, shapes and initial values."""

from __future__ import annotations

import math

import torch
from torch import nn

from seg3d_core.errors import ConfigError
from seg3d_core.sparse import functional
from seg3d_core.sparse.tensor import SparseTensor


class Convolution(nn.Module):
    """Convolution of stride 1 (odd size) or 2 (size 2, 3 or 5).

    Parameters: ``kernel`` (K^3, Cin, Cout), or (Cin, Cout) for size 1; ``bias`` (1, Cout) where asked for.

    Raises:
        ConfigError: this size does not exist at this stride.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__()
        sizes = {1: (1, 3, 5, 7), 2: (2, 3, 5)}.get(stride, ())
        if kernel_size not in sizes:
            raise ConfigError(f"no convolution of size {kernel_size} and stride {stride}: sizes are {sizes}")
        self.stride = stride
        shape = (in_channels, out_channels) if kernel_size == 1 else (kernel_size**3, in_channels, out_channels)
        self.kernel = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(1, out_channels)) if bias else None
        _initialise(self.kernel, self.bias, in_channels * kernel_size**3)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features of the same voxels, or of the next coarser level."""
        convolve = functional.convolve if self.stride == 1 else functional.convolve_down
        return convolve(x, self.kernel, self.bias)


class TransposedConvolution(nn.Module):
    """Transposed convolution of size and stride 2 onto the voxels that the finer level had.

    Parameters: ``kernel`` (8, Cin, Cout); ``bias`` (1, Cout) where asked for.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(8, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(1, out_channels)) if bias else None
        _initialise(self.kernel, self.bias, out_channels * 8)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features of the next finer level."""
        return functional.convolve_up(x, self.kernel, x.stride // 2, self.bias)


class BatchNorm(nn.Module):
    """Batch normalisation of the features; the parameters are those of ``bn``, a ``torch.nn.BatchNorm1d``."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(channels, eps=eps, momentum=momentum)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Normalised features of the same voxels."""
        return x.replace(self.bn(x.features))


def _initialise(kernel: nn.Parameter, bias: nn.Parameter | None, fan: int) -> None:
    """Uniform within 1 / sqrt(fan)."""
    bound = 1 / math.sqrt(fan)
    for parameter in (kernel, bias):
        if parameter is not None:
            nn.init.uniform_(parameter, -bound, bound)
