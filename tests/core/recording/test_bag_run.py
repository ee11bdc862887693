from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from seg3d_core.cli import main
from seg3d_core.data.bag_clouds import CLOUD, decode_cloud, decode_instances, encode_cloud
from seg3d_core.data.bags import BagWriter, read_bag
from seg3d_core.data.scenes.bag_images import INFO, RAW
from seg3d_core.errors import InputError
from seg3d_core.recording.bag_run import FUSED_TOPIC, INSTANCES_TOPIC, BagRunConfig, segment_bag
from seg3d_core.segmenter import make_segmenter
from seg3d_core.types import Cloud

STORE = get_typestore(Stores.ROS2_JAZZY)
MAKE = STORE.types
POSE = "geometry_msgs/msg/PoseStamped"
STRING = "std_msgs/msg/String"
S = 1_000_000_000


def plate(x: float, size: float, z: float, step: float = 0.02) -> np.ndarray:
    u, v = np.meshgrid(np.arange(0, size, step), np.arange(0, size, step))
    return np.stack([u.ravel() + x, v.ravel(), np.full(u.size, z)], axis=1)


def two_things(number: int) -> Cloud:
    """Two plates in the air, the second one further away each time."""
    points = np.concatenate([plate(0, 0.6, 0.5), plate(1.5 + 0.01 * number, 0.5, 0.5)])
    return Cloud(points.astype(np.float32), frame_id="map", stamp_ns=(3 + number) * S)


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    """Three clouds on /cloud, the second damaged, and words between them."""
    with BagWriter(tmp_path / "in") as writer:
        cloud, word = writer.topic("/cloud", CLOUD), writer.topic("/word", STRING)
        own = writer.topic("/own", "my_msgs/msg/Thing", definition="int32 count\n")
        for number in range(3):
            data = encode_cloud(two_things(number))
            cloud((10 + number) * S, data if number != 1 else data[:60])
            word((10 + number) * S + 5, bytes(STORE.serialize_cdr(MAKE[STRING](str(number)), STRING)))
        own(11 * S, b"\0\1\0\0\7\0\0\0")
    return tmp_path / "in"


def run(source: Path, target: Path, **settings: object):
    config = BagRunConfig.build({"model": "graph", **settings})
    return segment_bag(source, target, config, make_segmenter(config), lambda done, total: None)


def test_results_stand_beside_what_was_recorded(clouds: Path, tmp_path: Path) -> None:
    done = run(clouds, tmp_path / "out")
    assert (done.clouds, done.instances, done.ids, done.copied, done.left_out) == (3, 2, 2, 7, ())
    assert len(done.refused) == 1
    assert "PointCloud2 message is damaged" in done.refused[0]
    found = list(read_bag(tmp_path / "out"))
    assert [m for m in found if m.topic != INSTANCES_TOPIC] == list(read_bag(clouds))
    results = [m for m in found if m.topic == INSTANCES_TOPIC]
    assert [m.stamp_ns for m in results] == [10 * S, 12 * S]
    first, last = (decode_instances(m.data) for m in results)
    assert (first.cloud.stamp_ns, last.cloud.stamp_ns, first.cloud.frame_id) == (3 * S, 5 * S, "map")
    assert first.instance_ids.tolist() == last.instance_ids.tolist()
    np.testing.assert_array_equal(first.cloud.points, two_things(0).points)


def test_it_is_the_same_every_time(clouds: Path, tmp_path: Path) -> None:
    run(clouds, tmp_path / "a" / "out")
    run(clouds, tmp_path / "b" / "out")
    for name in ("out_0.mcap", "metadata.yaml"):
        assert (tmp_path / "a" / "out" / name).read_bytes() == (tmp_path / "b" / "out" / name).read_bytes()


def test_what_cannot_be_run_is_refused(clouds: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no clouds on /map; it has /cloud"):
        run(clouds, tmp_path / "out", cloud_topic="/map")
    run(clouds, tmp_path / "out")
    with pytest.raises(InputError, match="has /seg3d/instance_cloud already"):
        run(tmp_path / "out", tmp_path / "again")
    with pytest.raises(InputError, match=r"cannot record to .*out: it exists already"):
        run(clouds, tmp_path / "out")
    with BagWriter(tmp_path / "two") as writer:
        for name in ("/a", "/b"):
            writer.topic(name, CLOUD)(S, encode_cloud(two_things(0)))
    with pytest.raises(InputError, match=r"has clouds on /a, /b: choose with --set cloud_topic=NAME"):
        run(tmp_path / "two", tmp_path / "out2")
    with BagWriter(tmp_path / "none") as writer:
        writer.topic("/word", STRING)(S, b"")
    with pytest.raises(InputError, match="has no topic of depth images by its name"):
        run(tmp_path / "none", tmp_path / "out3")


def header(stamp_ns: int, frame: str) -> object:
    return MAKE["std_msgs/msg/Header"](MAKE["builtin_interfaces/msg/Time"](*divmod(stamp_ns, S)), frame)


def camera_walk(path: Path) -> Path:
    """A camera that looks down on a plate over a floor, from 1 m, and moves along x; its poses on camera_pose."""
    height, width, f = 48, 64, 60.0
    K = [f, 0, 31.5, 0, f, 23.5, 0, 0, 1]
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    with BagWriter(path) as writer:
        rgb, depth = writer.topic("/rgb/image_rect_color", RAW), writer.topic("/depth_registered/image_rect", RAW)
        info = writer.topic("/rgb/camera_info", INFO)
        pose = writer.topic("/camera_pose", POSE)
        for number in range(8):
            stamp, x = (1 + number * 0.25), 0.02 * number
            stamp_ns = round(stamp * S)
            on_plate = (np.abs((u - 31.5) * 0.7 / f + x) < 0.15) & (np.abs((v - 23.5) * 0.7 / f) < 0.15)
            mm = np.where(on_plate, 700, 1000).astype("<u2")
            colour = np.where(on_plate[..., None], [200, 30, 30], [90, 90, 90]).astype(np.uint8)
            stamped = header(stamp_ns, "optical")
            for record, pixels, code in ((rgb, colour, "rgb8"), (depth, mm, "16UC1")):
                data = np.frombuffer(pixels.tobytes(), np.uint8)
                image = MAKE[RAW](stamped, height, width, code, 0, len(data) // height, data)
                record(stamp_ns, bytes(STORE.serialize_cdr(image, RAW)))
            roi = MAKE["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            P = np.array([f, 0, 31.5, 0, 0, f, 23.5, 0, 0, 0, 1, 0])
            camera = MAKE[INFO](
                stamped, height, width, "plumb_bob", np.zeros(5), np.array(K, float), np.eye(3).ravel(), P, 0, 0, roi
            )
            info(stamp_ns, bytes(STORE.serialize_cdr(camera, INFO)))
            # Down: the optical z axis is the world's -z.
            place = MAKE["geometry_msgs/msg/Point"](x, 0.0, 1.0)
            turn = MAKE["geometry_msgs/msg/Quaternion"](1.0, 0.0, 0.0, 0.0)
            message = MAKE[POSE](header(stamp_ns, "map"), MAKE["geometry_msgs/msg/Pose"](place, turn))
            pose(stamp_ns, bytes(STORE.serialize_cdr(message, POSE)))
    return path


def test_images_are_fused_with_the_poses_of_a_topic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = camera_walk(tmp_path / "walk")
    command = ["bags", "run", str(source), "-o", str(tmp_path / "out"), "--model", "graph"]
    assert main([*command, "--set", "publish_period_s=1.0"]) == 0
    assert "32 messages copied" in capsys.readouterr().out
    fused = [decode_cloud(m.data) for m in read_bag(tmp_path / "out", [FUSED_TOPIC])]
    found = [decode_instances(m.data) for m in read_bag(tmp_path / "out", [INSTANCES_TOPIC])]
    assert len(fused) == len(found) == 2
    assert fused[-1].frame_id == "map"
    heights = fused[-1].points[:, 2]
    assert np.abs(heights[heights < 0.15]).max() < 0.02
    assert np.abs(heights[heights > 0.28] - 0.3).max() < 0.02
    labels = found[-1].labels[np.abs(found[-1].cloud.points[:, 2] - 0.3) < 0.02]
    assert (labels == np.bincount(labels[labels >= 0]).argmax()).mean() > 0.9


def test_what_nodes_of_this_package_hear_becomes_a_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = camera_walk(tmp_path / "walk")
    assert main(["bags", "import", str(source), "--to", str(tmp_path / "scenes")]) == 0
    assert "walk: 8 frames, 0 skipped" in capsys.readouterr().out
