"""What is kept of a scene: how masks and truth overlap. Every figure can be computed from it, for any protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from seg3d_core.errors import InputError
from seg3d_core.evaluation.truth import Truth
from seg3d_core.learning.metrics import Overlaps, SceneResult
from seg3d_core.types import Instances


@dataclass(frozen=True, eq=False)
class SceneRecord:
    """One segmented scene.

    Attributes:
        name: as on the command line.
        fingerprint: of the scene's content.
        points: of the cloud.
        seconds: that the segmenter took.
        overlaps: of masks with all instances of the truth, background included.
        is_background: (G,) which of these are no objects.
        peak_bytes: memory that the segmenter took beyond model and cloud; None where it was not measured.
    """

    name: str
    fingerprint: str
    points: int
    seconds: float
    overlaps: Overlaps
    is_background: Bool[np.ndarray, " G"]
    peak_bytes: int | None = None

    @classmethod
    def of(cls, name: str, fingerprint: str, truth: Truth, instances: Instances, seconds: float) -> SceneRecord:
        """Compare a result with the truth of the same cloud.

        Raises:
            InputError: the result has other points than the truth.
        """
        ids = truth.labelled.instance_id
        overlaps = Overlaps.of(SceneResult.of(instances, truth.labelled))
        is_background = np.isin(np.unique(ids[ids > 0]), list(truth.background))
        return cls(name, fingerprint, len(ids), seconds, overlaps, is_background)

    def to_json(self) -> dict[str, Any]:
        """For a file; ``shared`` as [instance, mask, points] for all that overlap."""
        rows, columns = np.nonzero(self.overlaps.shared)
        counts = self.overlaps.shared[rows, columns]
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "points": self.points,
            "seconds": round(self.seconds, 4),
            "peak_bytes": self.peak_bytes,
            "instance_points": self.overlaps.target_sizes.tolist(),
            "is_background": self.is_background.tolist(),
            "mask_points": self.overlaps.mask_sizes.tolist(),
            "mask_scores": self.overlaps.scores.tolist(),
            "shared": np.stack([rows, columns, counts], axis=1).tolist(),
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> SceneRecord:
        """What ``to_json`` made.

        Raises:
            InputError: something is missing or does not fit.
        """
        try:
            targets = np.array(entry["instance_points"], np.int64)
            masks = np.array(entry["mask_points"], np.int64)
            shared = np.zeros((len(targets), len(masks)), np.int64)
            triples = np.array(entry["shared"], np.int64).reshape(-1, 3)
            shared[triples[:, 0], triples[:, 1]] = triples[:, 2]
            scores, is_background = np.array(entry["mask_scores"], np.float64), np.array(entry["is_background"], bool)
            if scores.shape != masks.shape or is_background.shape != targets.shape:
                raise ValueError("lists of unequal length")
            head = str(entry["name"]), str(entry["fingerprint"]), int(entry["points"]), float(entry["seconds"])
            peak_bytes = None if entry["peak_bytes"] is None else int(entry["peak_bytes"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"not a record of a scene: {error!r}") from error
        return cls(*head, Overlaps(shared, targets, masks, scores), is_background, peak_bytes)
