"""Settings of ``seg3d data import``."""

from __future__ import annotations

from pydantic import Field

from seg3d_core.config import SUPERPOINTS, Config, FusionConfig, GraphConfig
from seg3d_core.data.scenes.bag_topics import BagTopicsConfig


class ImportConfig(Config):
    """How a recording becomes a scene."""

    every: int = Field(1, ge=1, le=100_000, description="Every so-manieth frame is taken.")
    most: int = Field(0, ge=0, le=1_000_000, description="At most this many, spread evenly; 0 = no limit.")
    min_depth_share: float = Field(
        0.02, ge=0, le=1, description="Frames with returns on a smaller share of their pixels are skipped."
    )
    max_contradiction: float = Field(
        0.15,
        gt=0,
        le=1,
        description="Frames are skipped if neighbouring frames looked through more than this share of their points "
        "(or they through theirs): their pose is wrong.",
    )
    outlier_factor: float = Field(
        4.0, ge=1, le=100, description="... and through more than so many times the median share of all frames."
    )
    max_median: float = Field(
        0.2,
        gt=0,
        le=1,
        description="A recording whose median share is greater is refused: its poses or scale are wrong.",
    )
    registration_frames: int = Field(
        8, ge=0, le=1000, description="Frames in which depth is compared with colour for a displacement; 0 = none."
    )
    bag: BagTopicsConfig = Field(BagTopicsConfig.build({}), description="What to read of a rosbag2 recording.")
    fusion: FusionConfig = Field(
        FusionConfig.build({"max_blocks": 100_000}), description="Fusion of recordings that bring no scan."
    )
    superpoints: GraphConfig = Field(SUPERPOINTS, description="Surface patches of the fused cloud.")
