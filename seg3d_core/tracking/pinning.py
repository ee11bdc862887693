"""Instances that people have accepted, in the results of a segmenter that knows nothing of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seg3d_core.errors import InputError
from seg3d_core.types import Instances

_RESIDUE = 0.25
"""An instance that keeps a smaller share of its points than this, was the accepted one: what is left are its edges."""


def pin(found: Instances, pinned: Instances) -> Instances:
    """Both results in one: ``pinned`` as they are, first, and of ``found`` what is not theirs.

    Every point of a pinned instance is taken out of those that were found. What loses more than three quarters of
    itself goes; what remains keeps its id and score. Pinned instances without a point here are left out.

    Args:
        found: what a segmenter found, with its ids.
        pinned: of the same points; their ids are none of ``found``.

    Raises:
        InputError: the two are of clouds of different length, or an id is in both.
    """
    if len(pinned.cloud) != len(found.cloud):
        raise InputError(f"instances of {len(pinned.cloud)} points cannot be pinned in {len(found.cloud)} points")
    if shared := sorted(set(pinned.instance_ids.tolist()) & set(found.instance_ids.tolist())):
        raise InputError(f"instance ids {shared} are pinned and found: each giver of ids needs numbers of its own")
    here = pinned.masks.any(axis=1)
    if not here.any():
        return found
    taken = pinned.masks.any(axis=0)
    before = found.masks.sum(axis=1)
    rest = found.masks & ~taken
    left = rest.sum(axis=1)
    kept = (left == before) | (left >= _RESIDUE * before)
    return replace(
        found,
        masks=np.concatenate([pinned.masks[here], rest[kept]]),
        scores=np.concatenate([pinned.scores[here], found.scores[kept]]),
        instance_ids=np.concatenate([pinned.instance_ids[here], found.instance_ids[kept]]),
    )
