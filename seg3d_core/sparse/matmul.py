"""The fastest matrix product that this installation of PyTorch has for a tile."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from jaxtyping import Float

from seg3d_core.sparse.scratch import SCRATCH

ONEDNN_CHANNELS = 64
"""From this width on oneDNN gains more than it loses by allocating its result."""


def product(
    rows: Float[torch.Tensor, "R Cin"], weights: Float[torch.Tensor, "Cin Cout"]
) -> Float[torch.Tensor, "R Cout"]:
    """``rows @ weights``, valid until the next call of this thread. Records no gradient."""
    if min(weights.shape) >= ONEDNN_CHANNELS and rows.dtype == torch.float32 and rows.device.type == "cpu":
        linear = onednn_linear()
        if linear is not None:
            result: torch.Tensor = linear(rows, weights.t(), None, "none", [], "")
            return result
    return torch.mm(rows, weights, out=SCRATCH.matrix("product", len(rows), rows, weights.shape[1]))


@cache
def onednn_linear() -> Any:
    """oneDNN's float32 linear operator; None where PyTorch lacks it or it is not exact to float32.

    ``torch.mm`` uses MKL, which is up to twice slower on processors of other makers.
    """
    operator = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if operator is None:
        return None
    with torch.no_grad():
        sample = torch.linspace(-1, 1, 64 * 64).reshape(64, 64)
        try:
            result = operator(sample, sample.t(), None, "none", [], "")
        except (RuntimeError, TypeError):
            return None
        return operator if torch.allclose(result, sample @ sample, rtol=1e-5, atol=1e-5) else None
