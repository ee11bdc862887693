"""Farthest and nearest points by the lines of PyTorch that everybody writes: a peer to measure against."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from seg3d_core.benchmark.by_turns import Pair
from seg3d_core.errors import DisagreementError
from seg3d_core.point_ops.neighbours import nearest
from seg3d_core.point_ops.sampling import farthest_points

_QUERIES_AT_ONCE = 64

NEAREST_WITHIN = 5e-3
"""Distances of ``nearest_plainly`` err by less, in a cloud some units across: ``cdist`` subtracts large squares."""


def farthest_plainly(points: Float32[Tensor, "N 3"], count: int) -> Int64[Tensor, " count"]:
    """Rows of ``count`` points: row 0, then always the one farthest from all before it, the first of equals."""
    squared = torch.full((len(points),), torch.inf)
    chosen = torch.zeros(count, dtype=torch.int64)
    for i in range(1, count):
        squared = torch.minimum(squared, ((points - points[chosen[i - 1]]) ** 2).sum(-1))
        chosen[i] = squared.argmax()
    return chosen


def nearest_plainly(
    points: Float32[Tensor, "N 3"], queries: Float32[Tensor, "M 3"], k: int
) -> tuple[Int64[Tensor, "M k"], Float32[Tensor, "M k"]]:
    """Rows of the ``k`` nearest points of each query, nearest first, and their distances."""
    found = [torch.cdist(asked, points).topk(k, largest=False) for asked in torch.split(queries, _QUERIES_AT_ONCE)]
    return torch.cat([rows.indices for rows in found]), torch.cat([rows.values for rows in found])


def groups_pair(points: Float32[Tensor, "N 3"], groups: int, size: int) -> Pair:
    """The farthest points, and so many nearest ones of each."""

    def ours() -> tuple[Tensor, Tensor]:
        centres = farthest_points(points, groups)
        return centres, nearest(points, points[centres], size)[1]

    def theirs() -> tuple[Tensor, Tensor]:
        centres = farthest_plainly(points, groups)
        return centres, nearest_plainly(points, points[centres], size)[1]

    name = f"{groups} groups of {size} of {len(points):,} points"
    return Pair(name, ours, "loop, cdist, topk", theirs, _same_groups)


def _same_groups(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> None:
    others = ours[0] != theirs[0]
    if others.any():
        first = int(others.nonzero()[0])
        raise DisagreementError(
            f"{int(others.sum())} of {len(others)} farthest points are others than the plain loop's: the first is "
            f"number {first}, row {int(ours[0][first])} instead of {int(theirs[0][first])}"
        )
    require_close("distances of nearest points", ours[1], theirs[1], NEAREST_WITHIN)


def require_close(what: str, ours: Tensor, theirs: Tensor, within: float, share: float = 0.0) -> None:
    """Compare two results of the same shape.

    Args:
        what: it is, for the message.
        ours, theirs: results; NaN is close to nothing.
        within: they may differ by so much,
        share: and by this share of ``theirs``.

    Raises:
        DisagreementError: somewhere they differ by more.
    """
    difference = (ours - theirs).abs()
    beyond = ~(difference <= within + share * theirs.abs())
    if beyond.any():
        largest = float(difference[beyond].max())
        raise DisagreementError(
            f"{int(beyond.sum())} of {beyond.numel()} {what} are others than the peer's: the difference is up to "
            f"{largest:.3g}, {within:g} is allowed"
        )
