"""A promptable model whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np

from seg3d_core.errors import InputError
from seg3d_core.interaction.candidates import MaskCandidates


class BallModel:
    """What is nearer than a radius to a click on the object, and not that near to one beside it.

    Three candidates: balls of ``radii_m``, in this order; later the first of them, with all that was found before.
    """

    description = "balls"

    def __init__(self, *radii_m):
        self.radii_m = radii_m or (1.0, 2.0, 3.0)
        self.clouds, self.asked = [], []

    def set_cloud(self, cloud):
        self.clouds.append(cloud)

    def predict(self, prompt, mask_input=None, multimask=None):
        self.asked.append((len(prompt.points), mask_input is not None, multimask))
        points = self.clouds[-1].points
        if len(points) == 13:
            raise InputError("13 points are refused")
        radii = self.radii_m if multimask else self.radii_m[:1]
        masks = np.array([self._mask(points, prompt, radius) for radius in radii])
        if mask_input is not None:
            masks |= (mask_input > 0) & ~self._near(points, prompt.points[~prompt.is_foreground], radii[0])
        logits = np.where(masks, 1, -1).astype(np.float32)
        scores = np.linspace(1, 0.5, len(radii)).astype(np.float32)
        return MaskCandidates(self.clouds[-1], logits, scores, scores)

    def _mask(self, points, prompt, radius):
        beside = self._near(points, prompt.points[~prompt.is_foreground], radius)
        return self._near(points, prompt.points[prompt.is_foreground], radius) & ~beside

    @staticmethod
    def _near(points, clicks, radius):
        if not len(clicks):
            return np.zeros(len(points), bool)
        return (np.linalg.norm(points[:, None] - clicks, axis=2) <= radius).any(axis=1)
