"""What a file of Point-SAM weights says about itself."""

from __future__ import annotations

from pydantic import Field

from seg3d_core.checkpoints.cards import Card
from seg3d_core.checkpoints.precision import Precision
from seg3d_core.point_sam_config import PointSamConfig


class PointSamCard(Card):
    """What a file of weights is."""

    precision: Precision = Field(description="Number type of the tensors; they are computed with in float32.")
    parameters: int = Field(ge=1, description="Number of trained numbers.")
    network: PointSamConfig = Field(description="Widths and depths.")
