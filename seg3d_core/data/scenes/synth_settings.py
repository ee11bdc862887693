"""Settings of synthetic data sets."""

from __future__ import annotations

from pydantic import Field, model_validator

from seg3d_core.config import SUPERPOINTS, Config, DepthNoiseConfig, FusionConfig, GraphConfig, RoomConfig


class CameraVarietyConfig(Config):
    """How much the cameras of synthetic rooms differ, and what is wrong with what they say."""

    min_fov_deg: float = Field(54.0, ge=20, le=120, description="Least horizontal field of view, degrees.")
    max_fov_deg: float = Field(70.0, ge=20, le=120, description="Greatest horizontal field of view, degrees.")
    exposure: float = Field(0.25, ge=0, le=0.9, description="Brightness differs by up to this share, room by room.")
    white_balance: float = Field(0.06, ge=0, le=0.5, description="Colour channels differ by up to this share.")
    colour_noise: float = Field(0.012, ge=0, le=0.2, description="Deviation of colour noise, 0..1.")
    depth_noise: float = Field(
        2.0, ge=1, le=5, description="Noise and dropouts of depth are up to this many times larger or smaller."
    )
    drift_m: float = Field(0.006, ge=0, le=0.2, description="Deviation of recorded positions, smooth over time, m.")
    drift_deg: float = Field(0.15, ge=0, le=5, description="Deviation of recorded directions, likewise, degrees.")

    @model_validator(mode="after")
    def _check(self) -> CameraVarietyConfig:
        if self.min_fov_deg > self.max_fov_deg:
            raise ValueError(f"min_fov_deg = {self.min_fov_deg:g} is greater than max_fov_deg = {self.max_fov_deg:g}")
        return self


class SynthConfig(Config):
    """One synthetic scene: a room, the frames that a hand-held camera brings home, and the cloud fused from them."""

    frames: int = Field(24, ge=2, le=5000, description="Frames of a scene.")
    width: int = Field(640, ge=32, le=4096, description="Image width, px.")
    height: int = Field(480, ge=24, le=4096, description="Image height, px.")
    close_share: float = Field(0.3, ge=0, le=1, description="Share of the frames that look at one thing from near.")
    free_share: float = Field(
        0.2, ge=0, le=1, description="Share of the frames from anywhere in the room, 0.5 to 1.9 m high; else a walk."
    )
    fused_only: int = Field(
        32, ge=0, le=5000, description="Further frames of the walk that only the fused cloud is made of."
    )
    fused_width: int = Field(320, ge=32, le=4096, description="Image width of those, px.")
    room: RoomConfig = Field(RoomConfig.build({}), description="Size and fullness of the rooms.")
    noise: DepthNoiseConfig = Field(DepthNoiseConfig.build({}), description="Depth camera; the seed is the room's.")
    variety: CameraVarietyConfig = Field(CameraVarietyConfig.build({}), description="How much cameras differ.")
    fusion: FusionConfig = Field(FusionConfig.build({}), description="Fusion into one cloud.")
    superpoints: GraphConfig = Field(SUPERPOINTS, description="Surface patches of the fused cloud.")

    @model_validator(mode="after")
    def _check(self) -> SynthConfig:
        if self.close_share + self.free_share > 1:
            raise ValueError(
                f"close_share = {self.close_share:g} and free_share = {self.free_share:g} are more than 1 together"
            )
        return self
