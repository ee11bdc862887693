"""fusion_node: posed RGB-D frames in, one growing coloured cloud out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NoReturn

import numpy as np
from sensor_msgs.msg import PointCloud2

from seg3d_core.geometry.tsdf import TsdfVolume
from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.health import Health
from seg3d_ros.outputs import Output
from seg3d_ros.perception_node import PerceptionNode
from seg3d_ros.rgbd_input import RgbdMessages, frame_from
from seg3d_ros.running import run
from seg3d_ros.settings import FusionNodeConfig
from seg3d_ros.warm_up import practice_messages


class FusionNode(PerceptionNode[FusionNodeConfig]):
    """Integrates every frame that it uses; extracts the cloud only when it is due and somebody subscribes."""

    def __init__(self) -> None:
        super().__init__("fusion_node", FusionNodeConfig)
        self._volume: TsdfVolume | None = None
        self._cloud: Output[PointCloud2] | None = None
        self._published_ns: int | None = None
        """Newest stamp in the published cloud; before there is one, stamp of the first frame."""
        self._newest_ns: int | None = None
        self._integrated_at = 0.0

    def build(self) -> None:
        """Make the volume and the output, and run everything once so that the first frames are not lost."""
        self._volume = TsdfVolume(self.config.fusion)
        with self.health.stage("warm_up"):
            self._warm_up()
        self._cloud = Output(self, PointCloud2, "~/cloud", lambda message: message)
        self.health.gauge("blocks", lambda: self._volume.block_count if self._volume else 0)

    def subscribe(self) -> None:
        """Hear the camera and where it stands."""
        self.poses = self.make_poses()
        self.listen_to_camera()

    def process(self, item: RgbdMessages) -> None:
        """Integrate one frame, and publish the cloud when it is due."""
        frame = frame_from(item, self.config, self.poses, self.health)
        with self.health.stage("integrate"):
            self._volume.integrate(frame)
        self._newest_ns = frame.stamp_ns
        self._integrated_at = time.monotonic()
        if self._published_ns is None:
            self._published_ns = frame.stamp_ns
        due = frame.stamp_ns - self._published_ns >= self.config.publish_period_s * 1e9
        if due and self._cloud.wanted:
            self._publish()

    def catch_up(self) -> None:
        """Live, a map that has grown since it was published is published when the camera has stopped sending."""
        if self.config.process_all or self._newest_ns in (None, self._published_ns) or not self._cloud.wanted:
            return
        if time.monotonic() - self._integrated_at >= self.config.publish_period_s:
            self._publish()

    def clear_state(self) -> None:
        """An empty map."""
        self._volume.reset()
        self._published_ns = self._newest_ns = None

    def free(self) -> None:
        """Give back the volume and the output."""
        if self._cloud is not None:
            self._cloud.destroy()
        self._volume = self._cloud = None
        self._published_ns = self._newest_ns = None

    def _warm_up(self) -> None:
        """Compiled code is loaded or made here: on a new machine that takes as long as a hundred frames."""
        limits = self.config.fusion
        scratch = Health(lambda: 0, self.get_logger())
        frame = frame_from(practice_messages(limits.min_depth_m, limits.max_depth_m), self.config, None, scratch)
        self._volume.integrate(replace(frame, T_world_camera=np.eye(4)))
        cloud_to_message(self._volume.extract())
        self._volume.reset()

    def _publish(self) -> None:
        with self.health.stage("extract"):
            cloud = self._volume.extract()
        self._published_ns = self._newest_ns
        if len(cloud) == 0:  # nothing has been seen often enough yet
            return
        with self.health.stage("publish"):
            self._cloud.offer(cloud_to_message(cloud))
        self.health.count("results")
        self.health.published(cloud.stamp_ns)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the node until it is interrupted; ends the process."""
    run(FusionNode, arguments)


if __name__ == "__main__":
    main()
