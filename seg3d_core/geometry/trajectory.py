"""Poses over time: what a camera's position was at the stamp of an image."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from jaxtyping import Float64

from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import check_rigid, interpolate

_SECOND_NS = 1_000_000_000

_GAP_TOLERANCES = 10
"""Neighbouring poses this many tolerances apart are still joined by a straight line.

A pose held for the tolerance t is off by v t, a line across a gap g by a g^2 / 8. At the speed and acceleration of a
robot or a hand (about 1 m/s and 1 m/s^2) and a tolerance of some 0.05 s, the errors are alike at g = 0.6 s.
"""


class PoseBuffer:
    """Poses of the last ``duration_s`` seconds in the order of their stamps. Not locked: one owner at a time.

    Raises:
        InputError: ``duration_s`` is not above 0 s.
    """

    def __init__(self, duration_s: float) -> None:
        if not duration_s > 0:
            raise InputError(f"pose buffer duration is {duration_s:g} s, it must be above 0 s")
        self._duration_ns = int(duration_s * _SECOND_NS)
        self._stamps: list[int] = []
        self._poses: list[Float64[np.ndarray, "4 4"]] = []

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest pose, None while there is none."""
        return self._stamps[-1] if self._stamps else None

    def insert(self, stamp_ns: int, T_world_camera: Float64[np.ndarray, "4 4"]) -> None:
        """Remember a pose; late ones are sorted in, a second one at the same stamp replaces the first.

        Raises:
            InputError: the pose is not rigid.
        """
        check_rigid(T_world_camera, "T_world_camera")
        at = bisect_left(self._stamps, stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == stamp_ns:
            self._poses[at] = T_world_camera
        else:
            self._stamps.insert(at, stamp_ns)
            self._poses.insert(at, T_world_camera)
        expired = bisect_left(self._stamps, self._stamps[-1] - self._duration_ns)
        del self._stamps[:expired], self._poses[:expired]

    def lookup(self, stamp_ns: int, tolerance_s: float) -> Float64[np.ndarray, "4 4"]:
        """The pose at ``stamp_ns``: interpolated between its neighbours, or the end of the buffer within tolerance.

        Neighbours may be ten tolerances apart: what happened in a longer gap is not known. With a tolerance of 0 only
        a pose at the very stamp will do.

        Raises:
            InputError: the buffer is empty, the stamp is more than ``tolerance_s`` before or after all poses, or in a
                gap between poses that is too long.
        """
        if not self._stamps:
            raise InputError("no camera pose has been received yet")
        at = bisect_left(self._stamps, stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == stamp_ns:
            return self._poses[at]
        if at in (0, len(self._stamps)):
            return self._end(stamp_ns, tolerance_s)
        return self._between(at, stamp_ns, _GAP_TOLERANCES * tolerance_s)

    def clear(self) -> None:
        """Forget every pose (time has jumped back, or the world frame has changed)."""
        self._stamps.clear()
        self._poses.clear()

    def _between(self, at: int, stamp_ns: int, max_gap_s: float) -> Float64[np.ndarray, "4 4"]:
        before_ns, after_ns = self._stamps[at - 1], self._stamps[at]
        gap_s = (after_ns - before_ns) / _SECOND_NS
        if gap_s > max_gap_s:
            raise InputError(
                f"the camera poses before and after the image are {gap_s:.3f} s apart, at most {max_gap_s:.3f} s "
                f"({_GAP_TOLERANCES} times the tolerance) is interpolated"
            )
        return interpolate(self._poses[at - 1], self._poses[at], (stamp_ns - before_ns) / (after_ns - before_ns))

    def _end(self, stamp_ns: int, tolerance_s: float) -> Float64[np.ndarray, "4 4"]:
        late = stamp_ns > self._stamps[-1]
        gap_s = abs(stamp_ns - self._stamps[-1 if late else 0]) / _SECOND_NS
        if gap_s > tolerance_s:
            side = "after the newest" if late else "before the oldest"
            raise InputError(f"the image is {gap_s:.3f} s {side} camera pose, at most {tolerance_s:.3f} s is allowed")
        return self._poses[-1 if late else 0]
