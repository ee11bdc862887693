from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from seg3d_core.cli import main
from seg3d_core.data.bag_info import inspect_bag
from seg3d_core.data.bag_poses import camera_transforms
from seg3d_core.data.bags import BagWriter
from seg3d_core.errors import InputError
from seg3d_core.recording.bag_folder import BagFolder
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.settings import FileConfig
from seg3d_core.recording.topics import TypeDefinitions

STORE = get_typestore(Stores.ROS2_JAZZY)
MAKE = STORE.types
IMAGE, POSE, CLICK = "sensor_msgs/msg/Image", "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/PointStamped"
TF = "tf2_msgs/msg/TFMessage"
S = 1_000_000_000


def header(stamp_ns: int, frame: str) -> object:
    return MAKE["std_msgs/msg/Header"](MAKE["builtin_interfaces/msg/Time"](*divmod(stamp_ns, S)), frame)


def packed(message: object, kind: str) -> bytes:
    return bytes(STORE.serialize_cdr(message, kind))


def image(stamp_ns: int) -> bytes:
    return packed(MAKE[IMAGE](header(stamp_ns, "optical"), 1, 2, "16UC1", 0, 4, np.zeros(4, np.uint8)), IMAGE)


def pose(stamp_ns: int, x: float) -> bytes:
    place = MAKE["geometry_msgs/msg/Point"](x, 0.0, 0.0)
    turn = MAKE["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    return packed(MAKE[POSE](header(stamp_ns, "map"), MAKE["geometry_msgs/msg/Pose"](place, turn)), POSE)


def click(stamp_ns: int) -> bytes:
    return packed(MAKE[CLICK](header(stamp_ns, "map"), MAKE["geometry_msgs/msg/Point"](1.0, 2.0, 3.0)), CLICK)


def walk(path: Path, with_poses: bool = True) -> Path:
    """Ten images a second for 3 s, a pause of 2 s, 1 s more; poses until 4 s after the first; two clicks."""
    with BagWriter(path) as writer:
        depth = writer.topic("/camera/depth", IMAGE)
        clicked = writer.topic("/clicked_point", CLICK)
        place = writer.topic("/camera_pose", POSE) if with_poses else lambda *unused: None
        for number in [*range(30), *range(50, 60)]:
            stamp_ns = S + number * S // 10
            depth(stamp_ns + 5, image(stamp_ns))
            if number < 55:
                place(stamp_ns, pose(stamp_ns, number / 10))
        clicked(2 * S, click(2 * S))
        clicked(3 * S, click(3 * S))
    return path


def test_rates_gaps_poses_and_prompts(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    info = inspect_bag(walk(tmp_path / "bag"), lambda done, total: told.append((done, total)))
    assert told[-1] == (77, 77)
    depth = next(row for row in info.topics if row.topic.name == "/camera/depth")
    assert (depth.rate_hz, depth.gaps, depth.backwards, depth.posed) == (pytest.approx(10), 1, 0, 35)
    assert depth.longest_gap_s == pytest.approx(2.1)
    assert (info.fixed_frame, info.prompts) == ("map", {"/clicked_point": 2})
    assert info.duration_s == pytest.approx(5.9)
    assert info.problems[0] == "/camera/depth: 1 gaps, the longest of 2.1 s"
    assert re.match(r"/camera/depth: 5 of 40 have no pose, the first because: no transform", info.problems[1])


def test_recordings_without_transforms(tmp_path: Path) -> None:
    info = inspect_bag(walk(tmp_path / "bag", with_poses=False))
    assert info.fixed_frame == ""
    assert "has no transforms (topic /tf); it has /camera/depth, /clicked_point" in info.problems[0]
    assert all(row.posed is None for row in info.topics)


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        depth = writer.topic("/depth", IMAGE)
        for number, second in enumerate((5, 6, 2, 3)):
            depth(number * S // 10, image(second * S))
    assert (
        "/depth: 1 stamps are before that of the message before: a clock went back"
        in inspect_bag(tmp_path / "bag").problems
    )


def test_poses_of_a_topic_stand_in_for_tf(tmp_path: Path) -> None:
    path = walk(tmp_path / "bag")
    tree = camera_transforms(path, "/optical")
    np.testing.assert_allclose(tree.lookup("map", "optical", S + S // 20)[:3, 3], [0.05, 0, 0])
    with pytest.raises(InputError, match=r"/clicked_point is geometry_msgs/msg/PointStamped, expected geometry_msgs"):
        camera_transforms(path, "optical", "/clicked_point")
    with pytest.raises(InputError, match=r"/odom is not recorded, expected geometry_msgs/msg/PoseStamped"):
        camera_transforms(path, "optical", "/odom")


def test_info_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = walk(tmp_path / "bag")
    assert main(["bags", "info", str(bag), str(tmp_path / "gone")]) == 2
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith(f"{bag}: 77 messages, 0.0 MB, 5.9 s from 1970-01-01 00:00:01 UTC")
    assert re.search(r"^/camera/depth +sensor_msgs/msg/Image +40 +10\.0 +2\.10 s +0\.0 +35 of 40$", told.out, re.M)
    assert "prompts: 2 on /clicked_point" in lines
    assert "poses in: map" in lines
    assert "gone: No such file or directory" in told.err


def test_repair_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    topic = TypeDefinitions().topic("/camera/depth", IMAGE)
    bag = BagFolder(tmp_path / "bag", FileConfig.build({"min_free_mb": 0}), {})
    for number in range(5):
        bag.write(RecordedMessage(topic, number * S, 0, image(number * S)))
    bag._end_chunk()
    assert main(["bags", "info", str(tmp_path / "bag")]) == 2
    assert "make it readable with: seg3d bags repair" in capsys.readouterr().err
    assert main(["bags", "repair", str(tmp_path / "bag")]) == 0
    assert capsys.readouterr().out == "bag_0.mcap: repaired, 5 messages\n"
    assert main(["bags", "repair", str(tmp_path / "bag")]) == 0
    assert capsys.readouterr().out == "bag_0.mcap: whole, 5 messages\n"
    assert main(["bags", "info", str(tmp_path / "bag")]) == 0


@pytest.mark.parametrize("name", ["jsk_watercan_db3", "jsk_watercan_mcap"])
def test_info_of_a_real_recording(shared_data: Path, name: str) -> None:
    info = inspect_bag(shared_data / "bags" / name)
    rows = {row.topic.name: row for row in info.topics}
    assert rows["/tf"].topic.count == 3532
    cloud = rows["/euclidean_cluster_indices_decomposer/output00"]
    assert cloud.size_bytes > 100_000
    assert info.fixed_frame == "map"
    assert info.duration_s == pytest.approx(6.67, abs=0.01)


def test_metadata_of_a_later_version_is_refused_in_words(tmp_path: Path) -> None:
    metadata = walk(tmp_path / "bag") / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("version: 8", "version: 99"))
    with pytest.raises(InputError, match=r"bag: not a readable rosbag2 recording: .*version 99"):
        inspect_bag(tmp_path / "bag")
