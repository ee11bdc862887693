"""Settings of masks from segment-anything and SAM 2; each default written once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seg3d_core.config_base import Config

DEVICE_PATTERN = r"^(auto|cpu|cuda(:\d+)?)$"

MergeRule = Literal["large-first", "highest-iou"]
"""Which of overlapping masks a pixel belongs to: the largest level first, the rest filled (released code), or the mask
that the network rates highest (paper)."""


class SegmentAnythingConfig(Config):
    """Segment-anything's automatic mask generator; the defaults are those of the original labels."""

    checkpoint: str = Field("", description="File of released weights (sam_vit_h_4b8939.pth, for example).")
    model: Literal["auto", "vit_h", "vit_l", "vit_b"] = Field(
        "auto", description="Which network the file holds; auto = what its weights say."
    )
    merge: MergeRule = Field(
        "large-first",
        description="Overlapping masks: large-first (released three-pool rule) or highest-iou (the paper's).",
    )
    width: int = Field(640, ge=0, le=16_384, description="Images are resized to width x height px; 0 = as they are.")
    height: int = Field(480, ge=0, le=16_384, description="Images are resized to width x height px; 0 = as they are.")
    points_per_side: int = Field(32, ge=1, le=1024, description="The network is asked at a grid of so many points.")
    points_per_batch: int = Field(64, ge=1, le=4096, description="Points asked at once; more need more memory.")
    frames_per_batch: int = Field(4, ge=1, le=256, description="Images encoded at once; more need more memory.")
    pred_iou: float = Field(0.88, ge=0, le=1, description="Masks that the network rates no higher are dropped.")
    stability: float = Field(
        0.95, ge=0, le=1, description="Masks that change more than this (IoU) with the threshold are dropped."
    )
    stability_offset: float = Field(1.0, ge=0, le=10, description="By how much the threshold is moved for that.")
    box_iou: float = Field(0.7, gt=0, le=1, description="Of masks whose boxes overlap more the best rated one stays.")
    device: str = Field("auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="Of the image encoder: float16 or bfloat16 on CUDA; auto = float16 there, float32 on the CPU.",
    )


class Sam2Config(Config):
    """SAM 2's automatic mask generator, with its own defaults."""

    checkpoint: str = Field("", description="File of released weights (sam2.1_hiera_large.pt, for example).")
    model: str = Field(
        "configs/sam2.1/sam2.1_hiera_l.yaml", description="Configuration of the network, as the package names it."
    )
    width: int = Field(640, ge=0, le=16_384, description="Images are resized to width x height px; 0 = as they are.")
    height: int = Field(480, ge=0, le=16_384, description="Images are resized to width x height px; 0 = as they are.")
    points_per_side: int = Field(32, ge=1, le=1024, description="The network is asked at a grid of so many points.")
    points_per_batch: int = Field(64, ge=1, le=4096, description="Points asked at once; more need more memory.")
    pred_iou: float = Field(0.8, ge=0, le=1, description="Masks that the network rates no higher are dropped.")
    stability: float = Field(0.95, ge=0, le=1, description="Masks that change more with the threshold are dropped.")
    box_iou: float = Field(0.7, gt=0, le=1, description="Of masks whose boxes overlap more the best rated one stays.")
    device: str = Field("auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="Mixed precision, float16 or bfloat16, on CUDA; auto = float16 there, float32 on the CPU."
    )
