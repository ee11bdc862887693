"""Plays a posed RGB-D sequence as a camera driver would publish it: the robot of the demo and of tests."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NoReturn

import numpy as np
from geometry_msgs.msg import PoseStamped
from pydantic import Field, model_validator
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from seg3d_core.config import Config
from seg3d_core.data.playback import open_playback
from seg3d_core.data.sequences import RgbdSequence
from seg3d_core.types import RgbdFrame
from seg3d_ros.conversions.cameras import info_from_camera
from seg3d_ros.conversions.images import image_from_depth_m, image_from_rgb
from seg3d_ros.conversions.poses import pose_message
from seg3d_ros.parameters import Parameters
from seg3d_ros.playing import Player, await_delivery, await_subscribers, play_once

CAMERA_FRAME = "camera_color_optical_frame"
FULL_S = 80.0
"""Rounds that fill this show how it goes on when the map is complete: of a kitchen of 20 s, three without news."""

PREPARED_FRAMES = 300
"""About 450 MB at 640x480."""

FrameMessages = tuple[Image, Image, CameraInfo, PoseStamped]


class SourceConfig(Config):
    """source_node: plays a recorded or rendered RGB-D sequence with its camera poses."""

    sequence: str = Field("room:3", description="room:SEED renders a furnished room; else a folder with a sequence.")
    frames: int = Field(0, ge=0, le=1_000_000, description="Play at most this many frames; 0: all.")
    rounds: int = Field(
        1,
        ge=0,
        le=10_000,
        description="Play them so many times, one after the other; 0: until 80 s are full. Needs restamp.",
    )
    rate_hz: float = Field(5.0, gt=0, le=120, description="Frames per second.")
    restamp: bool = Field(True, description="Stamp frames with the time they are sent; false: their recorded stamps.")
    lossless: bool = Field(False, description="Keep every frame until all subscribers have it; false: the last five.")

    @model_validator(mode="after")
    def _goes_forward(self) -> SourceConfig:
        if self.rounds != 1 and not self.restamp:
            raise ValueError(f"rounds = {self.rounds} with recorded stamps: time would go back; set restamp")
        return self


class SourceNode(Player):
    """Publishes colour, depth, camera_info and camera_pose of every frame, all with the same stamp."""

    def __init__(self) -> None:
        super().__init__("source_node")
        self.config = Parameters(self, SourceConfig, fixed=lambda: True, changed=lambda config: None).config
        depth = HistoryPolicy.KEEP_ALL if self.config.lossless else HistoryPolicy.KEEP_LAST
        qos = QoSProfile(history=depth, depth=5, reliability=ReliabilityPolicy.RELIABLE)
        self._rgb = self.create_publisher(Image, "rgb/image_rect_color", qos)
        self._depth = self.create_publisher(Image, "depth_registered/image_rect", qos)
        self._info = self.create_publisher(CameraInfo, "rgb/camera_info", qos)
        self._pose = self.create_publisher(PoseStamped, "camera_pose", qos)

    def play(self) -> int:
        """Publish the whole sequence at its rate; the number of frames sent.

        The first ``PREPARED_FRAMES`` are made before any is sent: a camera does not take the robot's processor time
        either.
        """
        sequence = open_playback(self.config.sequence)
        length = min(len(sequence), self.config.frames or len(sequence))
        count = length * (self.config.rounds or math.ceil(FULL_S * self.config.rate_hz / length))
        coming = self._coming(sequence, length, count)
        ready = deque(islice(coming, PREPARED_FRAMES))
        await_subscribers(self._outputs)
        start = time.monotonic()
        for index in range(count):
            # Against the start, not the previous frame: the rate does not drift.
            time.sleep(max(0.0, start + index / self.config.rate_hz - time.monotonic()))
            self._send(ready.popleft())
            ready.extend(islice(coming, 1))
        await_delivery(self._outputs)
        self.get_logger().info(f"sent {count} frames in {time.monotonic() - start:.1f} s")
        return count

    def _coming(self, sequence: RgbdSequence, length: int, count: int) -> Iterator[FrameMessages]:
        """All frames that will be sent; those of a short sequence are made in the first round and kept."""
        made: list[FrameMessages] = []
        for number in range(count):
            if number >= length and made:
                yield made[number % length]
                continue
            messages = _frame_messages(sequence[number % length])
            if number % 10 == 0 or number in (length - 1, count - 1):
                self.get_logger().info(f"prepared frame {number + 1} of {count}")
            if length <= PREPARED_FRAMES:
                made.append(messages)
            yield messages

    def _send(self, messages: FrameMessages) -> None:
        if self.config.restamp:
            now = self.get_clock().now().to_msg()
            for message in messages:
                message.header.stamp = now
        rgb, depth, info, pose = messages
        # The small ones first: whoever has the image can use it at once.
        self._pose.publish(pose)
        self._info.publish(info)
        self._depth.publish(depth)
        self._rgb.publish(rgb)

    @property
    def _outputs(self) -> tuple[Publisher, ...]:
        return self._pose, self._info, self._depth, self._rgb


def _frame_messages(frame: RgbdFrame) -> FrameMessages:
    assert frame.rgb is not None and frame.T_world_camera is not None  # sequences hold posed colour frames only
    rgb = image_from_rgb(frame.rgb, CAMERA_FRAME, frame.stamp_ns)
    depth = image_from_depth_m(frame.depth_m, CAMERA_FRAME, frame.stamp_ns)
    info = info_from_camera(frame.camera, CAMERA_FRAME, frame.stamp_ns)
    pose = pose_message(np.asarray(frame.T_world_camera), frame.frame_id, frame.stamp_ns)
    return rgb, depth, info, pose


def main() -> NoReturn:
    """Play the sequence once; 2 when it cannot be read or nobody listens."""
    play_once(SourceNode)


if __name__ == "__main__":
    main()
