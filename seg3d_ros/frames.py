"""Where the camera stood at the stamp of an input: from a topic, or from tf2 where that is installed.

Nothing here ever answers with the identity, or with another time than the one asked for, beyond the tolerance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped
from jaxtyping import Float64
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from seg3d_core.errors import ConfigError, InputError, Seg3dError
from seg3d_core.geometry.trajectory import PoseBuffer
from seg3d_core.geometry.transforms import apply
from seg3d_core.types import Cloud
from seg3d_ros.conversions.poses import transform_from_message
from seg3d_ros.qos import MatchingSubscription
from seg3d_ros.settings import NodeConfig

POSE_TYPES: dict[str, type] = {
    "PoseStamped": PoseStamped,
    "Odometry": Odometry,
    "TransformStamped": TransformStamped,
}

TF_SLICE_S = 0.1
"""A lookup in tf notices after this long that it is no longer wanted."""


class TransformUnavailable(Seg3dError):  # noqa: N818  the name that the documentation uses
    """It is not known where the camera stood: names both frames, the stamp, and how long was waited."""


class WorldPose(NamedTuple):
    """``T_world_source`` maps coordinates of the frame asked for to the frame ``frame_id``."""

    frame_id: str
    T_world_source: Float64[np.ndarray, "4 4"]


class DatedPose(NamedTuple):
    """A pose and the time (ns) that it is of; 0: of all times (static transforms)."""

    pose: WorldPose
    stamp_ns: int


class PoseProvider(Protocol):
    """Answers where a frame was."""

    def lookup(self, source_frame: str, stamp_ns: int, timeout_s: float) -> WorldPose:
        """The pose of ``source_frame`` at ``stamp_ns``, waiting at most ``timeout_s``; not from a callback.

        Raises:
            TransformUnavailable: it did not become known in time.
        """
        ...

    def newest(self, source_frame: str) -> DatedPose:
        """The newest pose of ``source_frame`` that is known, without waiting.

        Raises:
            TransformUnavailable: none is.
        """
        ...

    @property
    def names_frames(self) -> bool:
        """Whether the source says whose poses it tells; else only the one who asks can know."""
        ...

    def clock_jumped(self) -> None:
        """The node's clock has jumped back."""
        ...

    def destroy(self) -> None:
        """Stop listening; a lookup that waits gives up."""
        ...


class TopicPoses:
    """Poses of the camera as messages; needs no tf.

    Args:
        listen: subscribes its argument, a callback for pose messages.
        refuse: called with the reason when a message is not a pose.
        global_frame: the frame that the poses must be in; "": whichever they name.
        tolerance_s: how far (s) the oldest and newest pose reach; neighbours ten times as far apart are joined.
        duration_s: poses older than this (s) before the newest are forgotten.
        jump_s: a pose this much (s) older than the newest starts afresh.
    """

    def __init__(
        self,
        listen: Callable[[Callable[[Any], None]], MatchingSubscription],
        refuse: Callable[[Exception], None],
        *,
        global_frame: str,
        tolerance_s: float,
        duration_s: float,
        jump_s: float,
    ) -> None:
        self._refuse = refuse
        self._global_frame = global_frame
        self._tolerance_s = tolerance_s
        self._jump_ns = round(jump_s * 1e9)
        self._buffer = PoseBuffer(duration_s)
        self._frames = ("", "")
        self._listening = True
        self._arrived = threading.Condition()
        self._subscription = listen(self.hear)

    def hear(self, message: Any) -> None:
        """Add a pose message; one that is not a rigid pose is refused."""
        try:
            self.insert(message)
        except InputError as error:
            self._refuse(error)

    def insert(self, message: Any) -> None:
        """Add a pose message.

        Raises:
            InputError: not a rigid pose.
        """
        parent, child, stamp_ns, T = transform_from_message(message)
        with self._arrived:
            newest_ns = self._buffer.newest_ns
            if newest_ns is not None and (newest_ns - stamp_ns >= self._jump_ns or parent != self._frames[0]):
                self._buffer.clear()
            self._buffer.insert(stamp_ns, T)
            self._frames = (parent, child)
            self._arrived.notify_all()

    def lookup(self, source_frame: str, stamp_ns: int, timeout_s: float) -> WorldPose:
        """See ``PoseProvider``. Waits for a pose at or after the stamp, so that it need not be guessed."""
        end = time.monotonic() + timeout_s
        with self._arrived:
            while self._listening and self._behind(stamp_ns) and (left := end - time.monotonic()) > 0:
                self._arrived.wait(left)
            parent, _ = self._frames
            self._check_frames(source_frame, stamp_ns)
            try:
                return WorldPose(parent, self._buffer.lookup(stamp_ns, self._tolerance_s))
            except InputError as error:
                world = parent or self._global_frame or "the world"
                raise _unavailable(source_frame, world, stamp_ns, f"{error} (waited {timeout_s:g} s)") from error

    def newest(self, source_frame: str) -> DatedPose:
        """See ``PoseProvider``."""
        with self._arrived:
            parent, _ = self._frames
            newest_ns = self._buffer.newest_ns
            self._check_frames(source_frame, newest_ns)
            if newest_ns is None:
                world = parent or self._global_frame or "the world"
                raise _unavailable(source_frame, world, None, "no camera pose has been received yet")
            return DatedPose(WorldPose(parent, self._buffer.lookup(newest_ns, self._tolerance_s)), newest_ns)

    @property
    def names_frames(self) -> bool:
        """See ``PoseProvider``. PoseStamped does not; the others do."""
        with self._arrived:
            return bool(self._frames[1])

    def clock_jumped(self) -> None:
        """Nothing to do: the poses' own stamps tell, and those of the new time may be here already."""

    def destroy(self) -> None:
        """Stop listening; a lookup that waits gives up."""
        self._subscription.destroy()
        with self._arrived:
            self._listening = False
            self._arrived.notify_all()

    def _behind(self, stamp_ns: int) -> bool:
        return self._buffer.newest_ns is None or self._buffer.newest_ns < stamp_ns

    def _check_frames(self, source_frame: str, stamp_ns: int | None) -> None:
        parent, child = self._frames
        if self._global_frame and parent and parent != self._global_frame:
            raise _unavailable(
                source_frame, self._global_frame, stamp_ns, f"the camera_pose topic is in frame {parent!r}"
            )
        if child and child != source_frame:
            raise _unavailable(
                source_frame,
                parent,
                stamp_ns,
                f"the camera_pose topic tells where {child!r} is, not the images' frame; use pose_source tf",
            )


class Tf2Poses:
    """Poses out of the tf tree.

    Args:
        node: hears /tf and /tf_static.
        global_frame: the frame that the poses are in.
        duration_s: transforms older than this (s) before the newest are forgotten.

    Raises:
        ConfigError: tf2_ros is not installed.
    """

    def __init__(self, node: Node, global_frame: str, duration_s: float) -> None:
        try:
            import tf2_ros  # only a full ROS installation has it
        except ImportError as error:
            raise ConfigError("pose_source tf needs tf2_ros, which is not installed: use pose_topic") from error
        self._global_frame = global_frame
        self._failed = tf2_ros.TransformException
        self._listening = True
        self._buffer = tf2_ros.Buffer(cache_time=Duration(nanoseconds=round(duration_s * 1e9)), node=node)
        # Transforms arrive on the node's executor, while the worker waits for them.
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def lookup(self, source_frame: str, stamp_ns: int, timeout_s: float) -> WorldPose:
        """See ``PoseProvider``. At the stamp itself; tf2 interpolates."""
        at, end = Time(nanoseconds=stamp_ns), time.monotonic() + timeout_s
        while True:
            # tf2 cannot be interrupted, so it waits a little at a time.
            slice_s = min(max(end - time.monotonic(), 0.0), TF_SLICE_S)
            try:
                message = self._buffer.lookup_transform(
                    self._global_frame, source_frame, at, Duration(nanoseconds=round(slice_s * 1e9))
                )
                return WorldPose(self._global_frame, transform_from_message(message).T)
            except self._failed as error:
                if self._listening and time.monotonic() < end:
                    continue
                why = f"{error} (waited {timeout_s:g} s)"
                raise _unavailable(source_frame, self._global_frame, stamp_ns, why) from error

    def newest(self, source_frame: str) -> DatedPose:
        """See ``PoseProvider``."""
        try:
            message = self._buffer.lookup_transform(self._global_frame, source_frame, Time())
        except self._failed as error:
            raise _unavailable(source_frame, self._global_frame, None, str(error)) from error
        found = transform_from_message(message)
        return DatedPose(WorldPose(self._global_frame, found.T), found.stamp_ns)

    @property
    def names_frames(self) -> bool:
        """See ``PoseProvider``. Every transform does."""
        return True

    def clock_jumped(self) -> None:
        """Forget all transforms, static ones excepted: tf2 refuses what is older than what it knows."""
        self._buffer.clear()

    def destroy(self) -> None:
        """Stop listening; a lookup that waits gives up."""
        self._listening = False
        self._listener.unregister()


def patience_s(config: NodeConfig, received_s: float) -> float:
    """How long (s) an input that arrived at ``received_s`` (``time.monotonic``) may wait for its pose now.

    Recorded inputs have until ``recorded_timeout_s`` after their arrival: no slow player loses a frame, and where poses
    never come the queue still moves.
    """
    if not config.process_all:
        return config.transform_timeout_s
    return max(config.transform_timeout_s, received_s + config.recorded_timeout_s - time.monotonic())


def in_world(cloud: Cloud, pose: WorldPose) -> Cloud:
    """The cloud, given in the source frame of ``pose``, in its world frame."""
    T = pose.T_world_source
    rotation = T.copy()
    rotation[:3, 3] = 0
    normals = None if cloud.normals is None else apply(rotation, cloud.normals)
    viewpoint = None if cloud.viewpoint is None else T[:3, :3] @ cloud.viewpoint + T[:3, 3]
    up = None if cloud.up is None else T[:3, :3] @ cloud.up
    return replace(
        cloud, points=apply(T, cloud.points), normals=normals, viewpoint=viewpoint, up=up, frame_id=pose.frame_id
    )


def _unavailable(source_frame: str, world_frame: str, stamp_ns: int | None, why: str) -> TransformUnavailable:
    """``stamp_ns`` None: of any time."""
    when = "" if stamp_ns is None else f" at {stamp_ns * 1e-9:.3f} s"
    return TransformUnavailable(f"no transform from {source_frame!r} to {world_frame!r}{when}: {why}")
