"""bag_source_node plays what was recorded; time included."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from ros_graph import EVERYTHING, Graph
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header

from seg3d_core.data.bags import BagWriter
from seg3d_ros.conversions.stamps import header, stamp_ns, time_msg

pytestmark = pytest.mark.ros
S = 1_000_000_000


def recording(path: Path, with_clock: bool) -> Path:
    """Four headers, a tenth of a second apart, recorded at 1000 s and stamped from 5 s on as in a simulation."""
    with BagWriter(path) as bag:
        bag.topic("/note", "std_msgs/msg/Header")
        if with_clock:
            bag.topic("/clock", "rosgraph_msgs/msg/Clock")
        for number in range(4):
            recorded_ns, stamp = 1000 * S + number * S // 10, 5 * S + number * S // 10
            if with_clock:
                bag.write("/clock", recorded_ns, serialize_message(Clock(clock=time_msg(stamp))))
            bag.write("/note", recorded_ns, serialize_message(header("map", stamp)))
    return path


@pytest.mark.parametrize("with_clock", [False, True])
def test_there_is_one_clock(graph: Graph, tmp_path: Path, with_clock: bool) -> None:
    bag = recording(tmp_path / "recorded", with_clock)
    notes = graph.collect(Header, "/note", EVERYTHING)
    clocks = graph.collect(Clock, "/clock", EVERYTHING if with_clock else QoSProfile(depth=10))
    graph.start("bag_source_node", bag=bag, await_topic="/note")
    graph.until(lambda: len(notes) == 4 and len(clocks) >= 4, 30)
    assert [stamp_ns(note.stamp) for note in notes] == [5 * S + number * S // 10 for number in range(4)]
    seconds = {stamp_ns(clock.clock) // S for clock in clocks}
    assert seconds <= ({5} if with_clock else set(range(1000, 1010)))
