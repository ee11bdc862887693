from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.bag_poses import bag_poses, bag_transforms
from seg3d_core.data.bags import BagReader, BagWriter, read_bag
from seg3d_core.errors import InputError

STORE = get_typestore(Stores.ROS2_JAZZY)
STRING = "std_msgs/msg/String"
TF = "tf2_msgs/msg/TFMessage"


def text(value: str) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.types[STRING](value), STRING))


def transform(parent: str, child: str, stamp_ns: int, x: float, turn: float = 0.0) -> object:
    make = STORE.types
    return make["geometry_msgs/msg/TransformStamped"](
        make["std_msgs/msg/Header"](make["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9)), parent),
        child,
        make["geometry_msgs/msg/Transform"](
            make["geometry_msgs/msg/Vector3"](x, 0.0, 0.0),
            make["geometry_msgs/msg/Quaternion"](0.0, 0.0, float(np.sin(turn / 2)), float(np.cos(turn / 2))),
        ),
    )


def transforms(*items: object) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.types[TF](list(items)), TF))


def test_bytes_come_back_as_they_were_written(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        chatter = writer.topic("/chatter", STRING)
        writer.topic("/map", STRING, latched=True)
        chatter(20, text("two"))
        writer.write("/map", 15, text("map"))
        chatter(10, text("one"))
    with BagReader(tmp_path / "bag") as reader:
        topics = reader.topics()
        messages = list(reader.messages())
        late = list(reader.messages(["/chatter"], start_ns=15))
    assert [(t.name, t.type_name, t.count, t.is_latched) for t in topics] == [
        ("/chatter", STRING, 2, False),
        ("/map", STRING, 1, True),
    ]
    assert [(m.topic, m.stamp_ns, m.data) for m in messages] == [
        ("/chatter", 10, text("one")),
        ("/map", 15, text("map")),
        ("/chatter", 20, text("two")),
    ]
    assert [m.stamp_ns for m in late] == [20]
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["storage_identifier"] == "mcap"
    assert metadata["message_count"] == 3
    assert metadata["starting_time"]["nanoseconds_since_epoch"] == 10


def test_the_single_file_is_readable_too(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.topic("/chatter", STRING)(5, text("hello"))
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert [m.data for m in read_bag(tmp_path / "bag" / "bag.mcap")] == [text("hello")]
    with pytest.raises(InputError, match=r"no metadata\.yaml; make it readable with: seg3d bags repair "):
        BagReader(tmp_path / "bag")


def test_a_message_class_names_its_type(tmp_path: Path) -> None:
    kind = type("String", (), {"__module__": "std_msgs.msg._string"})
    with BagWriter(tmp_path / "bag") as writer:
        writer.topic("/chatter", kind)(5, text("hello"))
    assert [m.type_name for m in read_bag(tmp_path / "bag")] == [STRING]


def test_types_of_other_packages_need_their_definition(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        with pytest.raises(InputError, match=r"topic /d: the definition of my_msgs/msg/Thing is not known"):
            writer.topic("/d", "my_msgs/msg/Thing")
        writer.topic("/d", "my_msgs/msg/Thing", definition="std_msgs/Header header\nint32 count\n")(1, b"\0\1\0\0")
    with BagReader(tmp_path / "bag") as reader:
        assert [t.type_name for t in reader.topics()] == ["my_msgs/msg/Thing"]


def test_a_topic_is_announced_once_in_one_way(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.topic("/a", STRING)
        writer.topic("/a", STRING)
        with pytest.raises(InputError, match=r"recorded as std_msgs/msg/String, latched=False; it cannot become"):
            writer.topic("/a", STRING, latched=True)
        with pytest.raises(InputError, match="topic /b was not announced; announced are /a"):
            writer.write("/b", 0, b"")


def test_what_was_written_survives_an_exception_and_closing_ends_it(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "bag")
    record = writer.topic("/a", STRING)

    def interrupted() -> None:
        with writer:
            record(1, text("kept"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    writer.close()
    with pytest.raises(InputError, match="is closed, /a cannot be recorded"):
        record(2, text("late"))
    with pytest.raises(InputError, match="is closed, /b cannot be announced"):
        writer.topic("/b", STRING)
    assert [m.data for m in read_bag(tmp_path / "bag")] == [text("kept")]


def test_an_empty_recording_is_a_recording(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.topic("/a", STRING)
    assert list(read_bag(tmp_path / "bag")) == []


def test_only_recordings_are_overwritten(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.topic("/a", STRING)(1, text("old"))
    with pytest.raises(InputError, match=r"cannot record to .*exists already"):
        BagWriter(tmp_path / "bag")
    with BagWriter(tmp_path / "bag", overwrite=True) as writer:
        writer.topic("/a", STRING)(1, text("new"))
    assert [m.data for m in read_bag(tmp_path / "bag")] == [text("new")]
    (tmp_path / "bag" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"is not overwritten: it holds thesis\.tex"):
        BagWriter(tmp_path / "bag", overwrite=True)


def test_folders_of_other_things_are_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "camera.yaml").write_text("")
    with pytest.raises(InputError, match=r"is not overwritten: it holds camera\.yaml"):
        BagWriter(tmp_path / "config", overwrite=True)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with BagWriter(tmp_path / "bag") as writer:
        record = writer.topic("/a", STRING)
        with monkeypatch.context() as patch:
            patch.setattr(writer._writer, "write", full)
            with pytest.raises(InputError, match=r"cannot record to .*bag: No space left on device"):
                record(1, text("lost"))
        record(2, text("kept"))
    assert [m.stamp_ns for m in read_bag(tmp_path / "bag")] == [2]


def test_threads_may_record_at_the_same_time(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:

        def work(name: str) -> None:
            record = writer.topic(name, STRING)
            for stamp in range(300):
                record(stamp, text(f"{name}{stamp}" * 100))

        threads = [threading.Thread(target=work, args=(f"/t{i % 3}",)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    messages = list(read_bag(tmp_path / "bag"))
    assert len(messages) == 1800
    assert all(m.data == text(f"{m.topic}{m.stamp_ns}" * 100) for m in messages)


def test_what_is_no_recording_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: No such file or directory"):
        BagReader(tmp_path / "gone")
    with pytest.raises(InputError, match=r"neither metadata\.yaml nor \.mcap or \.db3 files"):
        BagReader(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match=r"a\.txt: not a readable rosbag2 recording"):
        BagReader(tmp_path / "a.txt")
    for suffix in (".mcap", ".db3"):
        (tmp_path / f"b{suffix}").write_bytes(b"not at all" * 20)
        with pytest.raises(InputError, match=f"b{suffix}: "):
            list(read_bag(tmp_path / f"b{suffix}"))


def test_a_truncated_recording_gives_messages_or_an_input_error(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        record = writer.topic("/a", STRING)
        for stamp in range(20):
            record(stamp, text("x" * 50))
    file = tmp_path / "bag" / "bag.mcap"
    whole = file.read_bytes()
    for size in range(0, len(whole), 97):
        file.write_bytes(whole[:size])
        for path in (file, file.parent):
            try:
                assert all(m.data == text("x" * 50) for m in read_bag(path))
            except InputError as error:
                assert str(path) in str(error)


def test_unknown_topics_are_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.topic("/a", STRING)
    with pytest.raises(InputError, match="has no topic /b; it has /a"):
        list(read_bag(tmp_path / "bag", ["/b"]))


def test_poses_of_a_camera_on_a_moving_base(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        static = writer.topic("/robot/tf_static", TF, latched=True)
        moving = writer.topic("/tf", TF)
        static(0, transforms(transform("base", "camera", 0, 0.5)))
        for second in range(1, 4):
            moving(second * 10**9, transforms(transform("map", "base", second * 10**9, second, np.pi / 2)))
    track = bag_poses(tmp_path / "bag", "map", "camera")
    assert track.stamps_ns.tolist() == [10**9, 2 * 10**9, 3 * 10**9]
    # The camera is half a metre before the base, which looks along the map's y.
    np.testing.assert_allclose(track.T_world_camera[:, :3, 3], [[1, 0.5, 0], [2, 0.5, 0], [3, 0.5, 0]], atol=1e-12)
    mount = bag_poses(tmp_path / "bag", "base", "camera")
    assert mount.stamps_ns.tolist() == [0]
    assert mount.T_world_camera[0, 0, 3] == 0.5


def test_recordings_without_transforms_are_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.topic("/a", STRING)
    with pytest.raises(InputError, match=r"has no transforms \(topic /tf\); it has /a"):
        bag_transforms(tmp_path / "bag")


@pytest.mark.parametrize("name", ["jsk_watercan_db3", "jsk_watercan_mcap"])
def test_a_real_recording(shared_data: Path, name: str) -> None:
    path = shared_data / "bags" / name
    with BagReader(path) as reader:
        assert {t.name: t.count for t in reader.topics()} == {
            "/tf": 3532, "/euclidean_cluster_indices_decomposer/output00": 1,
        }  # fmt: skip
        cloud = next(iter(reader.messages(["/euclidean_cluster_indices_decomposer/output00"])))
    assert STORE.deserialize_cdr(cloud.data, cloud.type_name).width == 13966
    tree = bag_transforms(path)
    assert len(tree.frames) == 84
    stamps = tree.stamps_ns("map", "left_camera_optical_frame")
    assert len(stamps) > 500
    for stamp in stamps[:: len(stamps) // 10]:
        T = tree.lookup("map", "left_camera_optical_frame", int(stamp))
        np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
        # A humanoid's head, upright: the camera's y axis points down.
        assert 1.0 < T[2, 3] < 2.5
        assert T[2, 1] < -0.5


def test_copying_a_real_recording_changes_no_byte(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "bags" / "jsk_watercan_db3"
    with BagReader(source) as reader, BagWriter(tmp_path / "copy") as writer:
        for topic in reader.topics():
            writer.topic(topic.name, topic.type_name)
        for message in reader.messages():
            writer.write(message.topic, message.stamp_ns, message.data)

    def content(path: Path) -> list[tuple[int, str, bytes]]:
        return sorted((m.stamp_ns, m.topic, m.data) for m in read_bag(path))

    assert content(source) == content(tmp_path / "copy")
