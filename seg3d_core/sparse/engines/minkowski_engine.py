"""MinkowskiEngine 0.5.4 (Choy et al. 2019) as an engine, where it is installed: on the CPU, or on CUDA if so built.

Its kernel layout is ours. Its coordinate manager is given the voxels of every level in our order, so that on the CPU no
row moves at all; its CUDA build may keep them in another order, which is then undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64

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

_INSTALL = (
    "git clone https://github.com/NVIDIA/MinkowskiEngine && cd MinkowskiEngine && python setup.py install "
    "--blas=openblas (15 minutes; needs a C++ compiler, libopenblas-dev and setuptools before 80; for CUDA 12 and "
    "later the changes of its issues 543 and 601)"
)

_ABILITIES = Abilities(
    "MinkowskiEngine",
    {"same": (1, 3, 5, 7), "down": (2, 3, 5), "up": (2,)},
    (torch.float32, torch.float64),
)


class MinkowskiEngine:
    """Runs layers with the functions of the package.

    Raises:
        ConfigError: the package is missing (with how to install it), or not built for the device.
    """

    name = "minkowski"

    def __init__(self, device: torch.device) -> None:
        self._package = imported("MinkowskiEngine", self.name, _INSTALL)
        self._modes = imported("MinkowskiEngineBackend._C", self.name, _INSTALL).ConvolutionMode
        if device.type not in ("cpu", "cuda"):
            raise ConfigError(f"MinkowskiEngine runs on cpu and cuda, not on {device}")
        if device.type == "cuda" and not self._package.is_cuda_available():
            raise ConfigError(f"the installed MinkowskiEngine was built for the CPU only, {device} was asked for")
        self._device = device

    def convolution(
        self, kernel: Kernel, bias: Float[torch.Tensor, " Cout"] | None, step: Step, relu: bool = False
    ) -> FusedConvolution:
        """The layer with these weights.

        Raises:
            ConfigError: the package has no such kernel size or type, or the kernel is on another device.
        """
        _ABILITIES.check(kernel, step, self._device)
        product = matrix_product(kernel) if step.kernel_size == 1 else self._product(kernel, step)
        return PackageConvolution.of(product, kernel, bias, step, relu)

    def _product(self, kernel: Kernel, step: Step) -> Product:
        package = self._package
        is_up = step.direction == "up"
        function = package.MinkowskiConvolutionTransposeFunction if is_up else package.MinkowskiConvolutionFunction
        generator = package.KernelGenerator(
            kernel_size=step.kernel_size, stride=1 if step.direction == "same" else 2, is_transpose=is_up, dimension=3
        )
        return _Product(package, function, kernel.detach().contiguous(), generator, self._modes.DEFAULT)


@dataclass(frozen=True, eq=False)
class _Product:
    """One call of the package."""

    package: Any
    function: Any
    kernel: Float[torch.Tensor, "K3 Cin Cout"]
    generator: Any
    mode: Any

    def __call__(
        self, features: Float[torch.Tensor, "V Cin"], maps: CoordinateMaps, stride: int, to_stride: int
    ) -> Float[torch.Tensor, "W Cout"]:
        levels = maps.cached(MinkowskiEngine.name, lambda: _Levels(self.package, features.is_cuda))
        source, target = levels.level(stride, maps), levels.level(to_stride, maps)
        result = self.function.apply(
            source.theirs(features), self.kernel, self.generator, self.mode, source.key, target.key, levels.manager
        )
        return target.ours(result)


@dataclass(frozen=True, eq=False)
class _Level:
    """The voxels of one stride as the package knows them.

    Attributes:
        key: their name there.
        rows: (V,) our row of each of its rows, and
        places: (V,) its row of each of ours; None where the order is the same.
    """

    key: Any
    rows: Int64[torch.Tensor, " V"] | None
    places: Int64[torch.Tensor, " V"] | None

    def theirs(self, features: Float[torch.Tensor, "V C"]) -> Float[torch.Tensor, "V C"]:
        """Rows in the order of the package."""
        return features.contiguous() if self.rows is None else features.index_select(0, self.rows)

    def ours(self, features: Float[torch.Tensor, "V C"]) -> Float[torch.Tensor, "V C"]:
        """Rows in our order."""
        return features if self.places is None else features.index_select(0, self.places)


class _Levels:
    """The package's coordinate manager of one input; it keeps the kernel maps."""

    def __init__(self, package: Any, on_cuda: bool) -> None:
        types = package.CoordinateMapType
        self.manager = package.CoordinateManager(D=3, coordinate_map_type=types.CUDA if on_cuda else types.CPU)
        self._levels: dict[int, _Level] = {}

    def level(self, stride: int, maps: CoordinateMaps) -> _Level:
        """The level of a stride, inserted when first asked for."""
        if stride not in self._levels:
            key, (rows, _) = self.manager.insert_and_map(maps.coordinates(stride).contiguous(), [stride] * 3, "")
            rows = rows.long()
            is_same = rows.equal(torch.arange(len(rows), device=rows.device))
            self._levels[stride] = _Level(key, None, None) if is_same else _Level(key, rows, rows.argsort())
        return self._levels[stride]
