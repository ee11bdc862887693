"""Which of equally far points farthest point sampling takes."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

_LARGEST_BLOCK = 512
"""Threads of the released CUDA samplers; for fewer points the largest power of two that is not above their number."""


def released_order(count: int, device: torch.device) -> Int64[Tensor, " N"]:
    """Rows in the order in which the released CUDA samplers prefer them among equals; row 0 is always first.

    Their ``bs`` threads take the rows ``k % bs`` in turn, and reduce their maxima by halves: the smallest bit-reversed
    ``k % bs`` wins, then the smallest ``k``.
    """
    bits = min(_LARGEST_BLOCK.bit_length(), count.bit_length()) - 1
    row = torch.arange(count, device=device)
    thread = row % 2**bits
    reversed_thread = torch.zeros_like(row)
    for bit in range(bits):
        reversed_thread |= (thread >> bit & 1) << bits - 1 - bit
    return torch.argsort(reversed_thread, stable=True)
