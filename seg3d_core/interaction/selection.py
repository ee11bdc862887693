"""What is selected after a prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.types import Cloud, Prompt

Source = Literal["click", "mask", "box", "lasso", "goal"]
"""What the last prompt was."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The object in progress.

    Attributes:
        prompt: all its clicks, on points of the cloud, m; empty where a mask was taken as it is.
        candidates: what the prompt may mean, best first.
        chosen: which of them is meant.
        source: what the last prompt was.
        snap_distance_m: of the last click from the point of the cloud that stands for it; 0 where nothing was clicked.
    """

    prompt: Prompt
    candidates: MaskCandidates
    chosen: int = 0
    source: Source = "click"
    snap_distance_m: float = 0.0

    @property
    def cloud(self) -> Cloud:
        """What was clicked on."""
        return self.candidates.cloud

    @property
    def mask_logits(self) -> Float32[np.ndarray, " N"]:
        """Of the chosen candidate."""
        logits: Float32[np.ndarray, " N"] = self.candidates.mask_logits[self.chosen]
        return logits

    @cached_property
    def mask(self) -> Bool[np.ndarray, " N"]:
        """Points of the chosen candidate."""
        mask: Bool[np.ndarray, " N"] = self.mask_logits > 0
        return mask

    @property
    def iou_prediction(self) -> float:
        """The model's estimate for the chosen candidate; near 0..1, not bounded."""
        return float(self.candidates.iou_predictions[self.chosen])

    @property
    def stability(self) -> float:
        """Of the chosen candidate, 0..1."""
        return float(self.candidates.stability[self.chosen])

    def next_candidate(self) -> Selection:
        """The candidate after the chosen one, after the last the first."""
        return replace(self, chosen=(self.chosen + 1) % len(self.candidates.mask_logits))
