"""Plays a rosbag2 recording where ``ros2 bag`` is not installed: messages as they were recorded, /clock, camera poses.

/clock is the time of recording, or, where the recording has a /clock of its own (a simulation), that one alone.
Camera poses are taken out of the recorded tf and published as ``camera_pose``, so that nothing downstream needs tf2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NoReturn

from geometry_msgs.msg import PoseStamped
from pydantic import Field
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from seg3d_core.config import Config
from seg3d_core.data.bag_poses import PoseTrack, bag_poses
from seg3d_core.data.bags import BagMessage, BagReader
from seg3d_core.errors import Seg3dError
from seg3d_ros.conversions.poses import pose_message
from seg3d_ros.conversions.stamps import time_msg
from seg3d_ros.interfaces import message_class
from seg3d_ros.parameters import Parameters
from seg3d_ros.playing import Player, await_delivery, await_subscribers, play_once

CLOCK = "/clock"
CLOCK_PERIOD_NS = 20_000_000
TAIL_S = 5.0
"""The clock goes on for this long after the last message, so that late results have an age."""


class BagSourceConfig(Config):
    """bag_source_node: plays a rosbag2 recording on its own topics, with /clock."""

    bag: str = Field("", description="The recording: a folder with metadata.yaml, an .mcap or a .db3 file.")
    speed: float = Field(1.0, gt=0, le=100, description="Times real time.")
    await_topic: str = Field("", description="Start when somebody subscribes to this recorded topic; empty: at once.")
    fixed_frame: str = Field("", description="Frame of the camera poses taken from tf; empty: publish none.")
    camera_frame: str = Field("", description="Optical frame whose poses are taken from tf.")


class BagSourceNode(Player):
    """Publishes recorded bytes at their recorded pace."""

    def __init__(self) -> None:
        super().__init__("bag_source_node")
        self.config = Parameters(self, BagSourceConfig, fixed=lambda: True, changed=lambda config: None).config
        self._clock_out = self.create_publisher(Clock, CLOCK, 10)
        self._pose = self.create_publisher(PoseStamped, "camera_pose", 100)
        self._outputs: dict[str, Publisher] = {}

    def play(self) -> int:
        """Publish the whole recording; the number of messages sent."""
        poses = _pose_messages(self.config)
        with BagReader(self.config.bag) as reader:
            for topic in reader.topics():
                self._announce(topic.name, topic.type_name)
            self._await_subscriber()
            # Poses first: a frame must not wait for the pose of its own stamp.
            events = _merged(poses, reader.messages(list(self._outputs)))
            count = sum(1 for _ in self._paced(events))
        await_delivery([*self._outputs.values(), self._pose])
        self.get_logger().info(f"sent {count} messages")
        return count

    def _announce(self, name: str, type_name: str) -> None:
        try:
            kind = message_class(type_name)
        except ImportError:
            self.get_logger().warning(f"{name} is not played: {type_name} is not installed")
            return
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._outputs[name] = self.create_publisher(kind, name, qos)

    def _await_subscriber(self) -> None:
        topic = self.config.await_topic
        if topic and topic not in self._outputs:
            names = ", ".join(self._outputs) or "nothing that can be played"
            raise Seg3dError(f"{self.config.bag} has no topic {topic} that can be played; it has {names}")
        await_subscribers([self._outputs[topic]] if topic else [])

    def _paced(self, events: Iterator[BagMessage | PoseStamped]) -> Iterator[None]:
        now_ns = None
        for event in events:
            stamp_ns = _time_ns(event)
            now_ns = self._advance(now_ns, stamp_ns)
            if isinstance(event, PoseStamped):
                self._pose.publish(event)
            else:
                self._outputs[event.topic].publish(event.data)
            yield
        if now_ns is not None:
            self._advance(now_ns, now_ns + int(TAIL_S * 1e9))

    def _advance(self, now_ns: int | None, until_ns: int) -> int:
        """Let the clock run to ``until_ns``; it starts there."""
        now_ns = until_ns if now_ns is None else now_ns
        while now_ns < until_ns:
            step = min(CLOCK_PERIOD_NS, until_ns - now_ns)
            time.sleep(step * 1e-9 / self.config.speed)
            now_ns += step
            if CLOCK not in self._outputs:
                self._clock_out.publish(Clock(clock=time_msg(now_ns)))
        return now_ns


def _pose_messages(config: BagSourceConfig) -> list[PoseStamped]:
    if not config.fixed_frame:
        return []
    track: PoseTrack = bag_poses(config.bag, config.fixed_frame, config.camera_frame)
    pairs = zip(track.stamps_ns.tolist(), track.T_world_camera, strict=True)
    return [pose_message(T, config.fixed_frame, stamp_ns) for stamp_ns, T in pairs]


def _time_ns(event: BagMessage | PoseStamped) -> int:
    if isinstance(event, BagMessage):
        return event.stamp_ns
    return event.header.stamp.sec * 1_000_000_000 + event.header.stamp.nanosec


def _merged(poses: list[PoseStamped], messages: Iterator[BagMessage]) -> Iterator[BagMessage | PoseStamped]:
    waiting = iter(poses)
    pose = next(waiting, None)
    for message in messages:
        while pose is not None and _time_ns(pose) <= message.stamp_ns:
            yield pose
            pose = next(waiting, None)
        yield message


def main() -> NoReturn:
    """Play the recording once; 2 when it cannot be read or nobody listens."""
    play_once(BagSourceNode)


if __name__ == "__main__":
    main()
