"""Sums of products on a CPU: compiled loops that read rows where they lie and add up in registers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from seg3d_core.sparse.pair_tiles import PairTiles
from seg3d_core.sparse.products_kernels import add_kernel_gradient, multiply_tiles
from seg3d_core.sparse.register_kernels import BLOCK_BYTES
from seg3d_core.threads import share_out

TYPES = (torch.float32, torch.float64)
"""What is compiled."""


@dataclass(frozen=True, eq=False)
class PackedKernel:
    """A kernel in the order in which it is read.

    Attributes:
        blocks: (K^3, blocks, Cin, BLOCK): groups of output channels, the last filled up with zeros.
        channels: Cout.
    """

    blocks: Float[Tensor, "K3 N Cin BLOCK"]
    channels: int

    @classmethod
    def of(cls, kernel: Float[Tensor, "K3 Cin Cout"]) -> PackedKernel:
        """The same numbers, copied."""
        block = BLOCK_BYTES // kernel.element_size()
        volume, width, channels = kernel.shape
        padded = functional.pad(kernel.detach(), (0, -channels % block))
        return cls(padded.view(volume, width, -1, block).transpose(1, 2).contiguous(), channels)


def sum_of_products(
    features: Float[Tensor, "V Cin"],
    kernel: PackedKernel,
    pairs: PairTiles,
    bias: Float[Tensor, " Cout"] | None = None,
    residual: Float[Tensor, "W Cout"] | None = None,
    relu: bool = False,
) -> Float[Tensor, "W Cout"]:
    """Sum over pairs (i, o) of features[i] times their kernel row, plus what is given; then ReLU if asked for."""
    _, blocks, _, block = kernel.blocks.shape
    out = features.new_empty(pairs.output_count, blocks * block)
    bias = features.new_zeros(kernel.channels) if bias is None else bias
    residual = features.new_empty(0, kernel.channels) if residual is None else residual
    work = partial(
        cast(Any, multiply_tiles),
        _array(features),
        _array(kernel.blocks),
        pairs.starts,
        pairs.inputs,
        pairs.outputs,
        pairs.tile_rows,
        _array(bias),
        _array(residual),
        relu,
        _array(out),
    )

    share_out(work, pairs.starts[:: pairs.volume], torch.get_num_threads())
    return out if out.shape[1] == kernel.channels else out[:, : kernel.channels].contiguous()


def kernel_gradient(
    features: Float[Tensor, "V Cin"], gradient: Float[Tensor, "W Cout"], pairs: PairTiles
) -> Float[Tensor, "K3 Cin Cout"]:
    """Of each kernel row, the sum over its pairs of the outer products of input and output gradient."""
    block = BLOCK_BYTES // features.element_size()
    channels = gradient.shape[1]
    padded = functional.pad(gradient, (0, -channels % block))
    out = features.new_zeros(pairs.volume, features.shape[1], padded.shape[1])
    pair_arrays = (pairs.starts, pairs.inputs, pairs.outputs)
    work = partial(cast(Any, add_kernel_gradient), _array(features), _array(padded), *pair_arrays, block, _array(out))

    share_out(work, np.arange(pairs.volume + 1), torch.get_num_threads())
    return out[..., :channels].contiguous()


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().contiguous().numpy()
    return array
