"""What is evaluated: anything that finds instances in a scene, from its cloud or from its images."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np

from seg3d_core.baselines.sam3d import merge_masks
from seg3d_core.errors import InputError
from seg3d_core.evaluation.views import Views
from seg3d_core.evaluation_config import SAM3D_MODEL, EvaluationConfig, Sam3dConfig
from seg3d_core.segmenter import Segmenter, make_segmenter
from seg3d_core.types import Cloud, Instances

WARM_UP_POINTS = 5000


@runtime_checkable
class SceneModel(Protocol):
    """Finds the instances of a scene."""

    def segment(self, cloud: Cloud, views: Views | None) -> Instances:
        """Instances on the points of ``cloud``.

        Raises:
            InputError: the scene cannot be segmented, or has not the images that it takes.
        """
        ...

    def warm_up(self, cloud: Cloud, views: Views | None) -> None:
        """Compile and load what the first scene would otherwise be charged for."""
        ...

    def fingerprint(self, views: Views | None) -> str:
        """Changes when what the model takes besides the cloud does; empty where it takes nothing."""
        ...

    @property
    def device(self) -> Any:
        """``torch.device`` that it runs on, None for the plain CPU."""
        ...


@dataclass(frozen=True, eq=False)
class CloudModel:
    """A segmenter of clouds."""

    segmenter: Segmenter

    def segment(self, cloud: Cloud, views: Views | None) -> Instances:
        """See ``SceneModel``."""
        return self.segmenter.segment(cloud)

    def warm_up(self, cloud: Cloud, views: Views | None) -> None:
        """See ``SceneModel``."""
        with suppress(InputError):
            self.segmenter.segment(cloud.select(np.arange(min(len(cloud), WARM_UP_POINTS))))

    def fingerprint(self, views: Views | None) -> str:
        """See ``SceneModel``."""
        return ""

    @property
    def device(self) -> Any:
        """See ``SceneModel``."""
        return getattr(self.segmenter, "device", None)


@dataclass(frozen=True, eq=False)
class MaskMerger:
    """SAM3D on the 2-D masks of a scene; the time that it takes has the reading of images in it."""

    config: Sam3dConfig

    def segment(self, cloud: Cloud, views: Views | None) -> Instances:
        """See ``SceneModel``."""
        if views is None:
            raise InputError(f"{SAM3D_MODEL} merges 2-D masks: it needs the images of the scene, a scene folder")
        return merge_masks(views.masked(self.config.masks), cloud, self.config)

    def warm_up(self, cloud: Cloud, views: Views | None) -> None:
        """See ``SceneModel``."""
        if views is not None:
            with suppress(InputError):
                few = cloud.select(np.arange(min(len(cloud), WARM_UP_POINTS)))
                merge_masks(islice(views.masked(self.config.masks), 2), few, self.config)

    def fingerprint(self, views: Views | None) -> str:
        """See ``SceneModel``."""
        return "" if views is None else views.fingerprint(self.config.masks)

    @property
    def device(self) -> Any:
        """See ``SceneModel``."""
        return None


def make_model(config: EvaluationConfig) -> SceneModel:
    """The model that ``config.model`` names.

    Raises:
        ConfigError, CheckpointError, DeviceError: as ``make_segmenter``.
    """
    if config.model == SAM3D_MODEL:
        return MaskMerger(config.sam3d)
    return CloudModel(make_segmenter(config))
