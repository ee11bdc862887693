"""Images of region numbers: dense numbering, connected pieces, neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from seg3d_core.labelling.regions_kernels import connect
from seg3d_core.types import IGNORE


def renumbered(labels: Int32[np.ndarray, "H W"]) -> tuple[Int32[np.ndarray, "H W"], Int64[np.ndarray, " R"]]:
    """Numbers 0..R-1 in the order of the labels, ``IGNORE`` where a label is negative; and the label of each number.

    Labels should not be much larger than the number of pixels: memory is taken for each up to the largest.
    """
    present = np.bincount(labels.ravel() + 1)
    present[0] = 0
    known = np.flatnonzero(present)
    number = np.full(len(present), IGNORE, np.int32)
    number[known] = np.arange(len(known), dtype=np.int32)
    return np.take(number, np.maximum(labels, -1) + 1), known - 1


def connected_pieces(labels: Int32[np.ndarray, "H W"]) -> tuple[Int32[np.ndarray, "H W"], Int64[np.ndarray, " R"]]:
    """Number of the connected piece (by edges of pixels) at each pixel, ``IGNORE`` where the label is negative; and
    the label of each piece. Pieces come in the order of their first pixels."""
    pieces = np.empty(labels.shape, np.int32)
    count = connect(np.ascontiguousarray(labels), pieces)
    label_of = np.zeros(count, np.int64)
    covered = pieces >= 0
    label_of[pieces[covered]] = labels[covered]
    return pieces, label_of


@dataclass(frozen=True, eq=False)
class Borders:
    """Pairs of regions that lie side by side.

    Attributes:
        first, second: (P,) numbers of the regions, first < second, each pair once.
        length_px: (P,) pairs of neighbouring pixels.
        touching: (P,) share (0..1) of them where the two surfaces meet in space.
    """

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    length_px: Int64[np.ndarray, " P"]
    touching: Float32[np.ndarray, " P"]


def borders(regions: Int32[np.ndarray, "H W"], depth_m: Float32[np.ndarray, "H W"], touch_m: float) -> Borders:
    """All borders between regions. Pixels without depth (0) touch nothing.

    ``touch_m`` is the largest step of depth between surfaces that touch, m, times their distance where that is above
    1 m: sensors and slanted surfaces step by more there.
    """
    count = np.int64(regions.max(initial=IGNORE)) + 1
    keys, meets = [], []
    for near, far in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1),), (slice(1, None),)),
    ):
        at = np.flatnonzero((regions[near] != regions[far]) & (regions[near] >= 0) & (regions[far] >= 0))
        a, b = regions[near].ravel()[at].astype(np.int64), regions[far].ravel()[at].astype(np.int64)
        keys.append(np.minimum(a, b) * count + np.maximum(a, b))
        meets.append(_meets(depth_m[near].ravel()[at], depth_m[far].ravel()[at], touch_m))
    pairs, pair, length_px = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    together = np.bincount(pair, np.concatenate(meets), len(pairs))
    first, second = np.divmod(pairs, max(int(count), 1))
    return Borders(first, second, length_px, (together / length_px).astype(np.float32))


def _meets(a_m: Float32[np.ndarray, " B"], b_m: Float32[np.ndarray, " B"], touch_m: float) -> Bool[np.ndarray, " B"]:
    nearest = np.minimum(a_m, b_m)
    meets: Bool[np.ndarray, " B"] = (nearest > 0) & (np.abs(a_m - b_m) <= touch_m * np.maximum(nearest, 1))
    return meets


def border_pixels(regions: Int32[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Pixels beside a pixel of another number, on both sides."""
    found = np.zeros(regions.shape, np.bool_)
    across = regions[:, 1:] != regions[:, :-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    across = regions[1:] != regions[:-1]
    found[1:] |= across
    found[:-1] |= across
    return found
