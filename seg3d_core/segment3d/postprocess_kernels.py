"""Compiled loops from logits to index lists, and of superpoints."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def positive_members(mask_logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels with a logit above 0 of each query: where they start (Q + 1,), voxels (M,), their sigmoids (M,)."""
    queries, voxels = mask_logits.shape
    offsets = np.zeros(queries + 1, np.int64)
    for q in range(queries):
        count = 0
        for v in range(voxels):
            count += mask_logits[q, v] > 0
        offsets[q + 1] = offsets[q] + count
    members = np.empty(offsets[-1], np.int32)
    probabilities = np.empty(offsets[-1], np.float32)
    for q in range(queries):
        at = offsets[q]
        for v in range(voxels):
            if mask_logits[q, v] > 0:
                members[at] = v
                probabilities[at] = 1 / (1 + np.exp(-np.float64(mask_logits[q, v])))
                at += 1
    return offsets, members, probabilities


@njit(cache=True, nogil=True)
def majority_members(
    offsets: np.ndarray, members: np.ndarray, superpoints: np.ndarray, starts: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Subsets of whole superpoints: those with more than half of their points among the members.

    Superpoint s has ``points[starts[s]:starts[s + 1]]``; members without one (< 0) stay. Returns offsets and members.
    """
    shared = np.zeros(len(starts) - 1, np.int64)
    touched = np.empty(len(starts) - 1, np.int64)
    new_offsets = np.zeros_like(offsets)
    result = np.empty(2 * len(members), np.int32)
    at = 0
    for f in range(len(offsets) - 1):
        count = 0
        for row in members[offsets[f] : offsets[f + 1]]:
            s = superpoints[row]
            if s < 0:
                result[at] = row
                at += 1
                continue
            if shared[s] == 0:
                touched[count] = s
                count += 1
            shared[s] += 1
        for s in touched[:count]:
            if 2 * shared[s] > starts[s + 1] - starts[s]:
                for i in range(starts[s], starts[s + 1]):
                    result[at] = points[i]
                    at += 1
            shared[s] = 0
        new_offsets[f + 1] = at
    return new_offsets, result[:at].copy()
