"""scene_node: clouds or RGB-D frames in, instances with stable ids out."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from seg3d_core.config import SegmentConfig
from seg3d_core.errors import InputError
from seg3d_core.filling import FilledSegmenter
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.interaction.pinned import PinnedObjects
from seg3d_core.segmenter import Segmenter, free_unused_memory, make_segmenter
from seg3d_core.tracking.association import IdTracker
from seg3d_core.tracking.pinning import pin
from seg3d_ros.cloud_input import CameraImage, CloudMessage, cloud_input, vertical
from seg3d_ros.conversions.clouds import cloud_from_message, cloud_to_message
from seg3d_ros.conversions.pinned import pinned_from_message
from seg3d_ros.conversions.stamps import stamp_ns
from seg3d_ros.health import Health
from seg3d_ros.markers import InstanceMarkers
from seg3d_ros.perception_node import PerceptionNode
from seg3d_ros.reloading import ModelReloads
from seg3d_ros.rgbd_input import RgbdMessages, frame_from
from seg3d_ros.running import run
from seg3d_ros.scene_outputs import Scene, SceneOutputs, scene_makers
from seg3d_ros.settings import SceneNodeConfig
from seg3d_ros.warm_up import practice_messages


class SceneNode(PerceptionNode[SceneNodeConfig]):
    """Segments the newest input whenever somebody subscribes to a result."""

    def __init__(self) -> None:
        super().__init__("scene_node", SceneNodeConfig)
        self._segmenter: Segmenter | None = None
        self._tracker: IdTracker | None = None
        self._outputs: SceneOutputs | None = None
        self._scene: Scene | None = None
        """The last result, without what is pinned."""
        self._pinned: PinnedObjects | None = None
        self.create_service(Trigger, "~/segment_now", self._segment_now)
        self._reloads = ModelReloads(self, self._prepare, self._switch)

    def build(self) -> None:
        """Make the model and the outputs, and run everything once so that the first input is not slow."""
        config = self.config
        self._reloads.begin(config)
        self._segmenter = self._prepare(config)
        self._tracker = IdTracker(config.tracking)
        free_unused_memory()  # of this thread; inputs are segmented on another
        self._outputs = SceneOutputs(self, config.input == "rgbd", vertical(config))

    def make_segmenter(self, config: SegmentConfig) -> Segmenter:
        """The model that the settings name."""
        return make_segmenter(config)

    def free(self) -> None:
        """Give back the model and the outputs."""
        self._reloads.end()
        if self._outputs is not None:
            self._outputs.destroy()
        self._segmenter = self._tracker = self._outputs = self._scene = self._pinned = None
        free_unused_memory()

    def subscribe(self) -> None:
        """Hear clouds, or a camera; where they were taken if that is asked for; and what people have accepted."""
        self.listen(PointCloud2, "accepted", self._hear_accepted, 1, past="expected")
        if self.config.input == "rgbd":
            self.poses = self.make_poses()
            self.listen_to_camera()
            return
        if self.config.global_frame:
            self.poses = self.make_poses()
        self.listen(PointCloud2, "cloud", self._hear_cloud, 1)

    def process(self, item: CloudMessage | RgbdMessages) -> None:
        """Segment one input and offer the result to whoever subscribes."""
        given = cloud_input(item, self.config, self.poses, self.health)
        with self.health.stage("segment"):
            found = self._segmenter.segment(given.cloud)
        self.health.warning("model", found.degraded or None)
        with self.health.stage("track"):
            self._scene = Scene(self._tracker.update(found), given.image)
        with self.health.stage("publish"):
            self._outputs.offer(self._with_pinned(self._scene))
        self.health.count("results")
        self.health.published(item.stamp_ns)

    def wanted(self) -> bool:
        """Somebody subscribes to a result."""
        return self._outputs.wanted

    def catch_up(self) -> None:
        """Publish the last result to those who came after it."""
        self._outputs.flush()

    def clear_state(self) -> None:
        """New ids, no markers; what people have accepted stays."""
        self._scene = None
        self._tracker.reset()
        self._outputs.clear()

    def reconfigured(self) -> None:
        """Segment with the new settings from the next input on; those of a network need another configure."""
        graph = self.config.segment.model_copy(update={"model": "graph"})
        if self._reloads.loaded == "graph":
            self._segmenter = self.make_segmenter(graph)
        elif isinstance(self._segmenter, FilledSegmenter):
            self._segmenter = replace(self._segmenter, second=self.make_segmenter(graph))

    def look_around(self) -> None:
        """See ``PerceptionNode``."""
        self._reloads.watch()

    def _hear_cloud(self, message: PointCloud2) -> None:
        self.receive(CloudMessage(stamp_ns(message.header.stamp), message))

    def _hear_accepted(self, message: PointCloud2) -> None:
        self.run_soon(lambda: self._pin(message))

    def _pin(self, message: PointCloud2) -> None:
        """Accepted instances are in every result from now on, and in the last one."""
        self._pinned = pinned_from_message(message)
        if self._scene is not None:
            self._outputs.offer(self._with_pinned(self._scene))

    def _with_pinned(self, scene: Scene) -> Scene:
        pinned = self._pinned
        if pinned is None or len(pinned.cloud) == 0:
            self.health.warning("accepted", None)
            return scene
        try:
            here = pinned.on(scene.instances.cloud, self.config.accepted_reach_m)
            scene = replace(scene, instances=pin(scene.instances, here))
        except InputError as error:  # the scene's own result is good all the same
            self.health.warning("accepted", f"accepted instances are not shown: {error}")
            return scene
        self.health.warning("accepted", None)
        return scene

    def _prepare(self, config: SceneNodeConfig) -> Segmenter:
        """The model that the settings name, warmed up."""
        segmenter = self.make_segmenter(config.segment)
        with self.health.stage("warm_up"):
            self._warm_up(segmenter, config)
        return segmenter

    def _switch(self, segmenter: Segmenter) -> None:
        """Segment with another model from the next input on. The tracker stays: objects keep their ids."""
        self._segmenter = segmenter
        free_unused_memory()  # of the model before

    def _warm_up(self, segmenter: Segmenter, config: SceneNodeConfig) -> None:
        """Run all that an input runs through once: compiled code is loaded or made here, not on the first input."""
        scratch = Health(lambda: 0, self.get_logger())
        frame = frame_from(practice_messages(config.min_depth_m, config.max_depth_m), config, None, scratch)
        seen = backproject(frame, config.min_depth_m, config.max_depth_m)
        # Compiled code differs by what a cloud has: with and without colour, normals, viewpoint.
        plain = cloud_from_message(cloud_to_message(seen))
        normals = np.tile(np.float32([0, 0, -1]), (len(plain), 1))
        for cloud in (plain, replace(plain, rgb=None), replace(plain, normals=normals)):
            segmenter.segment(cloud)
        found = IdTracker(config.tracking).update(segmenter.segment(seen))
        scene = Scene(found, CameraImage(*frame.depth_m.shape, frame.frame_id))
        for _, _, make in scene_makers(True, vertical(config), InstanceMarkers()):
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
