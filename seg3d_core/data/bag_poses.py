"""Camera poses out of the /tf and /tf_static of a recording, without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.bags import BagMessage, BagReader
from seg3d_core.data.transform_tree import TransformTree
from seg3d_core.errors import InputError

_TF_TYPE, _POSE_TYPE = "tf2_msgs/msg/TFMessage", "geometry_msgs/msg/PoseStamped"


@dataclass(frozen=True, eq=False)
class PoseTrack:
    """Poses of one frame over time.

    Attributes:
        stamps_ns: increasing, ns.
        T_world_camera: pose of the camera frame in the fixed frame at each stamp.
    """

    stamps_ns: Int64[np.ndarray, " F"]
    T_world_camera: Float64[np.ndarray, "F 4 4"]


def bag_transforms(path: str | Path) -> TransformTree:
    """All transforms of a recording: every topic called tf or tf_static, in any namespace.

    Raises:
        InputError: unreadable, or without transforms.
    """
    tree = TransformTree()
    store = get_typestore(Stores.ROS2_JAZZY)
    with BagReader(path) as reader:
        topics = [topic.name for topic in reader.topics() if topic.type_name == _TF_TYPE]
        if not topics:
            names = ", ".join(topic.name for topic in reader.topics())
            raise InputError(f"{path} has no transforms (topic /tf); it has {names or 'no topics'}")
        for message in reader.messages(topics):
            for transform in _decoded(store, message, path).transforms:
                _insert(tree, transform, is_static=message.topic.endswith("tf_static"))
    return tree


def camera_transforms(path: str | Path, camera_frame: str, pose_topic: str = "") -> TransformTree:
    """The transforms of a recording; where it has no tf, the poses of its camera from a topic of PoseStamped.

    Args:
        path: of the recording.
        camera_frame: what the poses of the topic are of; poses do not say it.
        pose_topic: use this topic, whether there is tf or not; empty: the one called camera_pose where there is no tf.

    Raises:
        InputError: unreadable, or with neither; the topic is no PoseStamped.
    """
    with BagReader(path) as reader:
        topics = {topic.name: topic.type_name for topic in reader.topics() if topic.count}
        poses = [name for name in topics if name.rpartition("/")[2] == "camera_pose"]
        chosen = pose_topic or ("" if _TF_TYPE in topics.values() or not poses else poses[0])
        if not chosen:
            return bag_transforms(path)
        if topics.get(chosen) != _POSE_TYPE:
            raise InputError(f"{path}: {chosen} is {topics.get(chosen, 'not recorded')}, expected {_POSE_TYPE}")
        tree = TransformTree()
        store = get_typestore(Stores.ROS2_JAZZY)
        for message in reader.messages([chosen]):
            _insert_pose(tree, _decoded(store, message, path), camera_frame)
    return tree


def bag_poses(path: str | Path, fixed_frame: str, camera_frame: str) -> PoseTrack:
    """Poses of ``camera_frame`` in ``fixed_frame`` at every stamp at which one of the transforms between was sent.

    One pose at stamp 0 where all of them are static.

    Raises:
        InputError: unreadable, without transforms, a frame is unknown, or the frames are never connected.
    """
    tree = bag_transforms(path)
    stamps = tree.stamps_ns(fixed_frame, camera_frame)
    chain = tree.chain(fixed_frame, camera_frame)
    if len(stamps) == 0:
        if not tree.is_static(fixed_frame, camera_frame):
            raise InputError(f"{path}: the transforms {' - '.join(chain)} are never known at the same time")
        stamps = np.zeros(1, np.int64)
    poses = np.stack([tree.lookup(fixed_frame, camera_frame, int(stamp)) for stamp in stamps])
    return PoseTrack(stamps, poses)


def _decoded(store: Any, message: BagMessage, path: str | Path) -> Any:
    try:
        return store.deserialize_cdr(message.data, message.type_name)
    except (SerdeError, ValueError) as error:
        raise InputError(f"{path}: {message.topic} at {message.stamp_ns} ns is damaged: {error}") from error


def _insert_pose(tree: TransformTree, message: Any, camera_frame: str) -> None:
    stamp, place, rotation = message.header.stamp, message.pose.position, message.pose.orientation
    tree.insert(
        message.header.frame_id,
        camera_frame,
        stamp.sec * 1_000_000_000 + stamp.nanosec,
        (place.x, place.y, place.z),
        (rotation.x, rotation.y, rotation.z, rotation.w),
    )


def _insert(tree: TransformTree, transform: Any, is_static: bool) -> None:
    stamp, translation, rotation = transform.header.stamp, transform.transform.translation, transform.transform.rotation
    tree.insert(
        transform.header.frame_id,
        transform.child_frame_id,
        stamp.sec * 1_000_000_000 + stamp.nanosec,
        (translation.x, translation.y, translation.z),
        (rotation.x, rotation.y, rotation.z, rotation.w),
        is_static,
    )
