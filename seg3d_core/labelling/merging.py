"""One mask per pixel from masks that overlap: the released rule of Segment3D's labels, and the paper's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int32

from seg3d_core.labelling.regions import renumbered
from seg3d_core.masks_kernels import paint
from seg3d_core.types import IGNORE

INSIDE_SHARE = 0.9
"""A finer region of which more than this lies in one large region adds nothing to it."""


def best_rated(masks: Bool[np.ndarray, "Q H W"], ratings: Float32[np.ndarray, " Q"]) -> Int32[np.ndarray, "H W"]:
    """Each pixel belongs to the best rated mask over it, ``IGNORE`` where there is none; the first of equals.

    Numbers are those of the masks, hence not dense.
    """
    count, height, width = masks.shape
    labels = np.full(height * width, IGNORE, np.int32)
    best_last = np.argsort(-ratings, kind="stable")[::-1]
    paint(np.ascontiguousarray(masks.reshape(count, height * width)), np.ascontiguousarray(best_last), labels)
    return labels.reshape(height, width)


def large_first(
    finer: Int32[np.ndarray, "H W"], large: Int32[np.ndarray, "H W"], inside_share: float = INSIDE_SHARE
) -> Int32[np.ndarray, "H W"]:
    """Large regions, and on top of them what finer regions show that is not in one of them already; dense numbers.

    Regions of ``finer`` with more than ``inside_share`` of their pixels in one region of ``large`` are left out.
    """
    finer, fine_of = renumbered(finer)
    large, large_of = renumbered(large)
    # The last column: pixels outside of all large regions.
    shared = np.zeros((len(fine_of) + 1, len(large_of) + 1), np.int64)
    pairs = np.bincount((finer.ravel() % shared.shape[0]) * shared.shape[1] + large.ravel() % shared.shape[1])
    shared.ravel()[: len(pairs)] = pairs
    areas = shared[:-1].sum(axis=1)
    is_new = np.append(shared[:-1, :-1].max(axis=1, initial=0) <= inside_share * areas, False)
    return renumbered(np.where(is_new[finer], finer + np.int32(len(large_of)), large))[0]
