"""Layers of the Triton engine: weights as its kernels want them, and the launch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

from seg3d_core.errors import ConfigError, InputError
from seg3d_core.sparse.engines.interface import Step
from seg3d_core.sparse.engines.packages import Kernel
from seg3d_core.sparse.engines.torch_engine import stride_after
from seg3d_core.sparse.engines.triton_maps import TiledMap, tiles_of
from seg3d_core.sparse.engines.triton_tiles import (
    MIN_DEPTH,
    ROWS,
    Tile,
    choose_tile,
    depth_of_tile,
    make_tile,
    possible_widths,
)
from seg3d_core.sparse.tensor import SparseTensor

_ELEMENTS = 2**31 - 1
"""Kernels count elements in 32 bits."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights and bias, with zeros up to whole tiles, so that kernels need not ask where they end.

    Attributes:
        kernel: (K3, padded input channels, padded output channels); without padding of the input if its channels are
            too few for a product of their own.
        bias: (padded output channels,) float32.
        in_channels, out_channels: without padding.
    """

    kernel: Float[torch.Tensor, "K3 Pin Pout"]
    bias: Float[torch.Tensor, " Pout"]
    in_channels: int
    out_channels: int

    @classmethod
    def of(cls, kernel: Kernel, bias: Float[torch.Tensor, " Cout"] | None) -> Weights:
        """A copy of the weights."""
        kernel = kernel.detach().reshape(-1, *kernel.shape[-2:])
        volume, in_channels, out_channels = kernel.shape
        padded_out = max(_up_to(out_channels, width) for width in possible_widths(out_channels, kernel.dtype))
        depth = 1 if in_channels < MIN_DEPTH else depth_of_tile(in_channels, kernel.dtype)
        padded = kernel.new_zeros(volume, _up_to(in_channels, depth), padded_out)
        padded[:, :in_channels, :out_channels] = kernel
        padded_bias = torch.zeros(padded_out, device=kernel.device)
        if bias is not None:
            padded_bias[:out_channels] = bias.detach()
        return cls(padded, padded_bias, in_channels, out_channels)

    @property
    def has_few_channels(self) -> bool:
        """Whether the input has fewer channels than a product is deep."""
        return self.in_channels < MIN_DEPTH

    def check(self, x: SparseTensor) -> None:
        """Nothing, where the input fits.

        Raises:
            ConfigError: it has other channels, another type or another device.
        """
        if x.features.shape[1] != self.in_channels:
            raise ConfigError(f"kernel has {self.in_channels} input channels, the tensor {x.features.shape[1]}")
        if x.features.dtype != self.kernel.dtype:
            raise ConfigError(f"kernel is {self.kernel.dtype}, the tensor {x.features.dtype}")
        if x.features.device != self.kernel.device:
            raise ConfigError(f"kernel is on {self.kernel.device}, the tensor on {x.features.device}")


def _up_to(channels: int, multiple: int) -> int:
    return -(-channels // multiple) * multiple


@dataclass(frozen=True)
class Launcher:
    """Runs kernels on a device.

    Attributes:
        kernels: the module ``triton_kernels``.
        device: of all weights and inputs.
        processors: that the device has.
        compiles: False in Triton's interpreter.
    """

    kernels: Any
    device: torch.device
    processors: int
    compiles: bool

    def compile(self, weights: Weights) -> None:
        """Compile all that any input may need; Triton does nothing for what it has compiled before."""
        if not self.compiles:
            return
        dtype = weights.kernel.dtype
        pointers = [dtype, dtype, torch.float32, dtype, dtype, *[torch.int32] * 4]
        for rows in ROWS:
            for width in possible_widths(weights.out_channels, dtype):
                kernel, integers, sizes = self._variant(weights, make_tile(rows, width, weights.in_channels, dtype))
                with self._current():
                    kernel.warmup(*pointers, *integers, 0, 0.0, **sizes, grid=(1,))

    def launch(
        self,
        tiles: TiledMap,
        weights: Weights,
        features: Float[torch.Tensor, "V Cin"],
        residual: Float[torch.Tensor, "W Cout"] | None,
        floor: float,
    ) -> Float[torch.Tensor, "W Cout"]:
        """Convolution plus bias plus residual, raised to ``floor``; nothing here waits for the device.

        Raises:
            InputError: more elements than kernels can count.
        """
        result = features.new_empty(tiles.output_count, weights.out_channels)
        for elements in (features.numel(), result.numel(), tiles.input_rows.numel()):
            if elements > _ELEMENTS:
                raise InputError(f"a layer has {elements} elements, the limit is {_ELEMENTS}: use fewer voxels at once")
        if tiles.output_count == 0:
            return result
        tile = choose_tile(tiles.shape, weights.in_channels, weights.out_channels, features.dtype, self.processors)
        kernel, integers, sizes = self._variant(weights, tile)
        added = result if residual is None else residual.contiguous()
        pointers = [features.contiguous(), weights.kernel, weights.bias, added, result, *tiles.tensors]
        grid = (tiles.shape[0], tile.columns(weights.out_channels))
        with self._current():
            kernel[grid](*pointers, *integers, int(residual is not None), floor, **sizes)
        return result

    def _variant(self, weights: Weights, tile: Tile) -> tuple[Any, tuple[int, ...], dict[str, int]]:
        """Kernel, run-time sizes, and the sizes that it is compiled for."""
        volume, padded_in, padded_out = weights.kernel.shape
        compiled_for = {"ROWS": tile.rows, "WIDE": tile.wide, "NARROW": tile.narrow, "DEPTH": tile.depth}
        compiled_for |= {"num_warps": tile.warps, "num_stages": tile.stages}
        if weights.has_few_channels:
            few = (weights.out_channels, padded_out, volume)
            return self.kernels.convolve_few_channels, few, compiled_for | {"IN_CHANNELS": weights.in_channels}
        integers = (weights.in_channels, weights.out_channels, padded_in, padded_out, volume)
        is_whole = int(padded_in == weights.in_channels)
        return self.kernels.convolve_tiles, integers, compiled_for | {"WHOLE": is_whole}

    def _current(self) -> AbstractContextManager[Any]:
        """Triton launches on the current device."""
        return torch.cuda.device(self.device) if self.compiles else nullcontext()


@dataclass(frozen=True, eq=False)
class Layer:
    """One fused convolution.

    Attributes:
        weights: of the layer.
        step: which voxels are read and written.
        floor: least value of the result, 0 for ReLU.
        launcher: runs it.
    """

    weights: Weights
    step: Step
    floor: float
    launcher: Launcher

    @torch.no_grad()
    def __call__(self, x: SparseTensor, residual: Float[torch.Tensor, "W Cout"] | None = None) -> SparseTensor:
        """Convolution of ``x`` plus bias plus ``residual``, then ReLU where the layer has one.

        Raises:
            ConfigError: ``x`` has other channels, another type or device than the layer, or there is no finer level;
                or the residual is not of the result's shape and type.
            InputError: ``x`` is larger than kernels can count.
        """
        self.weights.check(x)
        tiles = tiles_of(x.maps, x.stride, self.step, self.launcher.processors)
        shape = (tiles.output_count, self.weights.out_channels)
        if residual is not None and (residual.shape != shape or residual.dtype != x.features.dtype):
            raise ConfigError(
                f"the residual is {tuple(residual.shape)} {residual.dtype}, the result {shape} {x.features.dtype}"
            )
        features = self.launcher.launch(tiles, self.weights, x.features, residual, self.floor)
        stride = stride_after(x.stride, self.step)
        return SparseTensor(x.maps.coordinates(stride), features, stride, x.maps)
