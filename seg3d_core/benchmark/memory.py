"""Peak memory of a piece of work."""

from __future__ import annotations

from collections.abc import Callable

import torch

from seg3d_core.resident_memory import peak_resident_bytes


def peak_bytes(work: Callable[[], object], device: torch.device) -> int | None:
    """How much more memory ``work`` needed at its worst than was in use before; None where the system cannot tell.

    On the CPU this is the resident set of the whole process: memory that an earlier piece of work left to the process
    is not seen, so measure in a fresh one.
    """
    if device.type != "cuda":
        return peak_resident_bytes(work)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before)
