"""Points in buckets of neighbours: whole buckets can be passed over by a look at the boxes around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from seg3d_core.point_ops.buckets_kernels import BUCKET, box_buckets, bucket_keys, fill_buckets


@dataclass(frozen=True, eq=False)
class Buckets:
    """Runs of ``BUCKET`` points along a Morton curve.

    Attributes:
        points: (B, 3, BUCKET) coordinates; the last bucket is filled up with copies of its last point.
        ranks: (B, BUCKET) position of each point among those that were given.
        low, high: (3, B) the box around each bucket.
    """

    points: Float32[np.ndarray, "B 3 BUCKET"]
    ranks: Int64[np.ndarray, "B BUCKET"]
    low: Float32[np.ndarray, "3 B"]
    high: Float32[np.ndarray, "3 B"]

    @classmethod
    def of(cls, points: Float32[np.ndarray, "N 3"], rows: Int64[np.ndarray, " R"]) -> Buckets:
        """Of ``points[rows]``, at least one; ``ranks`` are positions in ``rows``."""
        ranks = np.sort(bucket_keys(points, rows)) & 0xFFFFFFFF
        ranks = np.pad(ranks, (0, -len(ranks) % BUCKET), mode="edge")
        filled = fill_buckets(points, rows, ranks)
        return cls(filled, ranks.reshape(-1, BUCKET), *box_buckets(filled))
