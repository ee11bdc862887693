"""One instance for each thing: duplicates dropped, every row given to one instance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.suppression_kernels import assign, degrees, suppress_by_bits, suppress_by_rows

_WORDS_PER_PAIR = 8
"""Machine words of bits that are compared in the time that one shared row of two subsets is counted."""


def suppressed(proposals: Proposals, max_iou: float, max_containment: float = 1.0) -> Proposals:
    """Those without a better one that is almost the same; see ``stays``."""
    return proposals.select(stays(proposals, max_iou, max_containment))


def stays(proposals: Proposals, max_iou: float, max_containment: float = 1.0) -> Bool[np.ndarray, " F"]:
    """Which proposals have no better one that is almost the same (non-maximum suppression), best first as given.

    From the best on, a proposal stays unless one that stayed before it has an intersection over union with it above
    ``max_iou``, or holds a share of it above ``max_containment``; 1 switches either off. Exact: shared rows are counted
    row by row, or with bits where rows are in many proposals, whichever takes less.
    """
    offsets, members = proposals.offsets, proposals.members
    degree = degrees(members, proposals.num_rows)
    pairs = float(np.dot(degree.astype(np.float64), degree - 1)) / 2
    words = proposals.num_rows / 64 * len(proposals) * (len(proposals) - 1) / 2
    kept: Bool[np.ndarray, " F"]
    if pairs * _WORDS_PER_PAIR < words:
        kept = suppress_by_rows(offsets, members, degree, max_iou, max_containment)
    else:
        kept = suppress_by_bits(offsets, members, proposals.num_rows, max_iou, max_containment)
    return kept


def assigned(proposals: Proposals, min_share: float = 0.0, min_rows: int = 1) -> Proposals:
    """Proposals that do not overlap: every row goes to the one with the greatest score times probability of the row.

    So a confident small thing stands out of a large one that is unsure there, and elsewhere the better score counts;
    without probabilities it alone does. Of equal ones the smaller has the row, as what lies on a thing does, and of
    equally large ones the earlier.

    What keeps less than ``min_share`` of its rows, or fewer than ``min_rows``, is a remnant: the worst such proposal
    is dropped and its rows go to the next best, until there is none. Linear in the members times what overlaps.
    """
    least = np.maximum(np.ceil(min_share * proposals.sizes), max(min_rows, 1)).astype(np.int64)
    degree = degrees(proposals.members, proposals.num_rows)
    return proposals.filtered(assign(proposals.offsets, proposals.members, _values(proposals), degree, least))


def _values(proposals: Proposals) -> Float32[np.ndarray, " M"]:
    scores = np.repeat(proposals.scores, proposals.sizes)
    return scores if proposals.probabilities is None else scores * proposals.probabilities
