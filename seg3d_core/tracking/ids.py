"""Who may give which instance ids, so that ids of different givers never meet in one result.

Two give ids without asking each other: the tracker of a scene, which counts up from 1, and people, who accept objects
that they have clicked. What people accept is numbered within ``ACCEPTED_IDS``; the tracker steps over these numbers.
They fit in 16 bits, as label images that viewers can show need it.
"""

from __future__ import annotations

from seg3d_core.errors import InputError

ACCEPTED_IDS = range(50_001, 60_001)
"""Ids of accepted instances; each is given once."""


def next_tracked_id(after: int) -> int:
    """The tracker's next id after one of its ids; 0: the first."""
    number = after + 1
    return ACCEPTED_IDS.stop if number in ACCEPTED_IDS else number


def next_accepted_id(after: int) -> int:
    """The next id for an accepted instance; ``after`` is the highest so far, 0 where there is none.

    Raises:
        InputError: all of them have been given.
    """
    number = max(after + 1, ACCEPTED_IDS.start)
    if number not in ACCEPTED_IDS:
        raise InputError(
            f"all {len(ACCEPTED_IDS)} ids of accepted instances, {ACCEPTED_IDS.start} to {ACCEPTED_IDS.stop - 1}, "
            "have been given"
        )
    return number
