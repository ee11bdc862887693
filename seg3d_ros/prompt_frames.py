"""Clicks in any frame, in the frame of the cloud that they are meant for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from std_msgs.msg import Header

from seg3d_core.errors import PromptError
from seg3d_core.geometry.transforms import apply
from seg3d_ros.conversions.stamps import stamp_ns
from seg3d_ros.frames import PoseProvider, TransformUnavailable, WorldPose


@dataclass(frozen=True)
class Snapshot:
    """Where the cloud that clicks mean is: its frame, and the frame that it was measured in."""

    frame_id: str
    sensor_frame: str


@dataclass(frozen=True)
class Placed:
    """Points in the cloud's frame, m, and how they came there, for people; empty where nothing had to be done."""

    points: Float32[np.ndarray, "P 3"]
    how: str


def place(
    points: Float64[np.ndarray, "P 3"],
    header: Header,
    snapshot: Snapshot,
    poses: PoseProvider | None,
    *,
    timeout_s: float,
    tolerance_s: float,
) -> Placed:
    """Points (m) of a message with this header, in the frame of the snapshot.

    In the cloud's own frame nothing is looked up and the stamp does not matter. Else the transform of the message's own
    time is waited for; where it does not come, the newest one will do if it is near enough in time.

    Raises:
        PromptError: a coordinate is not finite, or nothing tells where the frame is.
        TransformUnavailable: no transform of the message's time, nor one near enough.
    """
    with np.errstate(over="ignore"):
        single = points.astype(np.float32)
    if not np.isfinite(single).all():
        raise PromptError(f"the prompt at {points.tolist()} m is not finite")
    if header.frame_id == snapshot.frame_id:
        return Placed(single, "")
    known = _known(header.frame_id, snapshot, poses)
    pose, how = _pose(known, header, timeout_s, tolerance_s)
    if pose.frame_id != snapshot.frame_id:
        raise PromptError(
            f"the prompt is in frame {header.frame_id!r}, which is known in {pose.frame_id!r}; the cloud is in "
            f"{snapshot.frame_id!r}"
        )
    return Placed(apply(pose.T_world_source, single), f"from frame {header.frame_id!r}, {how}")


def _known(frame_id: str, snapshot: Snapshot, poses: PoseProvider | None) -> PoseProvider:
    """The source of poses, if it can tell where the frame is."""
    unknown = f"the prompt is in frame {frame_id!r}, the cloud in {snapshot.frame_id!r}"
    if not frame_id:
        raise PromptError(f"the prompt does not say its frame (header.frame_id); the cloud is in {snapshot.frame_id!r}")
    if poses is None:
        raise PromptError(f"{unknown}: set pose_source to pose_topic or tf")
    if not poses.names_frames and frame_id != snapshot.sensor_frame:
        raise PromptError(
            f"{unknown}, and the camera_pose topic only tells where {snapshot.sensor_frame!r} is: use pose_source tf"
        )
    return poses


def _pose(poses: PoseProvider, header: Header, timeout_s: float, tolerance_s: float) -> tuple[WorldPose, str]:
    at_ns = stamp_ns(header.stamp)
    if at_ns == 0:  # tf's way to say: the newest
        return poses.newest(header.frame_id).pose, "with the newest transform, the prompt has no stamp"
    try:
        return poses.lookup(header.frame_id, at_ns, timeout_s), "with the transform of its stamp"
    except TransformUnavailable as error:
        newest = poses.newest(header.frame_id)
        apart_s = (at_ns - newest.stamp_ns) * 1e-9 if newest.stamp_ns else 0.0
        if abs(apart_s) > tolerance_s:
            side = "older" if apart_s < 0 else "newer"
            raise TransformUnavailable(
                f"{error}; the prompt is {abs(apart_s):.3f} s {side} than the newest transform, at most "
                f"{tolerance_s:g} s (click_tolerance_s) is allowed; is use_sim_time the same everywhere?"
            ) from error
        return newest.pose, f"with the newest transform, {abs(apart_s):.3f} s from its stamp"
