"""Memory of this process, as Linux counts it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak_resident_bytes(work: Callable[[], object]) -> int | None:
    """How much the resident set of this process grew at its worst in ``work``; None where the system cannot tell.

    Memory that an earlier piece of work left to the process is not seen: measure in a fresh one.
    """
    try:
        _CLEAR.write_text("5")  # the high-water mark starts at what is in use now
        before = _status("VmRSS")
    except OSError:
        return None
    work()
    return max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{_STATUS} has no {name}")
    return int(found[1]) * 1024
