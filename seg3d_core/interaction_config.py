"""Defaults of clicking, each written once: what a click, a box or a goal may reach."""

from __future__ import annotations

from pydantic import Field, model_validator

from seg3d_core.config import Config


class GoalConfig(Config):
    """Which object stands at a position on the floor. Heights are along z of the cloud's frame, which must point up."""

    floor_radius_m: float = Field(
        1.0, ge=0.1, le=10, description="The floor is looked for within this distance of the goal, m; beyond: no map."
    )
    floor_share: float = Field(
        0.05, ge=0, le=0.5, description="This share of the points there may lie below the floor: noise, reflections."
    )
    radius_m: float = Field(0.25, ge=0.01, le=5, description="Radius of the column above the goal, m.")
    min_height_m: float = Field(
        0.05, gt=0, le=2, description="An object is what is higher over the floor than this, m."
    )
    max_height_m: float = Field(2.0, gt=0, le=20, description="What is higher over the floor than this is ignored, m.")
    max_gap_m: float = Field(
        0.15, gt=0, le=10, description="Above a gap in height larger than this is another object, m."
    )
    min_points: int = Field(5, ge=1, le=10_000, description="Fewer points in the column are noise.")
    footprint_reach_m: float = Field(
        0.5,
        ge=0,
        le=10,
        description="Where the column is empty: the nearest instance, at most this far away in x y, m.",
    )

    @model_validator(mode="after")
    def _heights_fit(self) -> GoalConfig:
        if self.min_height_m >= self.max_height_m:
            raise ValueError(f"min_height_m = {self.min_height_m}: must be below max_height_m = {self.max_height_m}")
        return self


class InteractionConfig(Config):
    """How clicks, boxes, masks and goals become prompts of a model, and accepted objects instances of other clouds."""

    max_snap_m: float = Field(
        0.1, gt=0, le=10, description="A click farther than this from every point of the cloud is refused, m."
    )
    max_clicks: int = Field(100, ge=1, le=1000, description="Clicks of one object, at most.")
    mask_logit: float = Field(
        6.0, gt=0, le=50, description="A mask that did not come from the model is shown to it as plus and minus this."
    )
    transfer_m: float = Field(
        0.05,
        gt=0,
        le=1,
        description="A mask of one cloud goes to another by nearest points, at most this far apart, m.",
    )
    box_margin_m: float = Field(0.01, ge=0, le=1, description="Boxes are this much larger on every side, m.")
    goal: GoalConfig = Field(GoalConfig.build({}), description="What stands at a position on the floor.")
