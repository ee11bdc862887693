"""Settings of ``seg3d eval scenes``: those of the segmenters, and of what only exists to be compared with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seg3d_core.config import SegmentConfig
from seg3d_core.config_base import Config

SAM3D_MODEL = "sam3d"


class Sam3dConfig(Config):
    """Bottom-up merging of 2-D masks (SAM3D, arXiv 2306.03908); the defaults are those of its released code."""

    masks: str = Field(
        "graph", min_length=1, description="Which 2-D masks of a scene folder are merged: the name under masks/."
    )
    voxel_size_m: float = Field(0.05, ge=0.005, le=0.5, description="Clouds of frames are thinned to such voxels, m.")
    reach_voxels: float = Field(
        1.5, gt=0, le=10, description="Points of two clouds this near (voxels) or nearer are the same place."
    )
    min_overlap: float = Field(
        0.5, gt=0, le=1, description="Masks are one from this share of the smaller that they have in common."
    )
    min_voxels: int = Field(50, ge=1, le=100_000, description="Masks of fewer voxels are dropped before every merge.")
    cloud_reach_m: float = Field(
        0.6, gt=0, le=10, description="Points of the scene farther than this (m) from what was merged have no mask."
    )
    smoothing: Literal["none", "ensemble", "majority"] = Field(
        "none",
        description="What superpoints do to the result: nothing; join the mask that they overlap most or be one of "
        "their own (ensemble, the source's); or be in the mask that has more than half of them (majority).",
    )


EvaluatedModel = Annotated[
    str,
    Field(
        min_length=1,
        description="graph, the file of a Segment3D checkpoint, sam3d (merges the 2-D masks of a scene folder), "
        "point_sam_proposals, or nano, small, base (random weights).",
    ),
]
"""What is evaluated."""


class EvaluationConfig(SegmentConfig):
    """Settings of whatever is evaluated."""

    model: EvaluatedModel = "graph"
    sam3d: Sam3dConfig = Field(Sam3dConfig.build({}), description="Settings of the model sam3d.")
