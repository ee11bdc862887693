"""Settings of synthetic data sets."""

from __future__ import annotations

from typing import Any, Literal

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


class TablesConfig(Config):
    """Synthetic tables: what stands on them, from where they are seen, and how their clouds are thinned."""

    min_objects: int = Field(2, ge=1, le=40, description="A table is meant to hold at least this many things.")
    max_objects: int = Field(16, ge=1, le=40, description="A table holds at most this many things.")
    min_distance_m: float = Field(0.7, ge=0.4, le=3, description="Nearest camera, m from the middle of the things.")
    max_distance_m: float = Field(1.4, ge=0.4, le=3, description="Farthest camera, m.")
    min_pitch_deg: float = Field(20.0, ge=5, le=80, description="Cameras look down by at least this, degrees.")
    max_pitch_deg: float = Field(60.0, ge=5, le=80, description="Cameras look down by at most this, degrees.")
    min_voxel_m: float = Field(0.004, ge=0.001, le=0.1, description="Finest voxel that a cloud is thinned to, m.")
    max_voxel_m: float = Field(0.01, ge=0.001, le=0.1, description="Coarsest voxel, m.")
    reach_m: float = Field(2.0, gt=0.5, le=10, description="Points of greater depth are not in the cloud, m.")

    @model_validator(mode="after")
    def _check(self) -> TablesConfig:
        for what in ("objects", "distance_m", "pitch_deg", "voxel_m"):
            least, greatest = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if least > greatest:
                raise ValueError(f"min_{what} = {least:g} is greater than max_{what} = {greatest:g}")
        return self


_TABLES_ONLY = frozenset({"content", "tables"})
_ROOMS_ONLY = frozenset({"frames", "close_share", "free_share", "fused_only", "fused_width", "room", "fusion"})


class SynthConfig(Config):
    """One synthetic scene: a room, the frames that a hand-held camera brings home, and the cloud fused from them.

    With ``content`` tables: a table, one frame of it, and the points of that frame.
    """

    content: Literal["rooms", "tables"] = Field("rooms", description="What scenes are of: rooms, or tables (one view).")
    tables: TablesConfig = Field(TablesConfig.build({}), description="Tables; rooms do not use it.")
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

    def recorded(self) -> dict[str, Any]:
        """What a scene says that it was made with: the settings that have a part in its content, as JSON values."""
        unused = _TABLES_ONLY if self.content == "rooms" else _ROOMS_ONLY
        return self.model_dump(mode="json", exclude=set(unused))
