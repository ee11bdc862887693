"""Defaults of relabelling, each written once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seg3d_core.config import Config, SegmentConfig
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.point_sam_config import PromptModelConfig


class RelabelConfig(Config):
    """How the instances of scenes are corrected by hand."""

    start: Literal["labels", "empty"] = Field(
        "labels", description="Begin with the instances that a scene has, or with none."
    )
    results: Literal["decided", "all"] = Field(
        "decided",
        description="Write only what was there or a person accepted, or proposals that nobody looked at, too.",
    )
    bag: bool = Field(
        False, description="Write the results as a rosbag2 recording, too: relabel/bag, in the scene folder."
    )
    cloud_topic: str = Field(
        "",
        description="Recordings: topic of the clouds to relabel, of which the newest is taken; empty: fused images, "
        "or, where there are none, the only topic of clouds.",
    )
    min_proposal_points: int = Field(
        30, ge=1, le=1_000_000, description="Proposals with fewer points that no other instance has are dropped."
    )
    split_gap_m: float = Field(
        0.04, gt=0, le=10, description="Split: parts that are farther apart than about this do not hang together, m."
    )
    min_part_points: int = Field(
        20, ge=1, le=1_000_000, description="Split: crumbs with fewer points stay with the nearest part."
    )
    lasso_depth_m: float = Field(
        0.25, gt=0, le=100, description="Lasso: what is farther than this behind the nearest point is not meant, m."
    )
    prompt: PromptModelConfig = Field(PromptModelConfig.build({}), description="What answers clicks.")
    interaction: InteractionConfig = Field(InteractionConfig.build({}), description="What clicks and boxes reach.")
    segment: SegmentConfig = Field(
        SegmentConfig.build({}), description="What makes proposals where nothing else is asked for."
    )
