"""True ids of a fused cloud: what the frames that saw a point saw there.

The nearest true surface is no good answer: a magazine is thinner than the noise, and half of its points would fall to
the table top that it covers. A pixel's id is exact.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int32

from seg3d_core.data.scenes.truth_votes_kernels import majority, sight
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import invert
from seg3d_core.types import IGNORE

TOLERANCE = np.array([0.02, 0.01])
"""A frame saw a point if the depths differ by at most this many metres, and this share of the distance more."""


class TruthVotes:
    """Collects the votes of frames on the parts of a cloud; a part belongs to one instance.

    Args:
        points: (N, 3) m, world.
        part_owners: (P + 1,) instance id of each part id; element 0 is not used.
    """

    def __init__(self, points: Float32[np.ndarray, "N 3"], part_owners: Int32[np.ndarray, " P1"]) -> None:
        self._points = points
        self._owners = part_owners
        self._pixels = np.empty(len(points), np.int64)
        self._votes: list[Int32[np.ndarray, " N"]] = []

    def add(
        self,
        camera: Camera,
        T_world_camera: Float64[np.ndarray, "4 4"],
        depth_m: Float32[np.ndarray, "H W"],
        part_ids: Int32[np.ndarray, "H W"],
    ) -> None:
        """A frame's exact depth and part ids (``IGNORE``: none), at the pose that it was fused with."""
        sight(self._points, invert(T_world_camera), camera.K, depth_m, TOLERANCE, self._pixels)
        ids = np.append(part_ids.reshape(-1), np.int32(IGNORE))
        self._votes.append(ids[self._pixels])  # pixel -1 is the appended one

    def result(self) -> tuple[Int32[np.ndarray, " N"], Int32[np.ndarray, " N"]]:
        """Instance id and part id of each point: the instance with most votes, and of its parts that with most.

        ``IGNORE`` where no frame saw the point: such points are noise.
        """
        instances = np.full(len(self._points), IGNORE, np.int32)
        parts = instances.copy()
        if self._votes:
            votes = np.stack(self._votes, axis=1)
            owners = np.where(votes == IGNORE, np.int32(IGNORE), self._owners[votes])
            majority(owners.copy(), IGNORE, instances)
            majority(np.where(owners == instances[:, None], votes, np.int32(IGNORE)), IGNORE, parts)
        return instances, parts
