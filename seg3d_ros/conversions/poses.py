"""Poses on the wire to and from ``T_target_source`` matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, TransformStamped, Vector3
from jaxtyping import Float64
from nav_msgs.msg import Odometry

from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import from_quaternion, to_quaternion
from seg3d_ros.conversions.stamps import header, stamp_ns

_MAX_NORM_ERROR = 0.01
"""tf2 accepts the same: single precision and rounded text stay far below."""


class StampedTransform(NamedTuple):
    """Where a frame was: ``T`` maps coordinates in ``child_frame`` to ``parent_frame``.

    ``child_frame`` is empty where the message does not name it (PoseStamped).
    """

    parent_frame: str
    child_frame: str
    stamp_ns: int
    T: Float64[np.ndarray, "4 4"]


def transform_from_message(msg: PoseStamped | Odometry | TransformStamped) -> StampedTransform:
    """The transform of a pose message: from the posed frame to ``header.frame_id``; metres.

    Raises:
        InputError: a position is not finite, or the quaternion is not of length 1 (an unset one has length 0 or is
            the identity: the latter cannot be told from a real one).
    """
    if isinstance(msg, TransformStamped):
        child, position, orientation = msg.child_frame_id, msg.transform.translation, msg.transform.rotation
    elif isinstance(msg, Odometry):
        child, position, orientation = msg.child_frame_id, msg.pose.pose.position, msg.pose.pose.orientation
    else:
        child, position, orientation = "", msg.pose.position, msg.pose.orientation
    T = _matrix(position, orientation, f"pose in frame {msg.header.frame_id!r}")
    return StampedTransform(msg.header.frame_id, child, stamp_ns(msg.header.stamp), T)


def _matrix(position: Point | Vector3, orientation: Quaternion, name: str) -> Float64[np.ndarray, "4 4"]:
    translation = np.array([position.x, position.y, position.z], np.float64)
    xyzw = np.array([orientation.x, orientation.y, orientation.z, orientation.w], np.float64)
    if not np.isfinite(translation).all():
        raise InputError(f"{name} has position {translation.tolist()} m: not finite")
    length = float(np.linalg.norm(xyzw))
    # Written so that NaN is refused too.
    if not abs(length - 1) <= _MAX_NORM_ERROR:
        raise InputError(
            f"{name} has quaternion (x, y, z, w) = {xyzw.tolist()} of length {length:.3g}, must be 1 +- "
            f"{_MAX_NORM_ERROR}: not a rotation"
        )
    return from_quaternion(translation, xyzw / length)


def pose_from_matrix(T: Float64[np.ndarray, "4 4"]) -> Pose:
    """The pose (position in metres, unit quaternion) of a rigid transform."""
    (x, y, z), (qx, qy, qz, qw) = (part.tolist() for part in to_quaternion(T))
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_message(T: Float64[np.ndarray, "4 4"], frame_id: str, stamp_ns: int) -> PoseStamped:
    """The pose of the frame that ``T`` maps from, in ``frame_id``."""
    return PoseStamped(header=header(frame_id, stamp_ns), pose=pose_from_matrix(T))
