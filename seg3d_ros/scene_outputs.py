"""What scene_node publishes of a result, each topic only when somebody subscribes to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from seg3d_core.types import Instances
from seg3d_ros import detections
from seg3d_ros.cloud_input import CameraImage, Vertical
from seg3d_ros.conversions.clouds import instances_to_message
from seg3d_ros.conversions.images import label_image
from seg3d_ros.markers import InstanceMarkers
from seg3d_ros.outputs import Output


@dataclass(frozen=True)
class Scene:
    """A result; ``image`` is None where the cloud did not come from one."""

    instances: Instances
    image: CameraImage | None


class SceneOutputs:
    """The topics of a node's results.

    Args:
        node: publishes.
        from_images: label images are offered.
        up: the vertical in the results' frame.
    """

    def __init__(self, node: Node, from_images: bool, up: Vertical) -> None:
        self._markers = InstanceMarkers(up)
        makers = scene_makers(from_images, up, self._markers)
        self._outputs = {name: Output(node, kind, f"~/{name}", make) for name, kind, make in makers}
        self.clear()

    @property
    def wanted(self) -> bool:
        """Somebody subscribes to a result."""
        return any(output.wanted for output in self._outputs.values())

    def offer(self, scene: Scene) -> None:
        """Publish to those who subscribe, and keep for those who will."""
        for output in self._outputs.values():
            output.offer(scene)

    def flush(self) -> None:
        """Publish the last result to those who came after it."""
        for output in self._outputs.values():
            output.flush()

    def clear(self) -> None:
        """Forget the last result; delete all markers."""
        for output in self._outputs.values():
            output.forget()
        self._outputs["markers"].replace(self._markers.clear())

    def destroy(self) -> None:
        """Withdraw the topics."""
        for output in self._outputs.values():
            output.destroy()


Maker = tuple[str, type, Callable[[Scene], object]]


def scene_makers(from_images: bool, up: Vertical, markers: InstanceMarkers) -> list[Maker]:
    """Name, type and maker of every output that there can be with this input and this installation."""
    makers: list[Maker] = [
        ("markers", MarkerArray, lambda scene: markers.update(scene.instances)),
        ("instance_cloud", PointCloud2, lambda scene: instances_to_message(scene.instances)),
    ]
    if from_images:
        makers.append(("label_image", Image, _label_image))
    if detections.available():
        from vision_msgs.msg import Detection3DArray  # only a full ROS installation has it

        makers.append(("instances", Detection3DArray, lambda scene: detections.detection_array(scene.instances, up)))
    return makers


def _label_image(scene: Scene) -> Image:
    assert scene.image is not None
    message = label_image(scene.instances, scene.image.height, scene.image.width)
    message.header.frame_id = scene.image.frame_id  # pixels are the camera's, wherever the points are
    return message
