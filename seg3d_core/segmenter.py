"""What every scene segmenter looks like from outside, and how one is chosen by name."""

from __future__ import annotations

from typing import Protocol

from seg3d_core.types import Cloud, Instances


class Segmenter(Protocol):
    """Finds all instances of a cloud. Implementations are deterministic: same cloud, same result."""

    def segment(self, cloud: Cloud) -> Instances:
        """Instances of ``cloud``, best score first, ids 1..Q (a tracker replaces them by stable ones).

        Raises:
            InputError: the cloud cannot be segmented (for example fewer points than the method needs).
        """
        ...
