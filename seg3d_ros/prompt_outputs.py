"""What prompt_node publishes, each topic only when somebody subscribes to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from seg3d_core.colours import GREY, instance_colours
from seg3d_core.interaction.pinned import PinnedObjects
from seg3d_core.interaction.selection import Selection
from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.conversions.pinned import pinned_to_message
from seg3d_ros.outputs import Output
from seg3d_ros.prompt_markers import PromptMarkers
from seg3d_ros.prompt_view import PromptView


class PromptOutputs:
    """The topics of prompt_node.

    Args:
        node: publishes.
        up: the vertical in the clouds' frame.
    """

    def __init__(self, node: Node, up: tuple[float, float, float]) -> None:
        self._node = node
        # For recordings: each message counts, the past does not.
        self._actions = node.create_publisher(String, "~/actions", 100)
        self._rejected = node.create_publisher(PointCloud2, "~/rejected", 10)
        self._markers = PromptMarkers(up)
        self._views = {
            "mask": Output(node, PointCloud2, "~/mask", mask_message),
            "prompt_cloud": Output(node, PointCloud2, "~/prompt_cloud", prompt_cloud_message),
            "markers": Output(node, MarkerArray, "~/markers", self._markers.update),
        }
        self._accepted: Output[PinnedObjects] = Output(node, PointCloud2, "~/accepted", pinned_to_message)
        self._views["markers"].replace(self._markers.clear())

    @property
    def wanted(self) -> bool:
        """Somebody looks at what is clicked; who subscribes to accepted instances alone does not."""
        return any(output.wanted for output in self._views.values())

    def show(self, view: PromptView) -> None:
        """Publish to those who subscribe, and keep for those who will."""
        for output in self._views.values():
            output.offer(view)

    def tell(self, accepted: PinnedObjects) -> None:
        """All accepted instances there are now."""
        self._accepted.offer(accepted)

    def acted(self, action: str, before: Selection | None) -> None:
        """Something was done by a service, to what was selected ``before``; what was rejected is told, too."""
        self._actions.publish(String(data=action))
        if action == "reject" and before is not None:
            self._rejected.publish(cloud_to_message(before.cloud.select(before.mask)))

    def flush(self) -> None:
        """Publish what is kept to those who came after it."""
        for output in (*self._views.values(), self._accepted):
            output.flush()

    def destroy(self) -> None:
        """Withdraw the topics."""
        for output in (*self._views.values(), self._accepted):
            output.destroy()
        for publisher in (self._actions, self._rejected):
            self._node.destroy_publisher(publisher)


def mask_message(view: PromptView) -> PointCloud2:
    """The points of the object in progress with their own colours; no points while there is none."""
    mask = np.zeros(len(view.cloud), np.bool_) if view.selection is None else view.selection.mask
    return cloud_to_message(view.cloud.select(mask))


def prompt_cloud_message(view: PromptView) -> PointCloud2:
    """The whole snapshot, the object in progress in the colour of its id; grey where the cloud has no colours."""
    return cloud_to_message(replace(view.cloud, rgb=_painted(view, view.cloud), known_finite=True))


def _painted(view: PromptView, cloud: Cloud) -> np.ndarray:
    rgb = np.full((len(cloud), 3), GREY, np.float32) if cloud.rgb is None else cloud.rgb
    if view.selection is None:
        return rgb
    colour = instance_colours(np.array([view.object_id], np.int32))
    return np.where(view.selection.mask[:, None], colour, rgb)
