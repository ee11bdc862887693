"""Settings of ``seg3d label frames``; each default written once."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from seg3d_core.config_base import Config
from seg3d_core.errors import ConfigError
from seg3d_core.labelling.graph_settings import GraphMasksConfig
from seg3d_core.labelling.sam_settings import Sam2Config, SegmentAnythingConfig
from seg3d_core.labelling.truth_settings import TruthMasksConfig

SourceName = Literal["segment-anything", "sam2", "graph", "truth"]


class LabelFramesConfig(Config):
    """Which masks are made, and of which frames."""

    source: SourceName = Field("graph", description="Where masks come from: segment-anything, sam2, graph or truth.")
    name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$|^$",
        description="Folder of the masks below masks/; default: source.",
    )
    every: int = Field(1, ge=1, le=1_000_000, description="Only every so many frames are labelled.")
    retries: int = Field(1, ge=0, le=100, description="How often failed frames are tried again, after all others.")
    workers: int = Field(
        0,
        ge=0,
        le=4096,
        description="Processes that label; 0 = this one (with --ray: as many as the cluster has room for).",
    )
    segment_anything: SegmentAnythingConfig = SegmentAnythingConfig()
    sam2: Sam2Config = Sam2Config()
    graph: GraphMasksConfig = GraphMasksConfig()
    truth: TruthMasksConfig = TruthMasksConfig()

    @property
    def mask_name(self) -> str:
        """Folder of the masks below masks/."""
        return self.name or self.source

    @property
    def of_source(self) -> Config:
        """The settings of the chosen source."""
        group: Config = getattr(self, self.source.replace("-", "_"))
        return group

    @property
    def batch_size(self) -> int:
        """Frames that are labelled at once."""
        return getattr(self.of_source, "frames_per_batch", 1)

    @property
    def wants_gpu(self) -> bool:
        """Whether the chosen source runs on a GPU where there is one."""
        return getattr(self.of_source, "device", "cpu") != "cpu"

    def with_checkpoint(self, path: str) -> LabelFramesConfig:
        """The same with other weights for the chosen source.

        Raises:
            ConfigError: it has none.
        """
        group = self.of_source
        if "checkpoint" not in type(group).model_fields:
            raise ConfigError(f"source {self.source} takes no checkpoint, got {path}")
        return self.model_copy(update={self.source.replace("-", "_"): group.model_copy(update={"checkpoint": path})})

    def identity(self) -> dict[str, Any]:
        """All that decides what the masks look like: masks of one folder agree in it."""
        return {"source": self.source, **self.of_source.model_dump(mode="json", exclude=_HOW_NOT_WHAT)}


_HOW_NOT_WHAT = {"device", "precision", "frames_per_batch", "points_per_batch"}
"""Settings that change how masks are computed, not which ones come out."""
