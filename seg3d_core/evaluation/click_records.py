"""Objects that were clicked on, means over them, and the file of all."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.atomic import atomic_path


@dataclass(frozen=True)
class ObjectRecord:
    """One object of one scene.

    Attributes:
        scene: name of the scene.
        group: what the object counts with in means over scenes.
        instance_id: of the object in its scene.
        name: what it is, if the scene says so.
        points: of the object.
        cloud_points: of the scene.
        iou: after each click, 0..1.
        best_of_first: of the candidates after the first click, 0..1.
        first_s: that the model took for the first click, encoding on demand included.
        later_s: median of what it took for the later ones; NaN where there are none.
    """

    scene: str
    group: str
    instance_id: int
    name: str
    points: int
    cloud_points: int
    iou: tuple[float, ...]
    best_of_first: float
    first_s: float
    later_s: float


@dataclass(frozen=True)
class SkippedObject:
    """An object that was not clicked on, and why."""

    scene: str
    instance_id: int
    reason: str


@dataclass(frozen=True, eq=False)
class Means:
    """Figures of several objects.

    Attributes:
        objects: how many.
        iou: (C,) mean overlap after each click, 0..1.
        best_of_first: mean of the best candidate's overlap after the first click.
        first_ms: median of the first click.
        later_ms: median of the later ones; NaN where there are none.
    """

    objects: int
    iou: Float64[np.ndarray, " C"]
    best_of_first: float
    first_ms: float
    later_ms: float


def means_of(records: Sequence[ObjectRecord]) -> Means:
    """Over objects, each counting once; at least one."""
    return Means(
        len(records),
        np.mean([record.iou for record in records], axis=0),
        float(np.mean([record.best_of_first for record in records])),
        float(np.median([record.first_s for record in records]) * 1e3),
        float(np.median([record.later_s for record in records]) * 1e3),
    )


def means_by_group(records: Sequence[ObjectRecord]) -> dict[str, Means]:
    """Of every scene, or group of scenes, in the order in which they came."""
    groups = dict.fromkeys(record.group for record in records)
    return {group: means_of([record for record in records if record.group == group]) for group in groups}


def mean_over_groups(groups: Sequence[Means]) -> Means:
    """Over scenes, each counting once, however many objects it has; at least one."""
    return Means(
        sum(group.objects for group in groups),
        np.mean([group.iou for group in groups], axis=0),
        float(np.mean([group.best_of_first for group in groups])),
        float(np.median([group.first_ms for group in groups])),
        float(np.median([group.later_ms for group in groups])),
    )


def write_csv(path: Path, records: Sequence[ObjectRecord]) -> None:
    """A row for each object.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_rows(records))


def _rows(records: Sequence[ObjectRecord]) -> Iterator[list[object]]:
    clicks = len(records[0].iou) if records else 0
    names = ["scene", "group", "instance_id", "name", "points", "cloud_points", "first_ms", "later_ms", "best_of_first"]
    yield [*names, *(f"iou@{k + 1}" for k in range(clicks))]
    for record in records:
        yield [
            record.scene, record.group, record.instance_id, record.name, record.points, record.cloud_points,
            f"{record.first_s * 1e3:.1f}", f"{record.later_s * 1e3:.1f}",
            *(f"{value:.4f}" for value in (record.best_of_first, *record.iou)),
        ]  # fmt: skip
