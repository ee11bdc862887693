"""``python -m seg3d_ros.dds_check``: do large messages survive between two processes on this machine?

One process sends colour, depth and cloud messages with the quality of service of sensors (best effort), another counts
what arrives. Stock Fast DDS loses nearly all of them; with room in shared memory (config/fastdds.xml) none.
Exit code 0 when at least 90 % of each kind arrived, 1 otherwise.
"""

from __future__ import annotations

import argparse
import array
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2, PointField

from seg3d_ros.dds_profile import present_profile, profile_variable, shipped_profile

WIDTH, HEIGHT = 640, 480
RATE_HZ = 10.0
COUNT = 30
MIN_SHARE = 0.9
DISCOVERY_LIMIT_S = 15.0
LINGER_S = 0.5
SENSOR_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True)
class Kind:
    """A kind of message: its name for people, its topic, its class and its size in bytes."""

    name: str
    topic: str
    message_type: Any
    size: int


KINDS = (
    Kind(f"colour {WIDTH}x{HEIGHT}", "rgb", Image, WIDTH * HEIGHT * 3),
    Kind(f"depth {WIDTH}x{HEIGHT}", "depth", Image, WIDTH * HEIGHT * 2),
    Kind(f"cloud {WIDTH * HEIGHT} points", "cloud", PointCloud2, WIDTH * HEIGHT * 16),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Send or receive, according to the command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--send", metavar="PREFIX", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    rclpy.init()
    try:
        if options.send:
            return send(options.send)
        return receive(f"seg3d_dds_check_{os.getpid()}")
    finally:
        rclpy.try_shutdown()


def send(prefix: str) -> int:
    """Publish every kind at the rate of a camera, once somebody listens to all; the exit code 1 if nobody came."""
    node = Node("seg3d_dds_sender")
    publishers = [node.create_publisher(kind.message_type, f"{prefix}/{kind.topic}", SENSOR_QOS) for kind in KINDS]
    messages = [make_message(kind) for kind in KINDS]
    limit = time.monotonic() + DISCOVERY_LIMIT_S
    while not all(publisher.get_subscription_count() for publisher in publishers):
        if time.monotonic() > limit:
            return 1
        time.sleep(0.05)
    start = time.monotonic()
    for number in range(COUNT):
        for publisher, message in zip(publishers, messages, strict=True):
            publisher.publish(message)
        time.sleep(max(0.0, start + (number + 1) / RATE_HZ - time.monotonic()))
    time.sleep(LINGER_S)
    return 0


def receive(prefix: str) -> int:
    """Start a sender, count what arrives, print the table; the exit code."""
    node = Node("seg3d_dds_receiver")
    arrived = dict.fromkeys(KINDS, 0)

    def count(kind: Kind) -> None:
        arrived[kind] += 1

    for kind in KINDS:
        # Raw: the loss of the middleware is measured, not the time that Python takes for messages.
        node.create_subscription(
            kind.message_type, f"{prefix}/{kind.topic}", lambda _, kind=kind: count(kind), SENSOR_QOS, raw=True
        )
    # The same interpreter: ROS wheels put their libraries on the path of the process and of its children.
    sender = subprocess.Popen([sys.executable, "-m", "seg3d_ros.dds_check", "--send", prefix])
    try:
        while sender.poll() is None:
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        sender.kill()
        code = sender.wait()
    if code != 0:
        print(f"two processes did not find each other in {DISCOVERY_LIMIT_S:g} s ({rmw()}); check ROS_DOMAIN_ID,")
        print("ROS_AUTOMATIC_DISCOVERY_RANGE and firewalls")
        return 1
    return report(arrived)


def report(arrived: dict[Kind, int]) -> int:
    """Print what arrived and, where messages were lost, what helps; the exit code."""
    print(f"{rmw()}, profile: {present_profile() or 'none'}; best effort, {RATE_HZ:g} Hz for {COUNT / RATE_HZ:g} s")
    for kind, number in arrived.items():
        print(f"{kind.name:20} {kind.size / 1e6:4.1f} MB  {number} of {COUNT} arrived")
    if all(number >= MIN_SHARE * COUNT for number in arrived.values()):
        return 0
    print("-> large messages are lost; set this for every process of the graph, drivers and RViz included:")
    if "fastrtps" in rmw():
        print(f"-> export {profile_variable()}={shipped_profile()}")
    else:
        print("-> larger socket buffers: sudo sysctl -w net.core.rmem_max=2147483647")
    return 1


def make_message(kind: Kind) -> Any:
    """A message of that kind and size, filled with zeros."""
    data = array.array("B", bytes(kind.size))
    if kind.message_type is Image:
        step = kind.size // HEIGHT
        return Image(
            width=WIDTH, height=HEIGHT, step=step, encoding="rgb8" if kind.topic == "rgb" else "16UC1", data=data
        )
    fields = [
        PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
        for place, name in enumerate(("x", "y", "z", "rgb"))
    ]
    return PointCloud2(width=WIDTH * HEIGHT, height=1, fields=fields, point_step=16, row_step=kind.size, data=data)


def rmw() -> str:
    """Name of the middleware in use."""
    return rclpy.get_rmw_implementation_identifier()


if __name__ == "__main__":
    sys.exit(main())
