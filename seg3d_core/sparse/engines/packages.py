"""What engines have in common that are other people's packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float

from seg3d_core.errors import ConfigError
from seg3d_core.sparse.coordinates import CoordinateMaps
from seg3d_core.sparse.engines.interface import Step
from seg3d_core.sparse.functional import kernel_size_of
from seg3d_core.sparse.tensor import SparseTensor

Kernel = Float[torch.Tensor, "K3 Cin Cout"] | Float[torch.Tensor, "Cin Cout"]
Direction = Literal["same", "down", "up"]


@dataclass(frozen=True)
class Abilities:
    """What a package can do.

    Attributes:
        package: its name.
        sizes: kernel sizes by direction.
        dtypes: types of weights and features.
    """

    package: str
    sizes: Mapping[Direction, Sequence[int]]
    dtypes: Sequence[torch.dtype]

    def check(self, kernel: Kernel, step: Step, device: torch.device) -> None:
        """Nothing, where the package can run a layer.

        Raises:
            ConfigError: it cannot, or the kernel is of another size than the step, or on another device.
        """
        size = 1 if kernel.ndim == 2 else kernel_size_of(kernel)
        if size != step.kernel_size:
            raise ConfigError(f"kernel is of size {size}, the step of size {step.kernel_size}")
        sizes = self.sizes[step.direction]
        if size not in sizes:
            known = ", ".join(map(str, sizes))
            raise ConfigError(
                f"{self.package} has no kernel of size {size} in direction {step.direction}, only {known}"
            )
        if kernel.dtype not in self.dtypes:
            raise ConfigError(f"{self.package} has {', '.join(map(str, self.dtypes))}, not {kernel.dtype}")
        if kernel.device.type != device.type:
            raise ConfigError(f"kernel is on {kernel.device}, the engine on {device}")


@runtime_checkable
class Product(Protocol):
    """The part of a layer that a package runs."""

    def __call__(
        self, features: Float[torch.Tensor, "V Cin"], maps: CoordinateMaps, stride: int, to_stride: int
    ) -> Float[torch.Tensor, "W Cout"]:
        """Products without bias, from the level of ``stride`` to that of ``to_stride``; rows in the order of ``maps``.

        The result is new memory. Neither level is empty.
        """
        ...


@dataclass(frozen=True, eq=False)
class PackageConvolution:
    """One layer: checks, the product of a package, then bias, residual and ReLU.

    Attributes:
        product: what the package runs.
        channels: of input and output.
        like: an element of the type and on the device of the weights.
        bias: added to every voxel, or None.
        step: which voxels are read and written.
        relu: whether negative sums become zero.
    """

    product: Product
    channels: tuple[int, int]
    like: Float[torch.Tensor, ""]
    bias: Float[torch.Tensor, " Cout"] | None
    step: Step
    relu: bool

    @classmethod
    def of(
        cls, product: Product, kernel: Kernel, bias: Float[torch.Tensor, " Cout"] | None, step: Step, relu: bool
    ) -> PackageConvolution:
        """The layer around the product with ``kernel``."""
        return cls(product, (kernel.shape[-2], kernel.shape[-1]), kernel.new_empty(()), bias, step, relu)

    @torch.no_grad()
    def __call__(self, x: SparseTensor, residual: Float[torch.Tensor, "W Cout"] | None = None) -> SparseTensor:
        """Convolution of ``x`` plus bias plus ``residual``, then ReLU where the layer has one.

        Raises:
            ConfigError: ``x`` has other channels, another type or device than the layer, or there is no finer level.
        """
        self._check(x)
        to_stride = self._to_stride(x)
        coordinates = x.maps.coordinates(to_stride)
        if len(x) and len(coordinates):
            features = self.product(x.features, x.maps, x.stride, to_stride)
        else:
            features = x.features.new_zeros(len(coordinates), self.channels[1])
        if self.bias is not None:
            features.add_(self.bias)
        if residual is not None:
            features.add_(residual)
        return SparseTensor(coordinates, features.relu_() if self.relu else features, to_stride, x.maps)

    def _check(self, x: SparseTensor) -> None:
        if x.features.shape[1] != self.channels[0]:
            raise ConfigError(f"kernel has {self.channels[0]} input channels, the tensor {x.features.shape[1]}")
        if x.features.dtype != self.like.dtype:
            raise ConfigError(f"kernel is {self.like.dtype}, the tensor {x.features.dtype}")
        if x.features.device != self.like.device:
            raise ConfigError(f"kernel is on {self.like.device}, the tensor on {x.features.device}")

    def _to_stride(self, x: SparseTensor) -> int:
        """Stride of the output, whose level exists from here on."""
        if self.step.direction == "same":
            return x.stride
        if self.step.direction == "down":
            x.maps.coarser(x.stride)
            return 2 * x.stride
        if x.stride // 2 not in x.maps.strides:
            raise ConfigError(f"there is no finer level than stride {x.stride}; levels are {x.maps.strides}")
        return x.stride // 2


@dataclass(frozen=True, eq=False)
class MatrixProduct:
    """Every voxel times a matrix, which no package does better than PyTorch."""

    matrix: Float[torch.Tensor, "Cin Cout"]

    def __call__(
        self, features: Float[torch.Tensor, "V Cin"], maps: CoordinateMaps, stride: int, to_stride: int
    ) -> Float[torch.Tensor, "V Cout"]:
        """``features`` times the matrix."""
        return features @ self.matrix


def matrix_product(kernel: Kernel) -> MatrixProduct:
    """The product with a kernel of size 1, however it is written."""
    return MatrixProduct(kernel.detach().reshape(kernel.shape[-2:]))


def imported(module: str, what: str, install: str) -> Any:
    """A package that not every installation has.

    Args:
        module: what to import.
        what: the engine that needs it.
        install: the command that installs it.

    Raises:
        ConfigError: it is missing or broken; the message says how to get it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"engine {what} needs {module}: {error}. Install it with: {install}") from error
