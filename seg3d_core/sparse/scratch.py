"""Memory that is used again: fresh pages cost more than the rows that are gathered into them."""

from __future__ import annotations

import threading

import torch
from jaxtyping import Float


class Scratch(threading.local):
    """Grow-only buffers of one thread, one per name, type and device. Contents last until the name is asked for again.

    Buffers never reach autograd: they are used only where no gradient is recorded.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype, torch.device], torch.Tensor] = {}

    def matrix(
        self, name: str, rows: int, like: Float[torch.Tensor, "..."], columns: int
    ) -> Float[torch.Tensor, "R C"]:
        """An uninitialised matrix of the type and on the device of ``like``."""
        key = (name, like.dtype, like.device)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < rows * columns:
            # A tensor born in inference mode could not be written to outside of it.
            with torch.inference_mode(False):
                buffer = torch.empty(rows * columns * 5 // 4, dtype=like.dtype, device=like.device)
            self._buffers[key] = buffer
        return buffer[: rows * columns].view(rows, columns)

    def clear(self) -> None:
        """Forget all buffers of this thread."""
        self._buffers.clear()


SCRATCH = Scratch()


def free_scratch() -> None:
    """Give back the buffers of this thread, and what PyTorch keeps of the memory of GPUs."""
    SCRATCH.clear()
    torch.cuda.empty_cache()  # does nothing where no GPU was used
