"""What every scene segmenter looks like from outside, and how one is chosen by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

from seg3d_core.baselines.graph import GraphSegmenter
from seg3d_core.checkpoints.shipped import shipped
from seg3d_core.config import MODELS, PROPOSALS_MODEL, SegmentConfig
from seg3d_core.errors import ConfigError
from seg3d_core.filling import FilledSegmenter
from seg3d_core.optional import import_with_torch
from seg3d_core.prompting import make_proposals
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DSettings
from seg3d_core.types import Cloud, Instances

_SHIPPED = {"nano": "segment3d_nano"}
"""Weights that come with the package, and the names of their files."""


@runtime_checkable
class Segmenter(Protocol):
    """Finds all instances of a cloud. Implementations are deterministic: same cloud, same result."""

    def segment(self, cloud: Cloud) -> Instances:
        """Instances of ``cloud``, best score first, ids 1..Q (a tracker replaces them by stable ones).

        Raises:
            InputError: the cloud cannot be segmented (for example fewer points than the method needs).
        """
        ...


def make_segmenter(config: SegmentConfig) -> Segmenter:
    """The segmenter that ``config.model`` names, with its settings; weights are on their device when it returns.

    Raises:
        ConfigError: no segmenter has that name and no such file exists (the message lists the names), a setting is not
            for this device, or PyTorch is needed and missing.
        CheckpointError: the file is of no Segment3D or Point-SAM network.
        DeviceError: the device asked for is not there.
    """
    if config.model == "graph":
        return GraphSegmenter(config.graph)
    if config.model == PROPOSALS_MODEL:
        segmenter: Segmenter = make_proposals(config.point_sam_proposals)
        return segmenter
    network = _segment3d(config.model, config.segment3d)
    return FilledSegmenter(network, GraphSegmenter(config.graph)) if _is_filled(config) else network


def segment3d_weights(model: str) -> Path | None:
    """The file of weights that ``model`` names; None for a preset, whose weights are random.

    Raises:
        ConfigError: no segmenter has that name and no such file exists; the message lists the names.
    """
    if model in _SHIPPED:
        return shipped(_SHIPPED[model])
    if model in SEGMENT3D_PRESETS:
        return None
    if not Path(model).is_file():
        raise ConfigError(f"model = {model!r}: neither one of {', '.join(MODELS)} nor a file that exists")
    return Path(model)


def free_unused_memory() -> None:
    """Give back memory that segmenters keep for the next cloud: of the GPU, and what this thread computed in."""
    if "torch" in sys.modules:
        import_with_torch("seg3d_core.sparse.scratch", "freeing memory").free_scratch()


def _is_filled(config: SegmentConfig) -> bool:
    fill, rules = config.segment3d.fill, config.segment3d.postprocess
    return fill == "graph" or (fill == "auto" and rules == "robot" and config.model in _SHIPPED)


def _segment3d(model: str, settings: Segment3DSettings) -> Segmenter:
    weights = segment3d_weights(model)
    segment3d = import_with_torch(
        "seg3d_core.segment3d.predictor", f"model = {model!r}", "model = 'graph' does not"
    ).Segment3D
    segmenter: Segmenter = (
        segment3d.from_preset(model, settings) if weights is None else segment3d.from_checkpoint(weights, settings)
    )
    return segmenter
