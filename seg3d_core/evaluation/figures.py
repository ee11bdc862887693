"""Figures of scenes, alone and pooled, from their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from seg3d_core.evaluation.records import SceneRecord
from seg3d_core.learning.metrics import (
    RELEASED_PROTOCOL,
    ApProtocol,
    ApResult,
    Overlaps,
    SizeRange,
    average_precision,
)

Background = Literal["ignore", "remove", "count"]
"""What floor, walls, ceiling and table are.

ignore: no targets, and masks mostly on them are no mistakes. remove: their points are taken away from truth and masks
first, so that a mask is not judged by what it spills over them. count: targets like all others.
"""

PROTOCOLS = {"scored": ApProtocol(), "released": RELEASED_PROTOCOL}
"""scored: ranked by score, overlaps 0.50..0.95. released: Segment3D's own, all scores 1, overlaps 0.50..0.90."""

SIZES = {"<2k": SizeRange(largest=1999), "2k-15k": SizeRange(2000, 15_000), ">15k": SizeRange(15_001)}
"""Sizes of objects, points, by which the paper of Segment3D reports."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: of the scene, or what is pooled.
        points: of the clouds together.
        seconds: mean per cloud.
        found: masks that the protocol counts, of the sizes in question.
        all_sizes: figures of all objects.
        by_size: the same for each of ``SIZES``.
        peak_bytes: of memory, on the scene that took most; None where it was not measured.
    """

    name: str
    points: int
    seconds: float
    found: int
    all_sizes: ApResult
    by_size: dict[str, tuple[int, ApResult]]
    peak_bytes: int | None = None


def make_row(name: str, records: Sequence[SceneRecord], protocol: ApProtocol, background: Background) -> Row:
    """Figures of these scenes together; at least one."""
    overlaps = [judged(record, background) for record in records]
    return Row(
        name,
        sum(record.points for record in records),
        float(np.mean([record.seconds for record in records])),
        _found(overlaps, protocol, SizeRange()),
        average_precision(overlaps, protocol),
        {
            label: (_found(overlaps, protocol, sizes), average_precision(overlaps, protocol, sizes))
            for label, sizes in SIZES.items()
        },
        max((record.peak_bytes for record in records if record.peak_bytes is not None), default=None),
    )


def ap_over_overlap(records: Sequence[SceneRecord], background: Background, ranked: bool) -> dict[float, float]:
    """Average precision at each overlap from 0.25 to 0.95, ranked by score or with all scores equal."""
    overlaps = [judged(record, background) for record in records]
    return {
        percent / 100: average_precision(overlaps, ApProtocol((percent / 100,), ranked=ranked)).ap
        for percent in range(25, 100, 5)
    }


def judged(record: SceneRecord, background: Background) -> Overlaps:
    """The overlaps as they count under this rule for the background."""
    overlaps = record.overlaps
    if background == "count":
        return overlaps
    objects = ~record.is_background
    spilled = overlaps.shared[record.is_background].sum(axis=0) if background == "remove" else 0
    return Overlaps(
        overlaps.shared[objects],
        overlaps.target_sizes[objects],
        np.asarray(overlaps.mask_sizes - spilled, np.int64),
        overlaps.scores,
    )


def row_to_json(row: Row) -> dict[str, Any]:
    """For a file; None where a figure does not exist."""
    return {
        "name": row.name,
        "points": row.points,
        "seconds": round(row.seconds, 4),
        "peak_bytes": row.peak_bytes,
        **_figures(row.found, row.all_sizes),
        "by_size": {label: _figures(*entry) for label, entry in row.by_size.items()},
    }


def _figures(found: int, result: ApResult) -> dict[str, Any]:
    values = {name: None if np.isnan(value) else value for name, value in asdict(result).items()}
    return {"found": found, **values}


def _found(overlaps: Sequence[Overlaps], protocol: ApProtocol, sizes: SizeRange) -> int:
    smallest = max(protocol.min_region, 1)
    return sum(int(((one.mask_sizes >= smallest) & sizes.contains(one.mask_sizes)).sum()) for one in overlaps)
