"""Instances while they are being found: index lists instead of dense masks, so that many of a large cloud fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from seg3d_core.errors import InputError
from seg3d_core.segment3d.proposals_kernels import expand, fill_masks, gather


@dataclass(frozen=True, eq=False)
class Proposals:
    """F subsets of N rows (voxels or points), best score first where not said otherwise; they may overlap.

    Subset f is ``members[offsets[f]:offsets[f + 1]]``: at least one row, each once, in any order.

    Attributes:
        scores: (F,) in 0..1.
        offsets: (F + 1,) where the members of each subset start, from 0 to M.
        members: (M,) rows, 0..N-1.
        num_rows: N.
        probabilities: (M,) in 0..1 that a member belongs to its subset, or None where nobody knows.
    """

    scores: Float32[np.ndarray, " F"]
    offsets: Int64[np.ndarray, " F+1"]
    members: Int32[np.ndarray, " M"]
    num_rows: int
    probabilities: Float32[np.ndarray, " M"] | None = None

    @classmethod
    def from_masks(cls, masks: Bool[np.ndarray, "F N"], scores: Float32[np.ndarray, " F"]) -> Proposals:
        """The same subsets from dense masks; empty ones are left out."""
        kept, members = np.nonzero(masks)
        sizes = np.bincount(kept, minlength=len(masks))
        offsets = np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64)
        return cls(scores[sizes > 0], offsets, members.astype(np.int32), masks.shape[1])

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def masks(self) -> Bool[np.ndarray, "F N"]:
        """Dense, F N bytes; made when first asked for."""
        masks: Bool[np.ndarray, "F N"] = fill_masks(self.offsets, self.members, self.num_rows)
        return masks

    @property
    def sizes(self) -> Int64[np.ndarray, " F"]:
        """(F,) members of each subset."""
        return np.diff(self.offsets)

    def select(self, chosen: Int64[np.ndarray, " S"] | Bool[np.ndarray, " F"]) -> Proposals:
        """The chosen subsets, in the order in which they are named."""
        picked = np.arange(len(self))[chosen]
        offsets = np.concatenate([[0], np.cumsum(self.sizes[picked])]).astype(np.int64)
        entries = gather(self.offsets, picked, offsets)
        probabilities = None if self.probabilities is None else self.probabilities[entries]
        return Proposals(self.scores[picked], offsets, self.members[entries], self.num_rows, probabilities)

    def with_scores(self, scores: Float32[np.ndarray, " F"]) -> Proposals:
        """The same subsets, scored anew."""
        return replace(self, scores=scores)

    def filtered(self, keep: Bool[np.ndarray, " M"]) -> Proposals:
        """Subsets of the members to keep; those that lose all of theirs are left out."""
        before = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        offsets = before[self.offsets]
        filled = np.diff(offsets) > 0
        probabilities = None if self.probabilities is None else self.probabilities[keep]
        starts = np.concatenate([offsets[:1], offsets[1:][filled]])
        return Proposals(self.scores[filled], starts, self.members[keep], self.num_rows, probabilities)

    def on_points(self, point_to_row: Int32[np.ndarray, " P"]) -> Proposals:
        """The same subsets on points, each of which is in the subsets of its row; subsets without a point are left out.

        Raises:
            InputError: a point is of a row that is not there.
        """
        if len(point_to_row) and not (point_to_row.min() >= 0 and point_to_row.max() < self.num_rows):
            worst = point_to_row.min() if point_to_row.min() < 0 else point_to_row.max()
            raise InputError(f"a point is of row {worst}, but there are rows 0 to {self.num_rows - 1}")
        counts = np.bincount(point_to_row, minlength=self.num_rows)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        points = np.argsort(point_to_row, kind="stable").astype(np.int32)
        offsets, entries, members = expand(self.offsets, self.members, starts, points)
        probabilities = None if self.probabilities is None else self.probabilities[entries]
        filled = np.diff(offsets) > 0
        offsets = np.concatenate([offsets[:1], offsets[1:][filled]])
        return Proposals(self.scores[filled], offsets, members, len(point_to_row), probabilities)
