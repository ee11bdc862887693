"""Two sets of training clouds as one, in a stated ratio: what is new, and what is not to be forgotten."""

from __future__ import annotations

import math

from seg3d_core.errors import ConfigError
from seg3d_core.learning.segment3d.samples import TrainingCloud
from seg3d_core.learning.segment3d.sources import CloudSource


class MixedSource:
    """Every cloud of both sets at least once; those of the smaller one are repeated until the ratio is right.

    Args:
        new: the first set.
        known: the second.
        share: of the second in all that is read, 0..1, to the nearest cloud.

    Raises:
        ConfigError: the share is not between 0 and 1, or a set is empty.
    """

    def __init__(self, new: CloudSource, known: CloudSource, share: float) -> None:
        if not 0 < share < 1:
            raise ConfigError(f"the share of rehearsed clouds is {share:g}, must be above 0 and below 1")
        if not len(new) or not len(known):
            raise ConfigError(f"there are {len(new)} new clouds and {len(known)} to rehearse, both need at least 1")
        self._new, self._known = new, known
        count = max(math.ceil(len(new) / (1 - share)), math.ceil(len(known) / share))
        self._count_known = max(1, round(share * count))
        self._count_new = max(1, count - self._count_known)

    def __len__(self) -> int:
        return self._count_new + self._count_known

    def read(self, index: int) -> TrainingCloud:
        """Cloud ``index``: the new ones come first.

        Raises:
            InputError: it cannot be used.
        """
        if index < self._count_new:
            return self._new.read(index % len(self._new))
        return self._known.read((index - self._count_new) % len(self._known))
