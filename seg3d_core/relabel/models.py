"""The models of a relabelling, loaded when they are first needed and shared by all its scenes."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from seg3d_core.config import PROPOSALS_MODEL
from seg3d_core.data.scenes.description import sha256_of
from seg3d_core.interaction.model import PromptModel
from seg3d_core.prompting import make_prompt_model, point_sam_weights
from seg3d_core.relabel.edits import ModelIdentity
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.segmenter import Segmenter, make_segmenter, segment3d_weights


class Models:
    """What answers clicks, and what proposes instances.

    Args:
        config: which, and how they are run.
    """

    def __init__(self, config: RelabelConfig) -> None:
        self._config = config
        self._segmenters: dict[str, Segmenter] = {}

    @cached_property
    def prompt(self) -> PromptModel:
        """What answers clicks.

        Raises:
            ConfigError, CheckpointError, DeviceError: see ``make_prompt_model``.
        """
        return make_prompt_model(self._config.prompt)

    @cached_property
    def prompt_identity(self) -> ModelIdentity:
        """Which one that is.

        Raises:
            ConfigError: no model has that name and no such file exists.
        """
        return _identity(self._config.prompt.model, point_sam_weights(self._config.prompt.model))

    def segmenter(self, model: str) -> Segmenter:
        """What proposes instances.

        Raises:
            ConfigError, CheckpointError, DeviceError: see ``make_segmenter``.
        """
        if model not in self._segmenters:
            self._segmenters[model] = make_segmenter(self._config.segment.model_copy(update={"model": model}))
        return self._segmenters[model]

    def segmenter_identity(self, model: str) -> ModelIdentity:
        """Which one that is; it exists, for ``segmenter`` has made it."""
        if model == PROPOSALS_MODEL:
            network = self._config.segment.point_sam_proposals.model
            return _identity(f"{model} {network}", point_sam_weights(network))
        return _identity(model, None if model == "graph" else segment3d_weights(model))


def _identity(name: str, weights: Path | None) -> ModelIdentity:
    return ModelIdentity(name, "" if weights is None else sha256_of(weights))
