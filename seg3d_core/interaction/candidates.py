"""What a promptable model answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from seg3d_core.types import Cloud


@dataclass(frozen=True, eq=False)
class MaskCandidates:
    """What a prompt may mean, best first.

    Attributes:
        cloud: the cloud that the masks index.
        mask_logits: (C, N) a point belongs to the object where they are above 0.
        iou_predictions: (C,) the network's estimate of each mask's overlap with the truth; near 0..1, not bounded.
        stability: (C,) 0..1, size of each mask with a stricter threshold (logit 1) over that with a laxer one (-1).
    """

    cloud: Cloud
    mask_logits: Float32[np.ndarray, "C N"]
    iou_predictions: Float32[np.ndarray, " C"]
    stability: Float32[np.ndarray, " C"]

    @property
    def masks(self) -> Bool[np.ndarray, "C N"]:
        """The points of each candidate."""
        return self.mask_logits > 0

    def with_given(self, mask_logits: Float32[np.ndarray, " N"]) -> MaskCandidates:
        """These and, last, a mask that no model has judged: its estimate is 0, its stability 1."""
        return MaskCandidates(
            self.cloud,
            np.concatenate([self.mask_logits, mask_logits[None]]),
            np.append(self.iou_predictions, np.float32(0)),
            np.append(self.stability, np.float32(1)),
        )
