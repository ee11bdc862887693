"""What each prompt message asks of the session; on the worker thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Point, Point32, PointStamped, PolygonStamped, PoseStamped
from jaxtyping import Float64
from std_msgs.msg import Header

from seg3d_core.errors import PromptError
from seg3d_core.interaction.session import ObjectSession
from seg3d_ros.prompt_frames import Placed
from seg3d_ros.prompt_instances import SceneResults

BOX_CORNERS = 2

Place = Callable[[Float64[np.ndarray, "P 3"], Header], Placed]
"""Puts points of a message (m) in the frame of the session's cloud."""


class PromptInputs:
    """Prompt messages by topic. Each asks the session, and says how the prompt was taken.

    Everything that they raise is a ``Seg3dError``, and leaves the session as it was.

    Args:
        session: the one of now, which answers.
        place: see ``Place``.
        results: of scene_node.
    """

    def __init__(self, session: Callable[[], ObjectSession], place: Place, results: SceneResults) -> None:
        self._session_now = session
        self._place = place
        self._results = results

    def include(self, message: PointStamped) -> str:
        """A click on the object."""
        return self._click(message, True)

    def exclude(self, message: PointStamped) -> str:
        """A click beside the object."""
        return self._click(message, False)

    def goal(self, message: PoseStamped) -> str:
        """The object that stands at a position on the floor; its height does not count."""
        placed = self._place(_array(message.pose.position), message.header)
        x, y, _ = placed.points[0].tolist()
        selection = self._session.select_goal(x, y, self._results.latest())
        found = "the instance nearest to it" if selection.source == "mask" else "what stands there"
        return _said(f"goal at ({x:.2f}, {y:.2f}) m: {found}", placed)

    def box(self, message: PolygonStamped) -> str:
        """The object in the box between two opposite corners, along the axes of the cloud's frame."""
        corners = message.polygon.points
        if len(corners) != BOX_CORNERS:
            raise PromptError(f"the box has {len(corners)} corners, give {BOX_CORNERS}: two opposite ones")
        placed = self._place(_array(*corners), message.header)
        self._session.select_box(placed.points[0], placed.points[1])
        return _said("box", placed)

    def instance(self, message: PointStamped) -> str:
        """The instance of scene_node's latest result that a click is on."""
        placed = self._place(_array(message.point), message.header)
        self._session.select_instance_at(self._results.needed(), placed.points[0])
        return _said("the instance under the click", placed)

    @property
    def _session(self) -> ObjectSession:
        return self._session_now()

    def _click(self, message: PointStamped, is_foreground: bool) -> str:
        placed = self._place(_array(message.point), message.header)
        selection = self._session.click(placed.points[0], is_foreground)
        return _said(f"snapped by {selection.snap_distance_m:.3f} m", placed)


def _array(*points: Point | Point32) -> Float64[np.ndarray, "P 3"]:
    return np.array([[point.x, point.y, point.z] for point in points], np.float64)


def _said(what: str, placed: Placed) -> str:
    return ", ".join(part for part in (what, placed.how) if part)
