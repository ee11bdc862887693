"""Whether the frames of a recording agree with each other: a wrong pose or wrongly scaled depth shows.

The points of a frame are projected into other frames that saw the same place. Where such a camera looked through a
point (saw something farther away in its direction), the two contradict each other; points hidden behind something say
nothing. A frame that contradicts most of its neighbours is wrong, or its depth is; its neighbours contradict only it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from seg3d_core.data.scenes.reprojection_kernels import compare
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import apply, invert
from seg3d_core.types import RgbdFrame

PROBE_WIDTH = 160
"""Depth images are compared at about this width."""

TOLERANCE = np.array([0.03, 0.01])
"""Depths differ by at most this many metres, and this much times the square of the distance more: sensor noise."""

LEAST_COMMON = 300
"""Two frames that share fewer samples cannot be compared."""

NEIGHBOURS = 6
"""A frame is judged by so many others: those nearest in time, and those that look at the same place."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A small version of a frame's depth.

    Attributes:
        depth_m: (h, w), every n-th pixel; 0 = no return.
        camera: its pinhole camera.
        T_world_camera: pose.
        points: (P, 3) m, world: its returns.
    """

    depth_m: Float32[np.ndarray, "h w"]
    camera: Camera
    T_world_camera: Float64[np.ndarray, "4 4"]
    points: Float32[np.ndarray, "P 3"]

    @classmethod
    def of(cls, frame: RgbdFrame) -> Probe:
        """The frame must have a pose and be a pinhole camera's."""
        assert frame.T_world_camera is not None
        step = max(frame.camera.width // PROBE_WIDTH, 1)
        depth_m = np.ascontiguousarray(frame.depth_m[::step, ::step])
        K = frame.camera.K.copy()
        K[:2] /= step
        camera = Camera(depth_m.shape[1], depth_m.shape[0], K)
        is_seen = depth_m > 0
        points = apply(frame.T_world_camera, camera.rays()[is_seen] * depth_m[is_seen][:, None])
        return cls(depth_m, camera, frame.T_world_camera, points)


@dataclass(frozen=True)
class Agreement:
    """How a frame agrees with its neighbours.

    Attributes:
        contradiction: median over its neighbours of the share (0..1) of common points that one of the cameras looked
            through; NaN where nothing can be compared.
        neighbours: frames that it was compared with.
    """

    contradiction: float
    neighbours: int


def measure_agreement(probes: Sequence[Probe]) -> list[Agreement]:
    """Of every frame with its neighbours, in the order given (that of time)."""
    compared: dict[tuple[int, int], float] = {}
    found = []
    for i, candidates in enumerate(_candidates(probes)):
        shares: list[float] = []
        for j in candidates:
            pair = (min(i, int(j)), max(i, int(j)))
            if pair not in compared:
                compared[pair] = _contradiction(probes[pair[0]], probes[pair[1]])
            if np.isfinite(compared[pair]):
                shares.append(compared[pair])
            if len(shares) == NEIGHBOURS:
                break
        found.append(Agreement(float(np.median(shares)) if shares else float("nan"), len(shares)))
    return found


def _contradiction(a: Probe, b: Probe) -> float:
    """Share of the points that both can see that contradict; the worse of the two directions, NaN if too few."""
    shares = []
    for one, other in ((a, b), (b, a)):
        in_view, agreeing, too_near = compare(
            one.points, invert(other.T_world_camera), other.camera.K, other.depth_m, TOLERANCE
        )
        if in_view < LEAST_COMMON or agreeing + too_near < LEAST_COMMON // 2:
            return float("nan")
        shares.append(too_near / (agreeing + too_near))
    return max(shares)


def _candidates(probes: Sequence[Probe]) -> list[Int64[np.ndarray, " C"]]:
    """Other frames to compare each one with, the most promising first.

    Near in time comes first, alternating with near in place and direction: a camera that was lost and found again is
    judged by what it saw before.
    """
    if len(probes) < 2:
        return [np.zeros(0, np.int64) for _ in probes]
    poses = np.stack([probe.T_world_camera for probe in probes])
    middles = np.stack([_middle(probe) for probe in probes])
    orders = []
    for i in range(len(probes)):
        others = np.delete(np.arange(len(probes)), i)
        turned = 1 - poses[others, :3, 2] @ poses[i, :3, 2]
        away_m = np.linalg.norm(middles[others] - middles[i], axis=1)
        in_time = others[np.argsort(np.abs(others - i), kind="stable")]
        in_place = others[np.argsort(away_m + 2 * turned, kind="stable")]
        mixed = np.stack([in_time, in_place], axis=1)[: 2 * NEIGHBOURS].reshape(-1)
        _, first = np.unique(mixed, return_index=True)
        orders.append(mixed[np.sort(first)])
    return orders


def _middle(probe: Probe) -> Float64[np.ndarray, "3"]:
    """Of what the frame shows, m, world; of the camera where it shows nothing."""
    if len(probe.points) == 0:
        return probe.T_world_camera[:3, 3]
    middle: Float64[np.ndarray, "3"] = np.median(probe.points, axis=0).astype(np.float64)
    return middle
