"""How threads of other libraries wait."""

from __future__ import annotations

import os


def yield_while_waiting() -> None:
    """Let threads of OpenMP that wait for each other sleep instead of spin; OMP_WAIT_POLICY, where it is set, is kept.

    A robot's cores are never idle, and a thread that spins keeps the one it waits for from running: Segment3D nano on
    two cores, one of them busy, took five times as long. Libraries read this when they are loaded: call it before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
