"""spconv 2.3.8 (Yan 2018) as an engine, on CUDA alone.

Its CPU path adds up wrongly and without a word as soon as it has more than one thread, so that the CPU is refused.

spconv counts cells of a box from 0: every level is moved and divided by its stride. Where the voxels stay, so do the
rows; the rows of coarser levels come in an order of its own, which is undone here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int32, Int64

from seg3d_core.errors import ConfigError
from seg3d_core.sparse.coordinates import CoordinateMaps
from seg3d_core.sparse.engines.interface import FusedConvolution, Step
from seg3d_core.sparse.engines.packages import (
    Abilities,
    Kernel,
    PackageConvolution,
    Product,
    imported,
    matrix_product,
)

_INSTALL = "pip install spconv-cu126==2.3.8 (x86-64; cu118, cu121 and cu124 for PyTorch of those versions of CUDA)"

_PAIRS = "pairs"
"""Name of the pairs of rows in the dictionary of a level."""

_PROBE_CHANNELS = 8
"""Width of a convolution that is run for its pairs alone."""


class SpconvEngine:
    """Runs layers with the modules of the package.

    Raises:
        ConfigError: the device is not a CUDA device, or the package is missing (with how to install it) or a CPU build.
    """

    name = "spconv"
    abilities = Abilities("spconv", {"same": (1, 3, 5, 7), "down": (2,), "up": (2,)}, (torch.float32, torch.float16))

    def __init__(self, device: torch.device) -> None:
        self._refuse_cpu(device)
        self._package = imported("spconv.pytorch", self.name, _INSTALL)
        self._refuse_cpu_build()
        self._device = device

    def convolution(
        self, kernel: Kernel, bias: Float[torch.Tensor, " Cout"] | None, step: Step, relu: bool = False
    ) -> FusedConvolution:
        """The layer with these weights.

        Raises:
            ConfigError: the package has no such kernel size or type, or the kernel is on another device.
        """
        self.abilities.check(kernel, step, self._device)
        product = matrix_product(kernel) if step.kernel_size == 1 else self._product(kernel, step)
        return PackageConvolution.of(product, kernel, bias, step, relu)

    def _refuse_cpu(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise ConfigError(
                f"engine spconv runs on cuda alone, {device} was asked for: with more than one thread spconv's CPU "
                "path gives wrong results (relative error 0.3) without saying so"
            )

    def _refuse_cpu_build(self) -> None:
        if imported("spconv.cppconstants", self.name, _INSTALL).CPU_ONLY_BUILD:
            raise ConfigError(f"the installed spconv was built for the CPU only. Install it with: {_INSTALL}")

    def _product(self, kernel: Kernel, step: Step) -> Product:
        channels = kernel.shape[1:]
        settings = {"kernel_size": step.kernel_size, "bias": False, "indice_key": _PAIRS}
        # Created without memory and without drawing random numbers.
        with torch.device("meta"):
            if step.direction == "same":
                product: _Same | _Down | _Up = _Same(self._package, self._package.SubMConv3d(*channels, **settings))
            elif step.direction == "down":
                product = _Down(self._package, self._package.SparseConv3d(*channels, stride=2, **settings))
            else:
                product = _Up(self._package, self._package.SparseInverseConv3d(*channels, **settings))
        weight = _their_layout(kernel.detach(), step.kernel_size)
        product.layer.weight = torch.nn.Parameter(weight, requires_grad=False)
        product.layer.eval()
        return product


def _their_layout(kernel: Float[torch.Tensor, "K3 Cin Cout"], size: int) -> Float[torch.Tensor, "Cout K K K Cin"]:
    """The kernel with output channels first and x slowest."""
    return kernel.reshape(size, size, size, *kernel.shape[1:]).permute(4, 2, 1, 0, 3).contiguous()


@dataclass(frozen=True, eq=False)
class _Product:
    """One call of the package."""

    package: Any
    layer: Any

    def level(self, maps: CoordinateMaps, stride: int) -> _Level:
        return maps.cached((SpconvEngine.name, stride), lambda: _Level.of(maps.coordinates(stride), stride))


class _Same(_Product):
    """Convolution that leaves the voxels."""

    def __call__(
        self, features: Float[torch.Tensor, "V Cin"], maps: CoordinateMaps, stride: int, to_stride: int
    ) -> Float[torch.Tensor, "V Cout"]:
        level = self.level(maps, stride)
        known = level.pairs.setdefault(self.layer.kernel_size[0], {})
        result = self.layer(level.tensor(self.package, features, known))
        known.update(result.indice_dict)
        return cast(torch.Tensor, result.features)


class _Down(_Product):
    """Convolution onto the next coarser level."""

    def __call__(
        self, features: Float[torch.Tensor, "V Cin"], maps: CoordinateMaps, stride: int, to_stride: int
    ) -> Float[torch.Tensor, "W Cout"]:
        # The package refuses to use the pairs of such a layer again in another one.
        result = self.layer(self.level(maps, stride).tensor(self.package, features, {}))
        # Its order of rows may be another one each time.
        coarse = _Coarse.of(result)
        maps.cached((SpconvEngine.name, stride, to_stride), lambda: coarse)
        return cast(torch.Tensor, result.features).index_select(0, coarse.places)


class _Up(_Product):
    """Transposed convolution onto the next finer level."""

    def __call__(
        self, features: Float[torch.Tensor, "W Cin"], maps: CoordinateMaps, stride: int, to_stride: int
    ) -> Float[torch.Tensor, "V Cout"]:
        coarse = maps.cached(
            (SpconvEngine.name, to_stride, stride), lambda: self._probed(self.level(maps, to_stride), features)
        )
        theirs = torch.empty_like(features).index_copy_(0, coarse.places, features)
        return cast(torch.Tensor, self.layer(coarse.tensor.replace_feature(theirs)).features)

    def _probed(self, fine: _Level, like: Float[torch.Tensor, "W C"]) -> _Coarse:
        """The pairs, where no layer has gone down from the finer level."""
        with torch.device("meta"):
            layer = self.package.SparseConv3d(_PROBE_CHANNELS, _PROBE_CHANNELS, 2, 2, bias=False, indice_key=_PAIRS)
        layer.weight = torch.nn.Parameter(like.new_zeros(layer.weight.shape), requires_grad=False)
        zeros = like.new_zeros(len(fine.indices), _PROBE_CHANNELS)
        return _Coarse.of(layer.eval()(fine.tensor(self.package, zeros, {})))


@dataclass(frozen=True, eq=False)
class _Level:
    """The voxels of one stride as the package wants them.

    Attributes:
        indices: (V, 4) batch index and cell, counted from 0; even along every axis where the parent starts.
        shape: cells along each axis, even, so that no parent is cut off.
        batch_size: one more than the largest batch index.
        pairs: by kernel size, what the package knows of convolutions that leave the voxels.
    """

    indices: Int32[torch.Tensor, "V 4"]
    shape: list[int]
    batch_size: int
    pairs: dict[int, dict[str, Any]]

    @classmethod
    def of(cls, coordinates: Int32[torch.Tensor, "V 4"], stride: int) -> _Level:
        """The level with these voxels, of which there is one at least."""
        lowest, highest = coordinates.aminmax(dim=0)
        lowest[0] = 0
        lowest[1:] = lowest[1:].div(2 * stride, rounding_mode="floor") * (2 * stride)
        indices = coordinates - lowest
        indices[:, 1:] = indices[:, 1:].div(stride, rounding_mode="floor")
        cells = [(value // (2 * stride) + 1) * 2 for value in (highest - lowest)[1:].tolist()]
        return cls(indices, cells, int(highest[0]) + 1, {})

    def tensor(self, package: Any, features: Float[torch.Tensor, "V C"], pairs: dict[str, Any]) -> Any:
        """The package's tensor on these voxels."""
        return package.SparseConvTensor(features, self.indices, self.shape, self.batch_size, indice_dict=pairs)


@dataclass(frozen=True, eq=False)
class _Coarse:
    """The next coarser level as a layer of the package made it.

    Attributes:
        tensor: the package's tensor with its voxels, and the pairs that lead back to the finer level.
        places: (W,) its row of each of our rows.
    """

    tensor: Any
    places: Int64[torch.Tensor, " W"]

    @classmethod
    def of(cls, result: Any) -> _Coarse:
        """The level that a layer's output lies on; the output itself is not kept."""
        return cls(result.replace_feature(result.features.new_empty(len(result.features), 0)), _places(result))


def _places(result: Any) -> Int64[torch.Tensor, " W"]:
    """Row of each of our rows in the output of a layer: ours ascend by batch, x, y and z."""
    size_x, size_y, size_z = result.spatial_shape
    batch, x, y, z = result.indices.long().unbind(1)
    keys: torch.Tensor = ((batch * size_x + x) * size_y + y) * size_z + z
    return keys.argsort()
