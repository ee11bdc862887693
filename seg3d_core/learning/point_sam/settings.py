"""Settings of a training of Point-SAM, each default written once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from seg3d_core.config import Config
from seg3d_core.point_sam_config import POINT_SAM_PRESETS

_Range = tuple[Annotated[int, Field(ge=4, le=100_000)], Annotated[int, Field(ge=4, le=100_000)]]


class SampleConfig(Config):
    """What one step sees."""

    rooms: int = Field(160, ge=0, le=100_000, description="Synthetic rooms to learn from; 0: simple bodies only.")
    first_room: int = Field(1000, ge=0, description="Seed of the first of them; the others follow.")
    clouds: int = Field(4, ge=1, le=1024, description="Clouds of a step.")
    masks: int = Field(4, ge=1, le=256, description="Objects that are clicked on in each cloud.")
    corrected: int = Field(
        0, ge=0, le=256, description="Of these, so many go on after the first click, which costs least; 0: all of them."
    )
    points: _Range = Field((1536, 4096), description="Points of a cloud, from .. to; drawn for each step.")
    patches: _Range = Field((128, 256), description="Patches of a cloud, from .. to.")
    patch_size: _Range = Field((16, 40), description="Points of a patch, from .. to.")

    @model_validator(mode="after")
    def _ordered(self) -> SampleConfig:
        for name in ("points", "patches", "patch_size"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = {low}, {high}: the first must not be greater")
        if max(self.patches[1], self.patch_size[1]) > self.points[0]:
            raise ValueError(f"points = {self.points[0]} at least: must be as many as patches and patch_size at most")
        return self


class ValidationConfig(Config):
    """How progress is judged: on rooms that are never learned from."""

    every: int = Field(250, ge=1, description="Steps between validations.")
    rooms: int = Field(6, ge=0, le=1000, description="Held-out rooms; 0: simple bodies only.")
    first_room: int = Field(5000, ge=0, description="Seed of the first of them; must not be among those learned from.")
    clouds: int = Field(48, ge=1, le=10_000, description="Clouds of these rooms that are clicked on.")
    shapes: int = Field(16, ge=0, le=10_000, description="Clouds of simple bodies on a plane that are clicked on.")
    points: int = Field(4096, ge=16, le=100_000, description="Points of each.")
    patches: int = Field(256, ge=3, le=16_384, description="Patches of each.")
    patch_size: int = Field(32, ge=1, le=4096, description="Points of each patch.")
    clicks: int = Field(5, ge=1, le=100, description="Clicks on each object.")


class PointSamTrainingConfig(Config):
    """``seg3d train point-sam``."""

    preset: str = Field("nano", description="Which network: nano, tiny, small, base, large, giant, nano_voronoi, ..")
    start_from: str = Field("", description="Safetensors file of weights to start from; empty: random ones.")
    seed: int = Field(0, ge=0, description="Draws the weights and every sample.")
    steps: int = Field(6000, ge=1, description="Steps of the optimiser.")
    rounds: int = Field(
        4, ge=1, le=32, description="Rounds of clicks on each object; the last and one other only refine."
    )
    random_clicks: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of clicks anywhere in the error, as a user's; 0: deepest points, as published.",
    )
    judge_all: bool = Field(
        False,
        description="Predicted overlaps of all three candidates learn; false: the best one's alone, as published.",
    )
    all_candidates: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the candidates' mean in the loss of masks; 0: the best one's alone, as published.",
    )
    iou_weight: float = Field(1.0, ge=0, le=100, description="Of the error of predicted overlaps; 1 as published.")
    first_weight: float = Field(
        1.0, gt=0, le=100, description="Of the first round, relative to each other one's; 1 as published."
    )
    learning_rate: float = Field(6e-4, gt=0, le=1, description="Of AdamW, after the warm-up.")
    weight_decay: float = Field(0.05, ge=0, le=10, description="Of AdamW, on every parameter.")
    warm_up: int = Field(200, ge=0, description="Steps in which the rate grows from a thousandth; a cosine follows.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradients; longer ones are shortened to it.")
    average: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="Decay of the running mean of weights, which is what is judged and kept; 0: none.",
    )
    bfloat16: bool = Field(False, description="Forward passes in bfloat16 where it loses little.")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:N; auto: cuda where there is one."
    )
    threads: int = Field(0, ge=0, le=1024, description="Of PyTorch on the CPU; 0: as many as it likes.")
    workers: int = Field(1, ge=0, le=256, description="Processes that make samples and rooms; 0: none, made in line.")
    save_every: int = Field(100, ge=1, description="Steps between checkpoints that a training goes on from.")
    sample: SampleConfig = Field(SampleConfig.build({}), description="What one step sees.")
    validation: ValidationConfig = Field(ValidationConfig.build({}), description="How progress is judged.")

    @model_validator(mode="after")
    def _consistent(self) -> PointSamTrainingConfig:
        if self.preset not in POINT_SAM_PRESETS:
            raise ValueError(f"preset = {self.preset!r}: known are {', '.join(POINT_SAM_PRESETS)}")
        learned = range(self.sample.first_room, self.sample.first_room + self.sample.rooms)
        held = range(self.validation.first_room, self.validation.first_room + self.validation.rooms)
        if set(learned) & set(held):
            raise ValueError(f"validation.first_room = {held.start}: these rooms are learned from")
        return self
