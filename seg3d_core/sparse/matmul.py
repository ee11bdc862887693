"""The fastest dense matrix product of this installation of PyTorch, to measure others by."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch


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
