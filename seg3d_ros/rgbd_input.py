"""Colour, depth and calibration messages to frames: subscribed, paired, and converted on the worker thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg3d_core.errors import InputError
from seg3d_core.types import RgbdFrame
from seg3d_ros.conversions.cameras import camera_from_info
from seg3d_ros.conversions.compressed import depth_m_from_compressed, rgb_from_compressed
from seg3d_ros.conversions.images import depth_m_from_image, rgb_from_image
from seg3d_ros.conversions.registration import check_registered
from seg3d_ros.conversions.stamps import stamp_ns
from seg3d_ros.frames import PoseProvider, patience_s
from seg3d_ros.health import Health
from seg3d_ros.qos import MatchingSubscription
from seg3d_ros.settings import NodeConfig
from seg3d_ros.sync import BACKLOG_LENGTH, EveryPair, NewestPairs, Pair, PairSynchroniser

RGB_TOPIC = "rgb/image_rect_color"
DEPTH_TOPIC = "depth_registered/image_rect"
INFO_TOPIC = "rgb/camera_info"

IMAGE_DEPTH = 5
"""Images that wait in the middleware: enough for the partner to catch up, too few to grow old."""

SILENCE_S = 5.0
"""Recorded images that wait for a nearer partner are used when none has come for this long."""


class Listen(Protocol):
    """``PerceptionNode.listen``."""

    def __call__(
        self, message_type: type, topic: str, callback: Callable[[Any], None], depth: int
    ) -> MatchingSubscription:
        """Subscribe until deactivated."""
        ...


@dataclass(frozen=True)
class RgbdMessages:
    """Messages of one exposure, not looked at yet.

    Attributes:
        stamp_ns: the colour image's.
        received_s: when they were complete, ``time.monotonic``.
    """

    stamp_ns: int
    rgb: Image | CompressedImage
    depth: Image | CompressedImage
    info: CameraInfo
    received_s: float = field(default_factory=time.monotonic)


class RgbdInput:
    """Subscribes to an RGB-D camera and hands over one ``RgbdMessages`` per exposure.

    Args:
        node: resolves the names.
        config: transports, slop, mode.
        listen: subscribes.
        receive: gets the messages; called from callbacks.
        health: counts what cannot be used.
    """

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        listen: Listen,
        receive: Callable[[RgbdMessages], None],
        health: Health,
    ) -> None:
        camera = config.camera
        self._config = config
        self._receive = receive
        self._health = health
        self._info: CameraInfo | None = None
        self._waiting: deque[Pair] = deque()
        self._unmatched = 0
        self._heard_s = time.monotonic()
        self._pairs: PairSynchroniser = NewestPairs(camera.sync_slop_s)
        if config.process_all:
            self._pairs = EveryPair(camera.sync_slop_s, config.time_jump_s, health.failed)
        # image_transport's rule: the name is remapped first, then the transport is appended.
        rgb_topic, depth_topic = node.resolve_topic_name(RGB_TOPIC), node.resolve_topic_name(DEPTH_TOPIC)
        self._info_topic = node.resolve_topic_name(INFO_TOPIC)
        if camera.image_transport == "compressed":
            listen(CompressedImage, f"{rgb_topic}/compressed", self._hear_rgb, IMAGE_DEPTH)
        else:
            listen(Image, rgb_topic, self._hear_rgb, IMAGE_DEPTH)
        if camera.depth_image_transport == "compressedDepth":
            listen(CompressedImage, f"{depth_topic}/compressedDepth", self._hear_depth, IMAGE_DEPTH)
        else:
            listen(Image, depth_topic, self._hear_depth, IMAGE_DEPTH)
        listen(CameraInfo, INFO_TOPIC, self._hear_info, IMAGE_DEPTH)

    def check(self) -> None:
        """To be called from time to time: when the recording has ended, its last frame is used too."""
        if time.monotonic() - self._heard_s >= SILENCE_S:
            self._hand_over(self._pairs.flush())

    def _hear_rgb(self, message: Any) -> None:
        self._heard_s = time.monotonic()
        self._hand_over(self._pairs.add_rgb(stamp_ns(message.header.stamp), message))

    def _hear_depth(self, message: Any) -> None:
        self._heard_s = time.monotonic()
        self._hand_over(self._pairs.add_depth(stamp_ns(message.header.stamp), message))

    def _hear_info(self, message: CameraInfo) -> None:
        self._info = message
        self._hand_over([])

    def _hand_over(self, pairs: list[Pair]) -> None:
        """Images wait for the first calibration: recorded ones up to a limit, live ones until the next come."""
        self._health.count("images_unmatched", self._pairs.unmatched - self._unmatched)
        self._unmatched = self._pairs.unmatched
        self._waiting.extend(pairs)
        patience = BACKLOG_LENGTH if self._config.process_all else 1
        while self._info is None and len(self._waiting) > patience:
            self._waiting.popleft()
            self._health.count("frames_in")
            self._health.failed(InputError(f"no camera_info on {self._info_topic} yet: the images cannot be used"))
        while self._info is not None and self._waiting:
            pair = self._waiting.popleft()
            self._receive(RgbdMessages(pair.stamp_ns, pair.rgb, pair.depth, self._info))


def frame_from(messages: RgbdMessages, config: NodeConfig, poses: PoseProvider | None, health: Health) -> RgbdFrame:
    """The frame of one exposure: decoded, checked, and with the camera's pose unless ``poses`` is None.

    Raises:
        InputError: the messages cannot be used or do not belong together.
        TransformUnavailable: the pose did not become known in time.
    """
    with health.stage("decode"):
        check_registered(messages.rgb, messages.depth, messages.info, config.camera.sync_slop_s)
        rgb = _decoded(messages.rgb, rgb_from_image, rgb_from_compressed)
        depth_m = _decoded(messages.depth, depth_m_from_image, depth_m_from_compressed)
        height, width = rgb.shape[:2]
        camera = camera_from_info(messages.info, config.camera.rectified, (width, height))
    frame_id = messages.rgb.header.frame_id
    if poses is None:
        return RgbdFrame(depth_m, camera, rgb, None, frame_id, messages.stamp_ns)
    with health.stage("pose"):
        pose = poses.lookup(frame_id, messages.stamp_ns, patience_s(config, messages.received_s))
    return RgbdFrame(depth_m, camera, rgb, pose.T_world_source, pose.frame_id, messages.stamp_ns)


def _decoded(message: Image | CompressedImage, raw: Callable[..., Any], compressed: Callable[..., Any]) -> Any:
    return compressed(message) if isinstance(message, CompressedImage) else raw(message)
