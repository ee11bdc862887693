"""How a node's process keeps its memory.

A frame takes and frees arrays and messages of some MB many times. As it comes, glibc gives such memory back to the
system at once and asks for it anew, and the system clears every page of it again when it is first touched: measured on
a virtual machine, 2 ms for a message of 7 MB that takes 0.5 ms to write. So freed memory is kept for the next frame.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_MIB = 1 << 20

LARGEST = 32 * _MIB
"""Allocations up to this size, the most that glibc allows, are reused; larger ones go back to the system."""

KEPT = 128 * _MIB
"""Free memory at the end of the heap that stays with the process."""


def keep_freed_memory() -> bool:
    """Reuse freed memory in this process from now on; False where the C library is another one than glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGEST)) and bool(mallopt(_M_TRIM_THRESHOLD, KEPT))
