"""What one segmenter leaves over, taken from another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seg3d_core.types import IGNORE, Cloud, Instances

if TYPE_CHECKING:
    from seg3d_core.segmenter import Segmenter

_LEAST_FREE_SHARE = 0.5
"""Of an instance that fills a gap: what is mostly taken is a seam along another instance, no thing of its own."""


@dataclass(frozen=True, eq=False)
class FilledSegmenter:
    """Segments with ``first``, and fills what that leaves over with what ``second`` finds there.

    A network misses things unlike those it was trained with; a robot would rather know that something is there.

    Attributes:
        first: its instances stay as they are.
        second: must find no overlapping instances.
    """

    first: Segmenter
    second: Segmenter

    def segment(self, cloud: Cloud) -> Instances:
        """See ``filled``.

        Raises:
            InputError: one of the two cannot segment the cloud.
        """
        return filled(self.first.segment(cloud), self.second.segment(cloud))

    @property
    def device(self) -> Any:
        """Of the first."""
        return getattr(self.first, "device", None)


def filled(instances: Instances, others: Instances) -> Instances:
    """``instances``, and the free parts of those of ``others`` that are at least half free; best score first.

    What is added scores below all that was there, in its own order: scores of two kinds cannot be compared. Ids are
    numbered anew. ``others`` must be of the same cloud and not overlap.
    """
    if len(others) == 0:
        return instances
    free = instances.labels < 0
    labels = others.labels
    sizes = np.bincount(labels[labels >= 0], minlength=len(others))
    free_sizes = np.bincount(labels[free & (labels >= 0)], minlength=len(others))
    added = np.flatnonzero((free_sizes > 0) & (free_sizes >= _LEAST_FREE_SHARE * sizes))
    number = np.full(len(others), IGNORE, np.int32)
    number[added] = np.arange(len(added), dtype=np.int32)
    fillings = Instances.from_labels(others.cloud, np.where(free & (labels >= 0), np.take(number, labels), IGNORE))
    masks = np.concatenate([instances.masks, fillings.masks])
    below = instances.scores.min(initial=1.0)
    scores = np.concatenate([instances.scores, below * others.scores[added]]).astype(np.float32)
    ids = np.arange(1, len(scores) + 1, dtype=np.int32)
    return replace(instances, masks=masks, scores=scores, instance_ids=ids)
