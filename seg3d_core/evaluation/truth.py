"""What is known of a scene before anything segments it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seg3d_core.evaluation.views import Views
from seg3d_core.types import LabelledCloud

Report = Callable[[float, str], None]
"""Takes what share (0..1) of the loading is done, and in words what is being done."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A labelled scene.

    Attributes:
        labelled: cloud, ids and names.
        background: ids of what is no object: floor, walls, ceiling, the table.
        up: away from the floor, any length, in the cloud's frame; for pictures.
        views: the images that the cloud was made from, where they are at hand.
    """

    labelled: LabelledCloud
    background: frozenset[int]
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    views: Views | None = None
