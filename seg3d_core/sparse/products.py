"""The arithmetic of every sparse convolution: gather rows, multiply, add up."""

from __future__ import annotations

import torch
from jaxtyping import Float

from seg3d_core.sparse.kernel_maps import KernelMap


def convolve_pairs(
    features: Float[torch.Tensor, "V Cin"], kernel: Float[torch.Tensor, "K3 Cin Cout"], pairs: KernelMap
) -> Float[torch.Tensor, "W Cout"]:
    """out[o] = sum of features[i] @ kernel[r] over the pairs (i, o) of every kernel row r."""
    if pairs.identity is not None:
        result = features @ kernel[pairs.identity]
    else:
        result = features.new_zeros(pairs.output_count, kernel.shape[2])
    for weights, inputs, outputs in zip(kernel, pairs.input_rows, pairs.output_rows, strict=True):
        if len(inputs):
            result = result.index_add(0, outputs, features.index_select(0, inputs) @ weights)
    return result
