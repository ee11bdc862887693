"""The source of masks that settings ask for."""

from __future__ import annotations

from seg3d_core.labelling.settings import LabelFramesConfig
from seg3d_core.labelling.source import MaskSource
from seg3d_core.optional import import_with_torch


def make_source(config: LabelFramesConfig, local_rank: int = 0) -> MaskSource:
    """Build the source; what it needs is imported here.

    Args:
        config: which source, and its settings.
        local_rank: CUDA device that "auto" and "cuda" mean.

    Raises:
        ConfigError: something it needs is not installed, or a setting is missing.
        CheckpointError: its weights cannot be used.
        DeviceError: the device is not there.
    """
    if config.source == "truth":
        from seg3d_core.labelling.truth import TruthMasks

        return TruthMasks(config.truth)
    if config.source == "graph":
        from seg3d_core.labelling.graph import GraphMasks

        return GraphMasks(config.graph)
    module = "segment_anything" if config.source == "segment-anything" else "sam2"
    source: MaskSource = import_with_torch(
        f"seg3d_core.labelling.{module}", f"the mask source {config.source}"
    ).open_source(config.of_source, local_rank)
    return source
