"""Settings of a training of Segment3D, each default written once; the defaults are the released ones of stage 1."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from seg3d_core.config import Config
from seg3d_core.learning.segment3d.data_settings import DataConfig
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS


class LossConfig(Config):
    """What is made small, and what decides which query is to become which mask."""

    class_weight: float = Field(
        2.0,
        ge=0,
        le=1000,
        description="Of classes, in the loss and in matching; 0: neither learns from them (stage 2).",
    )
    mask_weight: float = Field(5.0, ge=0, le=1000, description="Of the cross entropy of masks, in both.")
    dice_weight: float = Field(2.0, ge=0, le=1000, description="Of the dice loss of masks, in both.")
    no_object_weight: float = Field(
        0.1, gt=0, le=100, description="Of a query without a mask among the classes; others have 1."
    )
    place_weight: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Of the masks that queries stand on, whether they were matched with them or not: every query "
        "learns in every step; 0 as published.",
    )
    scenes: Literal["mean", "sum"] = Field(
        "mean",
        description="Mask losses over the scenes of a step: their mean, or their sum, as released, which grows with "
        "the scenes of a step.",
    )
    matching_voxels: int = Field(
        0, ge=0, le=100_000_000, description="Queries are matched by so many random voxels of a scene; 0: by all."
    )


class ScheduleConfig(Config):
    """Learning rate and momentum over the steps: one cycle (Smith 2018), cosines up and down."""

    learning_rate: float = Field(2e-4, gt=0, le=1, description="At its peak.")
    warm_up: float = Field(0.3, gt=0, lt=1, description="Share of the steps until then.")
    decoder_factor: float = Field(
        1.0,
        gt=0,
        le=1,
        description="The decoder learns at the rate times this: at rates that suit a small backbone its layers "
        "make masks worse instead of better.",
    )
    start_factor: float = Field(25.0, ge=1, description="The first rate is the peak divided by this.")
    end_factor: float = Field(1e4, ge=1, description="The last rate is the first one divided by this.")
    momentum: tuple[float, float] = Field(
        (0.85, 0.95), description="First momentum of Adam: at the peak, and at both ends."
    )


class ValidationConfig(Config):
    """How progress is judged: on scenes that are never learned from."""

    every: int = Field(2000, ge=1, description="Steps between validations.")
    targets: str = Field(
        "",
        description="Which masks are asked for, as data.targets; empty: those that are learned. instance: the truth.",
    )
    samples: int = Field(48, ge=1, le=100_000, description="Samples that are judged, evenly spread over those there.")
    fewest_voxels: int = Field(
        50, ge=1, le=100_000, description="Predicted masks of fewer voxels are left out, true ones are not counted."
    )
    pictures: int = Field(4, ge=0, le=1000, description="Samples that are drawn each time.")


class Segment3DTrainingConfig(Config):
    """``seg3d train stage1`` and ``stage2``."""

    stage: Literal[1, 2] = Field(1, description="1: from masks of RGB-D images; 2: from confident masks of scenes.")
    preset: str = Field("base", description="Which network: nano, small or base.")
    num_queries: int = Field(100, ge=1, le=10_000, description="Queries in training and in validation.")
    start_from: str = Field("", description="Checkpoint of weights to start from; empty: random ones.")
    seed: int = Field(0, ge=0, description="Draws the weights and every sample.")
    steps: int = Field(100_000, ge=1, description="Steps of the optimiser.")
    weight_decay: float = Field(0.01, ge=0, le=10, description="Of AdamW, on every parameter.")
    clip: float = Field(
        0.0, ge=0, description="Largest norm of the gradients; longer ones are shortened to it. 0: as they are."
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of the running mean of weights, which is what is judged and kept; 0: no mean.",
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="Number types of the network; the mixed ones are for CUDA."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda)$", description="cpu or cuda; auto: cuda where there is one.")
    devices: int = Field(1, ge=1, le=1024, description="Of this machine; under torchrun what it says counts.")
    threads: int = Field(0, ge=0, le=1024, description="Of PyTorch on the CPU; 0: as many as it likes.")
    save_every: int = Field(500, ge=1, description="Steps between checkpoints that a training goes on from.")
    scenes: tuple[str, ...] = Field((), description="Scene folders to learn from, or folders of them.")
    held_out: tuple[str, ...] = Field((), description="Scene folders to judge on, or folders of them.")
    data: DataConfig = Field(DataConfig.build({}), description="What a step sees.")
    loss: LossConfig = Field(LossConfig.build({}), description="What is made small.")
    schedule: ScheduleConfig = Field(ScheduleConfig.build({}), description="Learning rate and momentum.")
    validation: ValidationConfig = Field(ValidationConfig.build({}), description="How progress is judged.")

    @model_validator(mode="after")
    def _consistent(self) -> Segment3DTrainingConfig:
        if self.preset not in SEGMENT3D_PRESETS:
            raise ValueError(f"preset = {self.preset!r}: known are {', '.join(SEGMENT3D_PRESETS)}")
        kind = {1: "frames", 2: "scenes"}[self.stage]
        if self.data.kind != kind:
            raise ValueError(f"data.kind = {self.data.kind!r}: stage {self.stage} learns from {kind}")
        return self
