"""scene_node: clouds or RGB-D frames in, instances with stable ids out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from seg3d_core.errors import InputError
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.segmenter import Segmenter, free_unused_memory, make_segmenter
from seg3d_core.tracking.association import IdTracker
from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_from_message, cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns
from seg3d_ros.frames import in_world, patience_s
from seg3d_ros.health import Health
from seg3d_ros.markers import InstanceMarkers
from seg3d_ros.perception_node import PerceptionNode
from seg3d_ros.rgbd_input import RgbdMessages, frame_from
from seg3d_ros.running import run
from seg3d_ros.scene_outputs import CameraImage, Scene, SceneOutputs, Vertical, scene_makers
from seg3d_ros.settings import SceneNodeConfig
from seg3d_ros.warm_up import practice_messages


@dataclass(frozen=True)
class CloudMessage:
    """A cloud message that has not been looked at yet; ``received_s`` is when it came, ``time.monotonic``."""

    stamp_ns: int
    message: PointCloud2
    received_s: float = field(default_factory=time.monotonic)


class SceneNode(PerceptionNode[SceneNodeConfig]):
    """Segments the newest input whenever somebody subscribes to a result."""

    def __init__(self) -> None:
        super().__init__("scene_node", SceneNodeConfig)
        self._segmenter: Segmenter | None = None
        self._tracker: IdTracker | None = None
        self._outputs: SceneOutputs | None = None
        self.create_service(Trigger, "~/segment_now", self._segment_now)

    def build(self) -> None:
        """Make the model and the outputs, and run everything once so that the first input is not slow."""
        config = self.config
        self._segmenter = self.make_segmenter()
        self._tracker = IdTracker(config.tracking)
        with self.health.stage("warm_up"):
            self._warm_up()
        free_unused_memory()  # of this thread; inputs are segmented on another
        self._outputs = SceneOutputs(self, config.input == "rgbd", self._up())

    def make_segmenter(self) -> Segmenter:
        """The model that the settings name."""
        return make_segmenter(self.config.segment)

    def free(self) -> None:
        """Give back the model and the outputs."""
        if self._outputs is not None:
            self._outputs.destroy()
        self._segmenter = self._tracker = self._outputs = None
        free_unused_memory()

    def subscribe(self) -> None:
        """Hear clouds, or a camera; and where they were taken if that is asked for."""
        if self.config.input == "rgbd":
            self.poses = self.make_poses()
            self.listen_to_camera()
            return
        if self.config.global_frame:
            self.poses = self.make_poses()
        self.listen(PointCloud2, "cloud", self._hear_cloud, 1)

    def process(self, item: CloudMessage | RgbdMessages) -> None:
        """Segment one input and offer the result to whoever subscribes."""
        cloud, image = self._cloud_of_frame(item) if isinstance(item, RgbdMessages) else (self._cloud(item), None)
        with self.health.stage("segment"):
            found = self._segmenter.segment(cloud)
        self.health.warning("model", found.degraded or None)
        with self.health.stage("track"):
            scene = Scene(self._tracker.update(found), image)
        with self.health.stage("publish"):
            self._outputs.offer(scene)
        self.health.count("results")
        self.health.published(item.stamp_ns)

    def wanted(self) -> bool:
        """Somebody subscribes to a result."""
        return self._outputs.wanted

    def catch_up(self) -> None:
        """Publish the last result to those who came after it."""
        self._outputs.flush()

    def clear_state(self) -> None:
        """New ids, no markers."""
        self._tracker.reset()
        self._outputs.clear()

    def reconfigured(self) -> None:
        """Segment with the new settings from the next input on; those of a network need another configure."""
        if self.config.model == "graph":
            self._segmenter = self.make_segmenter()

    def _hear_cloud(self, message: PointCloud2) -> None:
        self.receive(CloudMessage(stamp_ns(message.header.stamp), message))

    def _cloud(self, item: CloudMessage) -> Cloud:
        with self.health.stage("decode"):
            cloud = cloud_from_message(item.message)
        if len(cloud) == 0:
            count = item.message.width * item.message.height
            raise InputError(f"none of the cloud's {count} points is finite" if count else "cloud is empty")
        config = self.config
        if config.global_frame in ("", cloud.frame_id):
            return cloud
        if self.poses is None:
            raise InputError(f"cloud is in frame {cloud.frame_id!r}, not {config.global_frame!r}: set pose_source")
        with self.health.stage("pose"):
            pose = self.poses.lookup(cloud.frame_id, cloud.stamp_ns, patience_s(config, item.received_s))
            return in_world(cloud, pose)

    def _cloud_of_frame(self, item: RgbdMessages) -> tuple[Cloud, CameraImage]:
        config = self.config
        frame = frame_from(item, config, self.poses, self.health)
        with self.health.stage("backproject"):
            cloud = backproject(frame, config.min_depth_m, config.max_depth_m, config.pixel_stride)
        if len(cloud) == 0:
            raise InputError(f"no depth between {config.min_depth_m:g} and {config.max_depth_m:g} m in the image")
        return cloud, CameraImage(*frame.depth_m.shape, item.rgb.header.frame_id)

    def _up(self) -> Vertical:
        """The vertical in the results' frame: a level camera's where that is the frame, else REP-103's z."""
        in_camera = self.config.input == "rgbd" and self.config.pose_source == "none"
        return (0.0, -1.0, 0.0) if in_camera else (0.0, 0.0, 1.0)

    def _warm_up(self) -> None:
        """Run all that an input runs through once: compiled code is loaded or made here, not on the first input."""
        config = self.config
        scratch = Health(lambda: 0, self.get_logger())
        frame = frame_from(practice_messages(config.min_depth_m, config.max_depth_m), config, None, scratch)
        seen = backproject(frame, config.min_depth_m, config.max_depth_m)
        # Compiled code differs by what a cloud has: with and without colour, normals, viewpoint.
        plain = cloud_from_message(cloud_to_message(seen))
        normals = np.tile(np.float32([0, 0, -1]), (len(plain), 1))
        for cloud in (plain, replace(plain, rgb=None), replace(plain, normals=normals)):
            self._segmenter.segment(cloud)
        found = IdTracker(config.tracking).update(self._segmenter.segment(seen))
        scene = Scene(found, CameraImage(*frame.depth_m.shape, frame.frame_id))
        for _, _, make in scene_makers(True, self._up(), InstanceMarkers()):
            make(scene)

    def _segment_now(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        item = self.latest
        if item is None:
            response.success, response.message = False, "no input has arrived yet"
        elif not self.run_soon(lambda: self.use(item)):
            response.success, response.message = False, "the node is not active"
        else:
            response.success, response.message = True, f"segmenting the input of {item.stamp_ns * 1e-9:.3f} s"
        return response


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the node until it is interrupted; ends the process."""
    run(SceneNode, arguments)


if __name__ == "__main__":
    main()
