"""What answers clicks, chosen by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seg3d_core.checkpoints.shipped import shipped
from seg3d_core.errors import ConfigError
from seg3d_core.interaction.model import PromptModel
from seg3d_core.optional import import_with_torch
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PointSamProposalsConfig, PointSamSettings, PromptModelConfig

_SHIPPED = {"nano": "point_sam_nano"}
"""Weights that come with the package, and the names of their files."""


def make_prompt_model(config: PromptModelConfig) -> PromptModel:
    """The model that ``config.model`` names; its weights are on their device when it returns.

    Raises:
        ConfigError: no model has that name and no such file exists (the message lists the names), or PyTorch is needed
            and missing.
        CheckpointError: the file is of no Point-SAM network.
        DeviceError: the device asked for is not there.
    """
    point_sam = make_point_sam(config.model, config.point_sam)
    model: PromptModel = import_with_torch("seg3d_core.point_sam.scene_crops", "prompting").SceneCrops(
        point_sam, config.scene
    )
    return model


def make_proposals(config: PointSamProposalsConfig) -> Any:
    """The ``PointSamProposals`` of the network that ``config.model`` names; raises as ``make_prompt_model``."""
    point_sam = make_point_sam(config.model, config.point_sam)
    return import_with_torch("seg3d_core.point_sam.proposals", "proposals").PointSamProposals(point_sam, config)


def make_point_sam(model: str, settings: PointSamSettings) -> Any:
    """The ``PointSam`` of that name or file; raises as ``make_prompt_model``."""
    point_sam = import_with_torch("seg3d_core.point_sam.predictor", f"model = {model!r}").PointSam
    weights = point_sam_weights(model)
    return point_sam.from_preset(model, settings) if weights is None else point_sam.from_checkpoint(weights, settings)


def point_sam_weights(model: str) -> Path | None:
    """The file of weights that ``model`` names; None for a preset, whose weights are random.

    Raises:
        ConfigError: see ``make_prompt_model``.
    """
    if model in _SHIPPED:
        return shipped(_SHIPPED[model])
    if model in POINT_SAM_PRESETS:
        return None
    if not Path(model).is_file():
        names = ", ".join(dict.fromkeys([*_SHIPPED, *POINT_SAM_PRESETS]))
        raise ConfigError(f"model = {model!r}: neither one of {names} nor a file that exists")
    return Path(model)
