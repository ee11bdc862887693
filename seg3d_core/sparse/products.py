"""The arithmetic of every sparse convolution: gather rows, multiply, add up."""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch.autograd.function import once_differentiable

from seg3d_core.sparse import compiled_products
from seg3d_core.sparse.compiled_products import PackedKernel
from seg3d_core.sparse.kernel_maps import KernelMap
from seg3d_core.sparse.pair_tiles import PairTiles
from seg3d_core.sparse.scratch import SCRATCH

IM2COL_CHANNELS = 8
"""Up to this many input channels all neighbours are gathered, absent ones as zeros: one product, nothing to add up."""

IM2COL_ELEMENTS = 2**24
"""Size of the matrix of neighbours that is filled at a time: 64 MB in float32."""


def convolve_pairs(
    features: Float[torch.Tensor, "V Cin"], kernel: Float[torch.Tensor, "K3 Cin Cout"], pairs: KernelMap | PairTiles
) -> Float[torch.Tensor, "W Cout"]:
    """out[o] = sum of features[i] @ kernel[r] over the pairs (i, o) of every kernel row r. Differentiable once.

    Tiles are for float32 and float64 on a CPU, lists for all else.
    """
    apply: Any = _PairConvolution.apply
    return cast(torch.Tensor, apply(features, kernel, pairs))


class _PairConvolution(torch.autograd.Function):
    """Keeps its input alone for the backward pass, not the rows gathered from it."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, kernel: torch.Tensor, pairs: KernelMap | PairTiles) -> torch.Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.pairs = pairs
        return _sum_of_products(features, kernel, pairs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        to_features = to_kernel = None
        if ctx.needs_input_grad[0]:
            to_features = _sum_of_products(gradient, kernel.transpose(1, 2), ctx.pairs.transposed)
        if ctx.needs_input_grad[1]:
            to_kernel = _kernel_gradient(features, gradient, ctx.pairs)
        return to_features, to_kernel, None


def _sum_of_products(features: torch.Tensor, kernel: torch.Tensor, pairs: KernelMap | PairTiles) -> torch.Tensor:
    if isinstance(pairs, PairTiles):
        return compiled_products.sum_of_products(features, PackedKernel.of(kernel), pairs)
    if features.shape[1] <= IM2COL_CHANNELS and pairs.identity is not None:
        return _by_neighbour_matrix(features, kernel, pairs)
    result = features.new_empty(pairs.output_count, kernel.shape[2])
    if pairs.identity is None:
        result.zero_()
    else:
        torch.mm(features, kernel[pairs.identity], out=result)
    for weights, inputs, outputs in zip(kernel, pairs.input_rows, pairs.output_rows, strict=True):
        gathered = SCRATCH.matrix("gathered", len(inputs), features, features.shape[1])
        product = SCRATCH.matrix("product", len(inputs), features, kernel.shape[2])
        torch.index_select(features, 0, inputs, out=gathered)
        result.index_add_(0, outputs, torch.mm(gathered, weights, out=product))
    return result


def _by_neighbour_matrix(features: torch.Tensor, kernel: torch.Tensor, pairs: KernelMap) -> torch.Tensor:
    """All neighbours of a voxel side by side in one row, times all kernel rows below each other."""
    channels = features.shape[1]
    padded = SCRATCH.matrix("padded", len(features) + 1, features, channels)
    padded[:-1] = features
    padded[-1] = 0
    weights = kernel.reshape(-1, kernel.shape[2])
    result = features.new_empty(pairs.output_count, kernel.shape[2])
    count = max(1, IM2COL_ELEMENTS // len(weights))
    for start in range(0, pairs.output_count, count):
        neighbours = pairs.neighbours[start : start + count]
        gathered = SCRATCH.matrix("gathered", neighbours.numel(), features, channels)
        torch.index_select(padded, 0, neighbours.view(-1), out=gathered)
        torch.mm(gathered.view(len(neighbours), -1), weights, out=result[start : start + count])
    return result


def _kernel_gradient(features: torch.Tensor, gradient: torch.Tensor, pairs: KernelMap | PairTiles) -> torch.Tensor:
    """Sum over the pairs of each kernel row of the outer products of input and output gradient."""
    if isinstance(pairs, PairTiles):
        return compiled_products.kernel_gradient(features, gradient, pairs)
    result = features.new_empty(len(pairs.input_rows), features.shape[1], gradient.shape[1])
    for row, (inputs, outputs) in enumerate(zip(pairs.input_rows, pairs.output_rows, strict=True)):
        left = SCRATCH.matrix("gathered", len(inputs), features, features.shape[1])
        right = SCRATCH.matrix("gradients", len(inputs), gradient, gradient.shape[1])
        torch.index_select(features, 0, inputs, out=left)
        torch.index_select(gradient, 0, outputs, out=right)
        torch.mm(left.t(), right, out=result[row])
    if pairs.identity is not None:
        torch.mm(features.t(), gradient, out=result[pairs.identity])
    return result
