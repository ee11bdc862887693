"""How far masks made from known instances are from the truth; each default written once."""

from __future__ import annotations

from pydantic import Field

from seg3d_core.config_base import Config


class TruthMasksConfig(Config):
    """Known instances, degraded to look like segment-anything's masks: with every share 0 they are the truth.

    Everything is drawn anew for every frame: two views of one object are not spoilt alike.
    """

    seed: int = Field(0, ge=0, le=2**63 - 1, description="Draws everything, together with the name of each frame.")
    split_share: float = Field(0.12, ge=0, le=1, description="Objects of several parts that come apart into them.")
    part_share: float = Field(0.15, ge=0, le=1, description="Objects of several parts of which one stands apart.")
    scatter_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Objects seen in several pieces, behind others, whose pieces become masks of their own.",
    )
    cut_share: float = Field(
        0.12, ge=0, le=1, description="Regions that are cut where neither object nor part ends, along their shades."
    )
    cut_from_px: int = Field(1500, ge=4, le=10_000_000, description="Only regions of so many pixels are cut, px.")
    merge_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Regions that touch in space and have the same colour which become one; differing "
        "colours lower it.",
    )
    merge_contrast: float = Field(
        0.15, gt=0, le=2, description="Distance of mean colours (0..1 per channel) that lowers merge_share to 37 %."
    )
    touch_m: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Regions touch where depth steps by less than this across their border, m; at "
        "more than 1 m proportional to the distance.",
    )
    grid: int = Field(
        32,
        ge=0,
        le=1024,
        description="Regions that none of grid x grid points meets are missed, as by a generator "
        "with so many points per side; 0 = none.",
    )
    miss_share: float = Field(0.05, ge=0, le=1, description="Other regions that are missed.")
    hole_share: float = Field(0.1, ge=0, le=1, description="Regions with holes.")
    seam_share: float = Field(0.3, ge=0, le=1, description="Part of the borders along which nothing is labelled.")
    seam_px: int = Field(2, ge=1, le=20, description="Half the width of such seams, px of the image.")
    jitter_px: float = Field(1.0, ge=0, le=20, description="Borders lie wrong by this (standard deviation), px.")
    leak_share: float = Field(0.05, ge=0, le=1, description="Part of the image in which borders leak.")
    leak_px: float = Field(
        8.0, ge=0, le=100, description="How far regions leak over borders there (standard deviation), px."
    )
