"""Settings of masks from graph segmentation; each default written once."""

from __future__ import annotations

from pydantic import Field

from seg3d_core.config_base import Config


class GraphMasksConfig(Config):
    """Felzenszwalb & Huttenlocher's segmentation of an image (IJCV 2004) by colour, distance and surface direction."""

    scale: float = Field(
        200.0,
        gt=0,
        le=1e6,
        description="Scale of observation: larger regions bear larger differences; larger = coarser.",
    )
    sigma_px: float = Field(0.8, ge=0, le=20, description="Smoothing before anything else, px (standard deviation).")
    min_px: int = Field(200, ge=1, le=10_000_000, description="Smaller regions join a neighbour, px.")
    colour_weight: float = Field(
        0.5, ge=0, le=100, description="Of a difference of one in every colour channel (0..1)."
    )
    depth_weight: float = Field(5.0, ge=0, le=100, description="Of a difference of distance by a factor of 2.7.")
    normal_weight: float = Field(0.5, ge=0, le=100, description="Of a right angle between surfaces.")
    normal_px: int = Field(4, ge=1, le=50, description="Surface directions are taken over so many px to each side.")
