"""Convolutions on sparse tensors.

Kernels are (K^3, Cin, Cout): row ix + K iy + K^2 iz belongs to offset (ix, iy, iz) - K // 2 for odd K and to
(ix, iy, iz) for even K, in voxels of the finer side. Nothing is flipped (cross-correlation).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float

from seg3d_core.errors import ConfigError
from seg3d_core.sparse import compiled_products
from seg3d_core.sparse.kernel_maps import KernelMap
from seg3d_core.sparse.pair_tiles import PairTiles
from seg3d_core.sparse.products import convolve_pairs
from seg3d_core.sparse.tensor import SparseTensor

Kernel = Float[torch.Tensor, "K3 Cin Cout"]
Bias = Float[torch.Tensor, "1 Cout"] | Float[torch.Tensor, " Cout"] | None


def convolve(x: SparseTensor, kernel: Kernel | Float[torch.Tensor, "Cin Cout"], bias: Bias = None) -> SparseTensor:
    """Convolution of stride 1 with an odd kernel, or a matrix applied to every voxel; the voxels stay.

    Raises:
        ConfigError: the kernel has an even size, or another number of input channels or another type than ``x``.
    """
    x, kernel = _checked(x, kernel)
    if kernel.ndim == 2:
        features = x.features @ kernel if bias is None else torch.addmm(bias, x.features, kernel)
        bias = None
    else:
        size = kernel_size_of(kernel)
        if size % 2 == 0:
            raise ConfigError(f"kernel size is {size}, at stride 1 it must be odd")
        features = convolve_pairs(x.features, kernel, pairs_of(x, x.stride, size))
    return x.replace(features if bias is None else features + bias)


def convolve_down(x: SparseTensor, kernel: Kernel, bias: Bias = None) -> SparseTensor:
    """Convolution of stride 2 onto every voxel of twice the edge that holds one of ``x``; kernel size 2, 3 or 5.

    Raises:
        ConfigError: the kernel has another number of input channels or another type than ``x``.
    """
    x, kernel = _checked(x, kernel)
    features = convolve_pairs(x.features, kernel, pairs_of(x, 2 * x.stride, kernel_size_of(kernel)))
    return _at_stride(x, 2 * x.stride, features if bias is None else features + bias)


def convolve_up(x: SparseTensor, kernel: Kernel, like: int | SparseTensor, bias: Bias = None) -> SparseTensor:
    """Transposed convolution of size and stride 2 onto the voxels of a finer level, row by row those it had.

    Args:
        x: the coarse level.
        kernel: (8, Cin, Cout).
        like: the finer level, or its stride: half of that of ``x``.
        bias: added to every voxel.

    Raises:
        ConfigError: ``like`` is no level of this input with half the stride, or channels do not fit.
    """
    x, kernel = _checked(x, kernel)
    stride = like if isinstance(like, int) else like.stride
    if 2 * stride != x.stride or stride not in x.maps.strides:
        raise ConfigError(f"cannot go from stride {x.stride} to {stride}; levels are {x.maps.strides}")
    features = convolve_pairs(x.features, kernel, pairs_of(x, stride, 2))
    return _at_stride(x, stride, features if bias is None else features + bias)


def average_pool(x: SparseTensor) -> SparseTensor:
    """Mean over the occupied children of every voxel of twice the edge."""
    parents = x.maps.parents(x.stride)
    total = x.features.new_zeros(parents.count, x.features.shape[1]).index_add(0, parents.rows, x.features)
    return _at_stride(x, 2 * x.stride, total / parents.children[:, None])


def pairs_of(x: SparseTensor, to_stride: int, kernel_size: int) -> KernelMap | PairTiles:
    """The pairs of a kernel on ``x`` in the order that suits its device and type."""
    is_compiled = x.features.device.type == "cpu" and x.features.dtype in compiled_products.TYPES
    return (x.maps.tiles if is_compiled else x.maps.pairs)(x.stride, to_stride, kernel_size)


def kernel_size_of(kernel: Kernel) -> int:
    """Edge of a kernel of K^3 rows.

    Raises:
        ConfigError: the number of rows is no cube.
    """
    size = round(math.pow(len(kernel), 1 / 3))
    if size**3 != len(kernel):
        raise ConfigError(f"kernel has {len(kernel)} rows, not the cube of its size")
    return size


def _at_stride(x: SparseTensor, stride: int, features: Float[torch.Tensor, "W C"]) -> SparseTensor:
    return SparseTensor(x.maps.coordinates(stride), features, stride, x.maps)


def _checked(x: SparseTensor, kernel: torch.Tensor) -> tuple[SparseTensor, torch.Tensor]:
    """Both as they are, or in the type that PyTorch's autocast asks for."""
    device = x.features.device.type
    if torch.is_autocast_enabled(device):
        kind = torch.get_autocast_dtype(device)
        x, kernel = x.replace(x.features.to(kind)), kernel.to(kind)
    if kernel.shape[-2] != x.features.shape[1]:
        raise ConfigError(f"kernel has {kernel.shape[-2]} input channels, the tensor {x.features.shape[1]}")
    if kernel.dtype != x.features.dtype:
        raise ConfigError(f"kernel is {kernel.dtype}, the tensor {x.features.dtype}")
    return x, kernel
