"""The fastest dense matrix product of this installation of PyTorch, to measure others by."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from jaxtyping import Float


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


def packed_for_onednn(weight: Float[torch.Tensor, "O I"], rows: int) -> torch.Tensor:
    """A copy of ``weight`` in the order in which ``onednn_linear`` reads it, for inputs of about so many rows.

    Only that operator can use the copy. Where there is none, or it packs nothing, the weight itself.
    """
    pack = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
    if onednn_linear() is None or pack is None:
        return weight
    packed: torch.Tensor = pack(weight.detach().contiguous(), rows)
    return packed
