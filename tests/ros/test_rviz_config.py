"""config/seg3d.rviz shows what the nodes publish: names, types and quality of service against the topic table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from seg3d_ros.topics import ENDPOINTS, Endpoint

FILE = Path(__file__).resolve().parents[2] / "config" / "seg3d.rviz"
MANAGER: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["Visualization Manager"]
DISPLAYS = [display for display in MANAGER["Displays"] if "Topic" in display]
SHOWS = {
    "rviz_default_plugins/PointCloud2": "sensor_msgs/PointCloud2",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/MarkerArray",
    "rviz_default_plugins/Image": "sensor_msgs/Image",
}
WITHOUT_DISPLAY = {"diagnostic_msgs/DiagnosticArray", "std_msgs/String", "vision_msgs/Detection3DArray"}
"""Types that RViz has no display of."""
FOR_RECORDINGS = {"prompt_node/rejected"}
"""What nobody wants to look at."""


def shown_name(endpoint: Endpoint) -> str:
    """A topic's name as RViz finds it in the namespace of the nodes."""
    return endpoint.name.replace("~", endpoint.node)


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda display: display["Name"])
def test_a_display_hears_a_topic_that_there_is(display: dict[str, Any]) -> None:
    topic = display["Topic"]
    rows = [row for row in ENDPOINTS if row.kind != "serves" and shown_name(row) == topic["Value"]]
    assert rows, f"nothing publishes {topic['Value']}"
    assert {row.type for row in rows} == {SHOWS[display["Class"]]}
    ours = any(row.name.startswith("~/") for row in rows)
    # Results are latched and would be missed otherwise; a camera's images may be best effort.
    expected = ("Reliable", "Transient Local") if ours else ("Best Effort", "Volatile")
    assert (topic["Reliability Policy"], topic["Durability Policy"]) == expected
    assert (topic["History Policy"], topic["Depth"]) == ("Keep Last", 1)


def test_every_result_has_a_display() -> None:
    results = {
        shown_name(row)
        for row in ENDPOINTS
        if row.kind == "publishes" and row.name.startswith("~/") and row.type not in WITHOUT_DISPLAY
    }
    assert results - FOR_RECORDINGS <= {display["Topic"]["Value"] for display in DISPLAYS}


def test_tools_for_every_prompt_that_rviz_can_send() -> None:
    tools = [(tool["Class"].rpartition("/")[2], tool["Topic"]) for tool in MANAGER["Tools"] if "Topic" in tool]
    assert [(kind, topic["Value"]) for kind, topic in tools] == [
        ("PublishPoint", "clicked_point"),
        ("PublishPoint", "clicked_point_negative"),
        ("PublishPoint", "prompt_instance"),
        ("SetGoal", "prompt_goal"),
    ]
    assert {(topic["Reliability Policy"], topic["Durability Policy"]) for _, topic in tools} == {
        ("Reliable", "Volatile")
    }
    heard = {row.name: row.type for row in ENDPOINTS if row.node == "prompt_node" and row.kind == "subscribes"}
    sent = {"PublishPoint": "geometry_msgs/PointStamped", "SetGoal": "geometry_msgs/PoseStamped"}
    assert [heard[topic["Value"]] for _, topic in tools] == [sent[kind] for kind, _ in tools]
