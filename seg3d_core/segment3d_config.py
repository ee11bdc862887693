"""Defaults of Segment3D, each written once: the network, what becomes of its masks, how it is run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seg3d_core.config_base import Config, FarthestPointTies

_Channels = Annotated[int, Field(ge=1, le=2048)]
_Blocks = Annotated[int, Field(ge=1, le=64)]
_Keys = Annotated[int, Field(ge=1)]


class Segment3DConfig(Config):
    """Widths and depths of a Segment3D network; the defaults are the paper's, and those of released checkpoints.

    The backbone has eight stages: four down to 1/16 of the resolution and four up again.
    """

    in_channels: int = Field(3, ge=1, le=64, description="Features of a voxel: red, green and blue.")
    stem_channels: int = Field(32, ge=1, le=1024, description="Channels of the first convolution, at full resolution.")
    stage_channels: tuple[_Channels, ...] = Field(
        (32, 64, 128, 256, 256, 128, 96, 96), min_length=8, max_length=8, description="Channels of the eight stages."
    )
    stage_blocks: tuple[_Blocks, ...] = Field(
        (2, 3, 4, 6, 2, 2, 2, 2), min_length=8, max_length=8, description="Residual blocks of the eight stages."
    )
    unused_classes: int = Field(
        20, ge=1, le=1000, description="Outputs of a layer that released checkpoints hold and nothing computes."
    )
    hidden_dim: int = Field(128, ge=8, le=1024, description="Channels of queries and mask features; even.")
    heads: int = Field(8, ge=1, le=64, description="Attention heads; they share hidden_dim evenly.")
    feedforward_dim: int = Field(1024, ge=1, le=8192, description="Hidden channels of the feed-forward layers.")
    decoders: int = Field(3, ge=1, le=12, description="Passes over the four coarser levels; all use the same weights.")
    classes: int = Field(2, ge=2, le=1000, description="Class scores of a query; index 0 is object, the last is none.")
    num_queries: int = Field(150, ge=1, le=10_000, description="Queries per scene; free to change at any time.")
    farthest_point_ties: FarthestPointTies = Field(
        "released", description="Queries stand on the farthest voxels: which of equally far ones is taken."
    )
    query_content: Literal["zeros", "mask_features"] = Field(
        "zeros",
        description="What queries start as: nothing, as published, or the mask features of the voxels they stand on.",
    )
    training_keys: tuple[_Keys, ...] = Field(
        (200, 800, 3200, 12_800),
        min_length=4,
        max_length=4,
        description="In training, at most this many voxels of a level are looked at; coarsest first.",
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> Segment3DConfig:
        if self.hidden_dim % 2 or self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim = {self.hidden_dim}: must be even and a multiple of heads = {self.heads}")
        return self


SEGMENT3D_PRESETS = {
    "nano": Segment3DConfig.build(
        {
            "stem_channels": 8,
            "stage_channels": (8, 16, 32, 64, 64, 32, 24, 24),
            "stage_blocks": (1,) * 8,
            "hidden_dim": 64,
            "heads": 4,
            "feedforward_dim": 256,
            "num_queries": 100,
            "query_content": "mask_features",
            "decoders": 2,
            "training_keys": (200, 400, 600, 800),
        }
    ),
    "small": Segment3DConfig.build(
        {
            "stem_channels": 16,
            "stage_channels": (16, 32, 64, 128, 128, 64, 48, 48),
            "stage_blocks": (1, 2, 2, 3, 1, 1, 1, 1),
            "feedforward_dim": 512,
            "query_content": "mask_features",
        }
    ),
    "base": Segment3DConfig.build({}),
}
"""Networks of one family: base is the paper's, small and nano are for less of a computer.

Their queries start as what is seen where they stand: so they are different from the first layer on, and learn sooner.
"""


class PostprocessConfig(Config):
    """From class scores and mask logits of queries to instances.

    The released evaluation splits every mask into clusters before it scores them (``before_scoring``), the paper only
    masks that were selected by their score (``after_selection``).
    """

    split: Literal["before_scoring", "after_selection", "off"] = Field(
        "before_scoring", description="Whether and when masks are split into clusters (DBSCAN)."
    )
    eps_m: float = Field(0.05, ge=0.001, le=10, description="Voxels this close (m) or closer are neighbours.")
    min_samples: int = Field(
        5, ge=1, le=1000, description="Neighbours, itself included, that put a voxel in a cluster."
    )
    drop_voxels: int = Field(15, ge=0, le=1_000_000, description="Clusters with this many voxels or fewer are dropped.")
    min_score: float = Field(0.0, ge=0, le=1, description="Instances need a score above this.")
    keep_fraction: float = Field(0.8, gt=0, le=1, description="Of those found, the best share that is kept.")
    max_instances: int = Field(10_000, ge=1, le=65_535, description="At most this many instances, best first.")
    smooth: bool = Field(True, description="Whether a superpoint is wholly in or out, by the majority of its points.")
    scores: Literal["confidence", "constant"] = Field(
        "confidence", description="Score given: mask times object confidence, or 1 for every instance."
    )
    max_iou: float = Field(
        1.0, gt=0, le=1, description="An instance that overlaps (IoU) a better one more than this is dropped; 1 = off."
    )
    max_containment: float = Field(
        1.0, gt=0, le=1, description="An instance with more than this share inside a better one is dropped; 1 = off."
    )
    exclusive: bool = Field(
        False, description="Whether a voxel is in one instance only: that of the greatest score times probability."
    )
    min_kept_share: float = Field(
        0.5, ge=0, le=1, description="Where exclusive, instances that keep less of their voxels than this are dropped."
    )


POSTPROCESS_RULES = {
    "released": PostprocessConfig.build({"scores": "constant"}),
    "ranked": PostprocessConfig.build({}),
    "raw": PostprocessConfig.build({"split": "off", "smooth": False}),
    "pseudo_masks": PostprocessConfig.build(
        {"min_score": 0.6, "keep_fraction": 1.0, "max_instances": 150, "smooth": False}
    ),
    "paper": PostprocessConfig.build({"split": "after_selection", "min_score": 0.6, "keep_fraction": 1.0}),
    "robot": PostprocessConfig.build(
        {"min_score": 0.2, "keep_fraction": 1.0, "max_iou": 0.5, "max_containment": 0.9, "exclusive": True}
    ),
}
"""Named rules: the released evaluation (also with the scores that it computes and then drops, and without any
post-processing), the released training targets of the second stage, what the paper says, and one instance for every
thing and every point.

The paper names no threshold of confidence; 0.6 is the released one. Robots get 0.2, that of the released demo.
"""


class TilingConfig(Config):
    """Tiles of a cloud that is too large to be segmented at once."""

    max_voxels: int = Field(
        300_000, ge=100, le=100_000_000, description="A tile holds at most this many voxels, margins included."
    )
    overlap_m: float = Field(0.5, gt=0, le=100, description="Width of the strip that neighbouring tiles share, m.")
    join_iou: float = Field(
        0.5, gt=0, le=1, description="Overlap (intersection over union) in a strip that makes two instances one."
    )


RELEASED_VOXEL_SIZE_M = 0.02
"""Of released Segment3D networks."""

_SMALLEST_VOXEL_M = 0.001
_MOST_VOXELS, _FEWEST_TILE_VOXELS = 300_000, 100


class Segment3DSettings(Config):
    """How a Segment3D network is run, whichever it is."""

    engine: Literal["auto", "torch", "triton", "minkowski", "spconv"] = Field(
        "auto", description="What runs the sparse convolutions; auto: triton on CUDA where it is installed, else torch."
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:N; auto: cuda where there is one."
    )
    precision: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="Number type of the sparse convolutions; the short ones need CUDA."
    )
    num_queries: int = Field(
        0, ge=0, le=10_000, description="Masks that are looked for, before they are split; 0: as many as in training."
    )
    voxel_size_m: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Edge of a voxel, m; networks know only the one they were trained with. 0: what the card of the "
        "checkpoint says, 0.02 without a card.",
    )
    masks: Literal["auto", "voxels", "superpoints"] = Field(
        "auto",
        description="What masks consist of inside the network; auto: what the card of the checkpoint says, voxels "
        "without a card; released and ranked always take superpoints, as released.",
    )
    coordinate_scale: float = Field(
        1.0, gt=0, le=1000, description="Coordinates are divided by this first: 10 makes a street as large as a room."
    )
    max_voxels: int = Field(
        0,
        ge=0,
        le=100_000_000,
        description="Clouds with more voxels are segmented in overlapping tiles. 0: twice what the network was "
        "trained with, which the card of the checkpoint says, since networks know no larger clouds; 300,000 without a "
        "card.",
    )
    overlap_m: float = Field(
        0.5, gt=0, le=100, description="Width of the strip that neighbouring tiles share, m (after coordinate_scale)."
    )
    score_threshold: float = Field(
        0.0, ge=0, le=1, description="Instances need a confidence above this; 0: what the rules ask for."
    )
    postprocess: Literal["robot", "released", "ranked", "raw", "paper", "pseudo_masks"] = Field(
        "robot",
        description="Rules that make instances of masks: robot (no duplicates, no overlap, score above 0.2), released "
        "(the evaluation of the released code; every score is 1), ranked (the same with scores), raw (the same without "
        "clusters and superpoints), paper, or pseudo_masks (training targets).",
    )
    fill: Literal["auto", "off", "graph"] = Field(
        "auto",
        description="What the network leaves over: off (belongs to no instance) or graph (is segmented by graph, "
        "scored below all of the network); auto: graph for nano, which comes with the package and misses small "
        "things, under the rules robot; off for all others.",
    )
    colours: Literal["imagenet", "scannet"] = Field(
        "imagenet", description="Statistics that colours are normalised with: those of training, or of the first demo."
    )

    @property
    def voxel_edge_m(self) -> float:
        """``voxel_size_m``, or that of released networks where nothing says another one."""
        return self.voxel_size_m or RELEASED_VOXEL_SIZE_M

    @property
    def tile_voxels(self) -> int:
        """``max_voxels``, or what memory bears where nothing says less."""
        return self.max_voxels or _MOST_VOXELS

    @model_validator(mode="after")
    def _has_size(self) -> Segment3DSettings:
        if 0 < self.max_voxels < _FEWEST_TILE_VOXELS:
            raise ValueError(f"max_voxels = {self.max_voxels}: must be 0 or at least {_FEWEST_TILE_VOXELS}")
        if 0 < self.voxel_size_m < _SMALLEST_VOXEL_M:
            raise ValueError(f"voxel_size_m = {self.voxel_size_m} m: must be 0 or at least {_SMALLEST_VOXEL_M} m")
        return self
