"""Defaults of Point-SAM, each written once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seg3d_core.config_base import Config, FarthestPointTies


class PointSamConfig(Config):
    """Widths and depths of a Point-SAM network; the defaults are those of the released checkpoint (Large)."""

    tokenizer: Literal["neighbours", "voronoi"] = Field(
        "neighbours",
        description="Patches of a cloud: each centre's nearest neighbours (v1 of the paper, the released weights), or "
        "Voronoi cells (v2, of which no weights were released).",
    )
    patches: int = Field(512, ge=3, le=16_384, description="Patches of a cloud; free to change at any time.")
    patch_size: int = Field(64, ge=1, le=4096, description="Points of a patch; free to change at any time.")
    patch_hidden_channels: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]] = Field(
        (128, 512),
        description="Hidden channels of the PointNets that describe patches, before and after each point is told about "
        "its patch.",
    )
    cell_channels: int = Field(
        256, ge=1, le=4096, description="Hidden channels of what describes Voronoi cells; else unused."
    )
    cell_mask_channels: int = Field(
        1024, ge=1, le=8192, description="Hidden channels of what describes masks of Voronoi cells; else unused."
    )
    patch_channels: int = Field(512, ge=1, le=4096, description="Features of a patch before the transformer.")
    blocks: Literal["gated", "plain"] = Field(
        "gated",
        description="Transformer blocks: gated (SwiGLU with inner norm, EVA02) or plain (GELU, fused attention, EVA).",
    )
    encoder_dim: int = Field(1024, ge=1, le=8192, description="Channels of the transformer.")
    encoder_depth: int = Field(24, ge=1, le=100, description="Blocks of the transformer.")
    encoder_heads: int = Field(16, ge=1, le=128, description="Attention heads; they share encoder_dim evenly.")
    encoder_feedforward_dim: int = Field(2730, ge=1, le=32_768, description="Hidden channels of the blocks' MLPs.")
    hidden_dim: int = Field(256, ge=2, le=4096, description="Channels of embeddings, prompts and the decoder; even.")
    decoder_depth: int = Field(2, ge=1, le=24, description="Layers of the two-way transformer.")
    decoder_heads: int = Field(8, ge=1, le=64, description="Attention heads; they share half of hidden_dim evenly.")
    decoder_feedforward_dim: int = Field(2048, ge=1, le=32_768, description="Hidden channels of the decoder's MLPs.")
    iou_hidden_dim: int = Field(256, ge=1, le=4096, description="Hidden channels of the head that predicts IoUs.")
    farthest_point_ties: FarthestPointTies = Field(
        "released", description="Patches stand on the farthest points: which of equally far ones is taken."
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> PointSamConfig:
        if self.encoder_dim % self.encoder_heads:
            raise ValueError(
                f"encoder_dim = {self.encoder_dim}: must be a multiple of encoder_heads = {self.encoder_heads}"
            )
        if self.hidden_dim % (2 * self.decoder_heads):
            raise ValueError(
                f"hidden_dim = {self.hidden_dim}: must be a multiple of twice decoder_heads = {self.decoder_heads}"
            )
        return self


def _gated(dim: int, depth: int) -> PointSamConfig:
    """EVA02's proportions: heads of 64 channels, a gated MLP of the cost of a plain one of four times the width."""
    return PointSamConfig.build(
        {
            "encoder_dim": dim,
            "encoder_depth": depth,
            "encoder_heads": dim // 64,
            "encoder_feedforward_dim": dim * 8 // 3,
        }
    )


_NANO = PointSamConfig.build(
    # Heads of 64 channels in the encoder and 8 heads in the decoder, as config_of supposes of any checkpoint.
    {
        "patch_hidden_channels": (32, 64),
        "patch_channels": 128,
        "encoder_dim": 192,
        "encoder_depth": 5,
        "encoder_heads": 3,
        "encoder_feedforward_dim": 512,
        "hidden_dim": 128,
        "decoder_feedforward_dim": 512,
        "iou_hidden_dim": 128,
    }
)


def _with_cells(config: PointSamConfig, **channels: int) -> PointSamConfig:
    """The same network with Voronoi cells, as many as the authors' configuration has."""
    own = {name: value for name, value in config.model_dump().items() if name != "patch_hidden_channels"}
    return PointSamConfig.build({**own, "tokenizer": "voronoi", "patches": 1024, **channels})


POINT_SAM_PRESETS = {
    "nano": _NANO,
    "tiny": _gated(192, 12),
    "small": _gated(384, 12),
    "base": _gated(768, 12),
    "large": PointSamConfig.build({}),
    "giant": PointSamConfig.build(
        {"blocks": "plain", "encoder_dim": 1408, "encoder_depth": 40, "encoder_feedforward_dim": 6144}
    ),
    "nano_voronoi": _with_cells(_NANO, cell_channels=64, cell_mask_channels=128),
    "large_voronoi": _with_cells(PointSamConfig.build({})),
}
"""Networks of one family: nano is for the CPU of a robot, large is the released one; base, giant and large_voronoi are
the authors' others, whose weights are not."""


class PointSamSettings(Config):
    """How a Point-SAM network is run, whichever it is."""

    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:N; auto: cuda where there is one."
    )
    precision: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="Number type of the network, but for coordinates; the short ones need CUDA."
    )
    up: Literal["z", "y"] = Field("z", description="Axis of the cloud that points up; z as in ROS.")
    patches: int = Field(
        0, ge=0, le=16_384, description="Patches of a cloud, as far as its points go; 0: chosen from their number."
    )
    patch_size: int = Field(
        0, ge=0, le=4096, description="Points of a patch, as far as the cloud's go; 0: chosen from their number."
    )
    selection: Literal["predicted_iou", "stability"] = Field(
        "predicted_iou",
        description="Which of three candidates is best: by the network's own estimate, or the one whose size depends "
        "least on the threshold.",
    )
    surface_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="How much points listen to the patch of surface they lie on; 0: the network's own masks, as "
        "published.",
    )
    missing_colour: float = Field(
        0.4, ge=0, le=1, description="Grey of clouds without colours; 0.4 as where the encoder's weights come from."
    )


_PATCHES_BY_POINTS = ((30_000, (512, 64)), (100_000, (1024, 128)))
_PATCHES_OF_MANY = (2048, 256)
_CELLS, _CELLS_OF_MANY = 1024, 2048


def patches_for(points: int, settings: PointSamSettings, tokenizer: str = "neighbours") -> tuple[int, int]:
    """Number and size of patches for a cloud of so many points, never more than there are.

    Up to 30,000 points as in training (512 of 64), up to 100,000 as in the released demo (1024 of 128), then as the
    authors advise (2048 of 256). Points per patch times patches is what encoding and mask prompts cost. Voronoi cells,
    whose size is what it is: 1024 as in training up to 100,000 points, then 2048.
    """
    patches, size = next((chosen for most, chosen in _PATCHES_BY_POINTS if points <= most), _PATCHES_OF_MANY)
    if tokenizer == "voronoi":
        patches = _CELLS_OF_MANY if (patches, size) == _PATCHES_OF_MANY else _CELLS
    return min(settings.patches or patches, points), min(settings.patch_size or size, points)


class SceneCropConfig(Config):
    """How much of a cloud a click is answered from: all of it, or a crop around the click.

    The network sees a ball of radius 1 whatever the cloud is: in a whole room a mug is too small to be seen.
    """

    mode: Literal["auto", "whole", "crop"] = Field(
        "auto", description="Clicks are answered from the whole cloud or from a crop; auto: crop where it is large."
    )
    whole_points: int = Field(
        100_000, ge=3, le=10_000_000, description="auto: clouds of more points than this are cropped."
    )
    whole_extent_m: float = Field(
        2.0, gt=0, le=1000, description="auto: clouds longer than this (m) along x, y or z are cropped."
    )
    radius_m: float = Field(0.75, ge=0.01, le=100, description="Radius of a crop, m.")
    max_radius_m: float = Field(
        3.0, ge=0.01, le=1000, description="Crops grow up to this radius (m): to hold all clicks, and what reaches out."
    )
    max_points: int = Field(
        20_000, ge=100, le=1_000_000, description="The network sees at most this many points of a crop, evenly spread."
    )
    cache_mb: int = Field(512, ge=1, le=100_000, description="Encoded crops are kept up to this size, MB; one always.")

    @model_validator(mode="after")
    def _radii_in_order(self) -> SceneCropConfig:
        if self.max_radius_m < self.radius_m:
            raise ValueError(f"max_radius_m = {self.max_radius_m:g} m is below radius_m = {self.radius_m:g} m")
        return self


PromptModelName = Annotated[
    str,
    Field(
        min_length=1,
        description="nano (small, comes with the package), a file of Point-SAM weights, or tiny, small, base, large, "
        "giant, nano_voronoi, large_voronoi (random weights, for trying out speed).",
    ),
]
"""Which Point-SAM network."""


class PromptModelConfig(Config):
    """A network that answers clicks, and how."""

    model: PromptModelName = "nano"
    point_sam: PointSamSettings = Field(PointSamSettings.build({}), description="How the network is run.")
    scene: SceneCropConfig = Field(
        SceneCropConfig.build({}), description="How much of a cloud a click is answered from."
    )


class PointSamProposalsConfig(Config):
    """Segment everything (paper, section 5.2): clicks all over the cloud, three masks each, the best ones kept."""

    model: PromptModelName = "nano"
    point_sam: PointSamSettings = Field(PointSamSettings.build({}), description="How the network is run.")
    voxel_size_m: float = Field(0.02, ge=0.001, le=10, description="The network sees one point of each voxel, m.")
    tile_voxels: int = Field(
        15_000, ge=100, le=1_000_000, description="Clouds with more voxels are looked at in overlapping tiles."
    )
    overlap_m: float = Field(0.5, gt=0, le=100, description="Width of the strip that neighbouring tiles share, m.")
    clicks: int = Field(192, ge=1, le=10_000, description="Clicks in each tile, as far apart as they can be.")
    clicks_at_once: int = Field(16, ge=1, le=1024, description="Clicks that are answered together; costs memory.")
    min_iou: float = Field(0.45, ge=0, le=1, description="Masks need a predicted IoU above this.")
    min_stability: float = Field(0.3, ge=0, le=1, description="Masks need a stability above this.")
    min_voxels: int = Field(15, ge=1, le=1_000_000, description="Masks with fewer voxels are dropped.")
    max_share: float = Field(0.7, gt=0, le=1, description="Masks with more than this share of a tile are dropped.")
    max_iou: float = Field(
        0.3, gt=0, le=1, description="An instance that overlaps (IoU) a better one more than this is dropped; 1 = off."
    )
    max_instances: int = Field(250, ge=1, le=65_535, description="At most this many instances, best first.")
