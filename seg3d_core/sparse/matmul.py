"""The fastest matrix product that this installation of PyTorch has for a tile."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from jaxtyping import Float

from seg3d_core.sparse.scratch import SCRATCH

ONEDNN_CHANNELS = 64
"""From this width on oneDNN gains more than it loses by allocating its result."""


class Multiplier:
    """Products of gathered rows with the rows of a kernel; for where no gradient is recorded.

    Args:
        kernel: (K^3, Cin, Cout), in any memory layout.
        longest: largest number of rows that will be multiplied at once.
    """

    def __init__(self, kernel: Float[torch.Tensor, "K3 Cin Cout"], longest: int) -> None:
        is_wide = min(kernel.shape[1:]) >= ONEDNN_CHANNELS
        is_plain = kernel.dtype == torch.float32 and kernel.device.type == "cpu"
        self._linear = onednn_linear() if is_wide and is_plain else None
        if self._linear is None:
            self._weights = kernel.unbind(0)
            self._result = SCRATCH.matrix("product", longest, kernel, kernel.shape[2])
        else:
            self._weights = kernel.transpose(1, 2).unbind(0)

    def __call__(self, rows: torch.Tensor, kernel_row: int) -> torch.Tensor:
        """``rows`` (R, Cin) times one row of the kernel: (R, Cout), valid until the next call."""
        weights = self._weights[kernel_row]
        if self._linear is None:
            return torch.mm(rows, weights, out=self._result[: len(rows)])
        return cast(torch.Tensor, self._linear(rows, weights, None, "none", [], ""))


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
