"""viewer_node: what the others see and find, live in a browser, where clicks and buttons go to prompt_node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import PointCloud2

from seg3d_core.errors import PromptError, Seg3dError
from seg3d_core.live_view.server import VIEWER, LiveServer
from seg3d_core.live_view.view import LayerName, PlacedClick
from seg3d_core.optional import import_optional
from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_from_message
from seg3d_ros.conversions.pinned import point_ids_from_message
from seg3d_ros.conversions.stamps import header, stamp_ns
from seg3d_ros.lifecycle import ManagedNode
from seg3d_ros.running import run
from seg3d_ros.viewer_health import NodesHealth
from seg3d_ros.viewer_inputs import ShownTopic, ShownTopics
from seg3d_ros.viewer_services import ServiceButtons
from seg3d_ros.viewer_settings import ViewerNodeConfig

LOOK_PERIOD_S = 0.25
"""How often messages that wait for their turn, and whether somebody looks, are looked at."""

HEALTH_PERIOD_S = 1.0

SERVICES = ("undo", "clear", "next_candidate", "new_object", "accept", "reject")
"""Of prompt_node."""

CLICK_TOPICS = {True: "clicked_point", False: "clicked_point_negative"}
"""As RViz publishes."""


class ViewerNode(ManagedNode[ViewerNodeConfig]):
    """Messages are converted and sent by the page's thread; a slow browser keeps nobody here waiting."""

    def __init__(self) -> None:
        super().__init__("viewer_node", ViewerNodeConfig)
        self._server: LiveServer | None = None
        self._topics: ShownTopics | None = None
        self._nodes = NodesHealth()
        self._clicks = {on: self.create_publisher(PointStamped, name, 10) for on, name in CLICK_TOPICS.items()}
        self._buttons = ServiceButtons(self, [f"prompt_node/{name}" for name in SERVICES], self._tell)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._nodes.hear, 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD_S, self._look_around, clock=steady)
        self.create_timer(HEALTH_PERIOD_S, self._tell_health, clock=steady)
        self.health.gauge("frames_dropped", lambda: self._topics.dropped if self._topics else 0)
        self.health.gauge("browsers", lambda: self._server.browsers if self._server else 0)
        self.health.gauge("port", lambda: self._server.port if self._server else 0)

    # States.

    def set_up(self) -> None:
        """See ``ManagedNode``. What is missing is said here, and not to the first browser."""
        import_optional("viser", VIEWER, "viser")

    def begin(self) -> None:
        """See ``ManagedNode``."""
        config = self.config
        self._server = LiveServer(
            config.host, config.port, config.token, config.max_points, click=self._publish, press=self._buttons.press
        )
        topics = [
            ShownTopic("cloud", self._show_cloud, is_limited=True),
            ShownTopic("scene_node/instance_cloud", lambda message: self._show_found("found", message), True),
            ShownTopic("prompt_node/accepted", lambda message: self._show_found("accepted", message), False),
            ShownTopic("prompt_node/mask", self._show_mask, is_limited=False),
        ]
        self._topics = ShownTopics(self, topics, self._server.do, lambda: self.config.cloud_period_s, self.health)
        self.get_logger().info(f"open {self._server.address} in a browser")

    def halt(self) -> None:
        """See ``ManagedNode``."""
        if self._topics is not None:
            self._topics.destroy()
        if self._server is not None:
            self._server.close()
        self._topics = self._server = None

    def release(self) -> None:
        """See ``ManagedNode``."""
        self.halt()

    # On the page's thread.

    def _show_cloud(self, message: PointCloud2) -> None:
        self._show("cloud", message, lambda: (cloud_from_message(message), None))

    def _show_mask(self, message: PointCloud2) -> None:
        self._show("mask", message, lambda: (cloud_from_message(message), None))

    def _show_found(self, name: LayerName, message: PointCloud2) -> None:
        self._show(name, message, lambda: point_ids_from_message(message))

    def _show(self, name: LayerName, message: PointCloud2, read: Callable[[], tuple[Cloud, Any]]) -> None:
        try:
            with self.health.stage(name):
                cloud, instance_ids = read()
                self._server.take(name, cloud, instance_ids)
        except Seg3dError as error:
            self.health.failed(error)
            return
        self.health.count("frames_used")
        self.health.published(stamp_ns(message.header.stamp))

    def _publish(self, click: PlacedClick) -> None:
        """A click as RViz publishes it, in the frame and with the stamp of the cloud that was clicked on."""
        publisher = self._clicks[click.is_foreground]
        if publisher.get_subscription_count() == 0:
            raise PromptError(f"nobody hears {publisher.topic}: is prompt_node running? (prompt:=true)")
        message = PointStamped(header=header(click.frame_id, click.stamp_ns))
        message.point.x, message.point.y, message.point.z = click.point
        publisher.publish(message)
        self.health.count("clicks")

    # Callbacks.

    def _look_around(self) -> None:
        if self._server is not None and self._topics is not None:
            self._topics.look(self._server.browsers > 0)
        self._buttons.look()

    def _tell_health(self) -> None:
        server = self._server
        if server is not None and server.browsers:
            nodes = self._nodes.now()
            server.do(lambda: server.tell_health(nodes))

    def _tell(self, message: str) -> None:
        server = self._server
        if server is not None:
            server.do(lambda: server.tell(message))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the node until it is interrupted; ends the process."""
    run(ViewerNode, arguments)


if __name__ == "__main__":
    main()
