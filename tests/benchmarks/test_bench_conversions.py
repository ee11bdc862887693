"""What messages cost. 307,200 points and 640x480 pixels; one core."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")

from geometry_msgs.msg import Point
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from seg3d_core.colours import instance_colours
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.clouds import cloud_from_message, cloud_to_message, instances_to_message
from seg3d_ros.conversions.images import depth_m_from_image, rgb_from_image
from seg3d_ros.markers import InstanceMarkers

pytestmark = pytest.mark.ros

WIDTH, HEIGHT = 640, 480
COUNT = WIDTH * HEIGHT
FRESH = 8
"""Messages taken by turns: together larger than the last-level cache, as messages that just arrived are not in it."""


def message(step: int, fields: dict[str, int], holes: float = 0.0, seed: int = 0) -> PointCloud2:
    """FLOAT32 fields at word offsets, normally distributed; ``holes``: share of the image, in one piece."""
    rng = np.random.default_rng(seed)
    words = rng.standard_normal((COUNT, step // 4)).astype("<f4")
    if "rgb" in fields:
        words.view("<u4")[:, fields["rgb"] // 4] = rng.integers(0, 1 << 24, COUNT)
    words[: int(holes * COUNT), :3] = np.nan
    return PointCloud2(
        width=WIDTH,
        height=HEIGHT,
        fields=[PointField(name=name, offset=at, datatype=PointField.FLOAT32, count=1) for name, at in fields.items()],
        point_step=step,
        row_step=step * WIDTH,
        data=array("B", words.tobytes()),
    )


LAYOUTS = {
    "xyz in 16 bytes": (16, {"x": 0, "y": 4, "z": 8}),
    "xyz rgb in 16 bytes": (16, {"x": 0, "y": 4, "z": 8, "rgb": 12}),
    "xyz rgb in 32 bytes": (32, {"x": 0, "y": 4, "z": 8, "rgb": 16}),
}


def by_turns(function: Callable[[PointCloud2], object], messages: list[PointCloud2]) -> Callable[[], object]:
    turn = iter(range(1 << 30))
    return lambda: function(messages[next(turn) % len(messages)])


def per_point(msg: PointCloud2) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
    """What a plain reader does: unpack every point, drop NaN, split the colour."""
    colour_at = 4 if msg.point_step == 32 else 3
    points, colours = [], []
    for values in struct.iter_unpack(f"<{msg.point_step // 4}f", msg.data):
        x, y, z = values[:3]
        if x == x and y == y and z == z:
            (packed,) = struct.unpack("<I", struct.pack("<f", values[colour_at]))
            points.append((x, y, z))
            colours.append(((packed >> 16 & 255) / 255, (packed >> 8 & 255) / 255, (packed & 255) / 255))
    return points, colours


@pytest.mark.parametrize("name", ["xyz rgb in 16 bytes", "xyz rgb in 32 bytes"])
def test_reading_a_cloud_against_a_reader_of_single_points(compare, name: str) -> None:
    msg = message(*LAYOUTS[name])
    compare(
        f"PointCloud2 -> Cloud, {name}",
        lambda: cloud_from_message(msg),
        "struct.iter_unpack",
        lambda: per_point(msg),
        at_least=20,
        rounds=5,
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_reading_a_cloud_against_copying_its_bytes(compare, name: str) -> None:
    step, fields = LAYOUTS[name]
    messages = [message(step, fields, seed=seed) for seed in range(FRESH)]
    written = 24 if "rgb" in fields else 12
    compare(
        f"PointCloud2 -> Cloud, {name}, fresh",
        by_turns(cloud_from_message, messages),
        "memcpy of the message",
        by_turns(lambda msg: np.frombuffer(msg.data, np.uint8).copy(), messages),
        at_least=0.2,
        bound=f"moves {step + 2 * written} bytes a point, as what is written is read into the cache first; "
        f"memcpy, which can do without, {2 * step}",
        rounds=41,
    )


def test_reading_a_cloud_with_holes(compare) -> None:
    whole, torn = (message(*LAYOUTS["xyz rgb in 32 bytes"], holes=holes) for holes in (0.0, 0.3))
    compare(
        "PointCloud2 -> Cloud, 30 % NaN",
        lambda: cloud_from_message(torn),
        "the same without NaN",
        lambda: cloud_from_message(whole),
    )


def test_writing_clouds(compare) -> None:
    cloud = cloud_from_message(message(*LAYOUTS["xyz rgb in 16 bytes"]))
    compare(
        "Cloud -> PointCloud2 (16 bytes)",
        lambda: cloud_to_message(cloud),
        "memcpy of the result",
        lambda: np.empty(16 * COUNT, np.uint8).copy(),
        bound="reads 24, zeroes and writes 16 bytes a point",
    )


def hundred_instances() -> Instances:
    cloud = cloud_from_message(message(*LAYOUTS["xyz rgb in 16 bytes"]))
    labels = (np.arange(COUNT) * 100 // COUNT).astype(np.int32)
    return Instances.from_labels(Cloud(cloud.points, cloud.rgb), labels)


def test_writing_the_labelled_cloud(compare) -> None:
    instances = hundred_instances()
    _ = instances.labels
    compare(
        "Instances -> PointCloud2 (24 bytes)",
        lambda: instances_to_message(instances),
        "memcpy of the result",
        lambda: np.empty(24 * COUNT, np.uint8).copy(),
        bound="reads 16, zeroes and writes 24 bytes a point",
    )


@pytest.mark.parametrize(("encoding", "channels"), [("rgb8", 3), ("bgra8", 4)])
def test_colour_images(compare, encoding: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, channels)).astype(np.uint8)
    msg = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH * channels)
    msg.data = array("B", pixels.tobytes())

    def plain() -> np.ndarray:
        values = np.frombuffer(msg.data, np.uint8).reshape(HEIGHT, WIDTH, channels)
        order = [2, 1, 0] if encoding == "bgra8" else [0, 1, 2]
        return values[..., order].astype(np.float32) / 255

    compare(f"Image {encoding} -> rgb", lambda: rgb_from_image(msg), "numpy", plain, at_least=0.5)


@pytest.mark.parametrize(("encoding", "code"), [("16UC1", "<u2"), ("32FC1", "<f4")])
def test_depth_images(compare, encoding: str, code: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 8000, (HEIGHT, WIDTH)).astype(code)
    msg = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH * pixels.itemsize)
    msg.data = array("B", pixels.tobytes())

    def plain() -> np.ndarray:
        values = np.frombuffer(msg.data, code).reshape(HEIGHT, WIDTH)
        return values / np.float32(1000) if code == "<u2" else np.where(np.isfinite(values), values, 0)

    compare(f"Image {encoding} -> depth_m", lambda: depth_m_from_image(msg), "numpy", plain)


def naive_markers(instances: Instances) -> MarkerArray:
    """One POINTS marker per instance with every point and a colour for each."""
    colours = instance_colours(instances.instance_ids)
    markers = []
    for row in range(len(instances)):
        marker = Marker(ns="points", id=int(instances.instance_ids[row]), type=Marker.POINTS)
        r, g, b = colours[row].tolist()
        for x, y, z in instances.cloud.points[instances.masks[row]].tolist():
            marker.points.append(Point(x=x, y=y, z=z))
            marker.colors.append(ColorRGBA(r=r, g=g, b=b, a=1.0))
        markers.append(marker)
    return MarkerArray(markers=markers)


def test_markers_of_a_hundred_instances(compare) -> None:
    instances, markers = hundred_instances(), InstanceMarkers()
    compare(
        "markers of 100 instances, 307,200 points",
        lambda: markers.update(instances),
        "every point a Point",
        lambda: naive_markers(instances),
        at_least=5,
        bound="100 boxes x 0.07 ms, 31 MB of masks, 300 markers x 15 us of Python",
        rounds=5,
    )
