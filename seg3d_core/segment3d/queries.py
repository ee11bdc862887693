"""Where the queries of a scene stand: farthest point sampling of its voxels."""

from __future__ import annotations

from jaxtyping import Int32, Int64
from torch import Tensor

from seg3d_core.config_base import FarthestPointTies
from seg3d_core.errors import InputError
from seg3d_core.point_ops.sampling import sample_farthest


def query_voxels(voxels: Int32[Tensor, "V 3"], count: int, ties: FarthestPointTies = "released") -> Int64[Tensor, " Q"]:
    """Rows of ``count`` voxels, each the farthest from those before it, from row 0 on.

    Distances are squared in float32 over integer voxel coordinates, so that ties are frequent. ``lowest_index`` gives
    them to the first row, ``released`` to the row that the released CUDA sampler finds (specified by
    ``point_ops.ties.released_order``). As there, voxel (0, 0, 0) is never chosen but as the first, and when no voxel is
    left, row 0 (the first that is not the origin) repeats: there are always ``count`` rows.

    Raises:
        InputError: no voxel, or no query.
    """
    if len(voxels) < 1 or count < 1:
        raise InputError(f"{count} queries were asked of {len(voxels)} voxels, both must be at least 1")
    return sample_farthest(voxels.float(), count, ties=ties, candidates=(voxels != 0).any(dim=1))
