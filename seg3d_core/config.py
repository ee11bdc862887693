"""Every default of the core, written once, with the sentence that explains it.

The same classes are the schema of YAML files, of the command line and of the ROS parameters: a field's description,
range and unit are all that documentation and parameter descriptors are made from.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seg3d_core.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound="Config")


class Config(BaseModel):
    """A frozen, validated group of settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def build(cls: type[ConfigT], values: dict[str, Any]) -> ConfigT:
        """Validate ``values`` (nested by group).

        Raises:
            ConfigError: unknown name (with the nearest known one), wrong type, or out of range; dotted names.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError("; ".join(_explain(cls, detail) for detail in error.errors())) from error

    @classmethod
    def from_yaml(cls: type[ConfigT], path: str | Path) -> ConfigT:
        """Read a YAML file of these settings.

        Raises:
            ConfigError: the file is missing, is not YAML, or holds settings that ``build`` refuses.
        """
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot read settings from {path}: {error}") from error
        return cls.build(values or {})


def field_names(config: type[Config], prefix: str = "") -> list[str]:
    """Dotted names of all settings of a config class, groups expanded, in the order they are declared."""
    names: list[str] = []
    for name, field in config.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, Config):
            names += field_names(group, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def _explain(config: type[Config], detail: Any) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] != "extra_forbidden":
        return f"{name} = {detail['input']!r}: {detail['msg']}"
    near = difflib.get_close_matches(name, field_names(config), n=1)
    return f"unknown setting {name}" + (f", did you mean {near[0]}?" if near else "")


class GraphConfig(Config):
    """Graph-based segmentation of a cloud (Felzenszwalb & Huttenlocher 2004, on surface normals and colour)."""

    k: float = Field(2.0, gt=0, le=1000, description="Scale of observation: larger makes larger segments.")
    neighbours: int = Field(16, ge=4, le=64, description="Edges per point in the neighbour graph.")
    max_edge_m: float = Field(0.06, gt=0, le=10, description="Neighbours farther apart than this (m) are not joined.")
    colour_weight: float = Field(0.5, ge=0, le=10, description="Weight of a colour step against a 90 degree bend.")
    min_points: int = Field(300, ge=1, le=1_000_000, description="Segments with fewer points are merged or dropped.")
    max_instances: int = Field(256, ge=1, le=65_535, description="At most this many instances, largest first.")


class FusionConfig(Config):
    """Truncated signed distance fusion of posed RGB-D frames (Curless & Levoy 1996) in a sparse voxel grid."""

    voxel_size_m: float = Field(0.02, ge=0.002, le=0.5, description="Edge length of a voxel, m.")
    truncation_voxels: float = Field(4.0, ge=1, le=16, description="Truncation distance in voxels.")
    min_depth_m: float = Field(0.3, ge=0, le=10, description="Nearer returns are ignored, m.")
    max_depth_m: float = Field(4.0, gt=0, le=100, description="Farther returns are ignored, m.")
    min_weight: float = Field(2.0, ge=0, le=255, description="Surface needs at least this many observations.")
    max_blocks: int = Field(40_000, ge=100, le=4_000_000, description="Memory bound: blocks of 8x8x8 voxels.")


class TrackingConfig(Config):
    """Association of instances between two results on the same, growing scene."""

    voxel_size_m: float = Field(0.05, ge=0.005, le=1, description="Overlap is counted in voxels of this edge, m.")
    min_iou: float = Field(0.25, ge=0.01, le=1, description="Overlap (intersection over union) that keeps an id.")


Model = Literal["graph"]
"""Names of the scene segmenters."""
