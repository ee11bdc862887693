"""What every scene segmenter looks like from outside, and how one is chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from seg3d_core.baselines.graph import GraphSegmenter
from seg3d_core.config import GraphConfig
from seg3d_core.errors import ConfigError
from seg3d_core.types import Cloud, Instances


@runtime_checkable
class Segmenter(Protocol):
    """Finds all instances of a cloud. Implementations are deterministic: same cloud, same result."""

    def segment(self, cloud: Cloud) -> Instances:
        """Instances of ``cloud``, best score first, ids 1..Q (a tracker replaces them by stable ones).

        Raises:
            InputError: the cloud cannot be segmented (for example fewer points than the method needs).
        """
        ...


def make_segmenter(model: str, graph: GraphConfig) -> Segmenter:
    """The segmenter of that name (see ``config.Model``), with its settings.

    Raises:
        ConfigError: no segmenter has that name; the message lists those that exist.
    """
    makers: dict[str, Callable[[], Segmenter]] = {"graph": lambda: GraphSegmenter(graph)}
    if model not in makers:
        raise ConfigError(f"model = {model!r}: unknown, known are {', '.join(sorted(makers))}")
    return makers[model]()
