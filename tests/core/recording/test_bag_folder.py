from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.data.bags import BagReader, read_bag
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.recording.bag_folder import BagFolder
from seg3d_core.recording.mcap_records import COMPRESSORS, chunk_record, read_chunk
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.settings import FileConfig
from seg3d_core.recording.topics import TypeDefinitions

S = 1_000_000_000
TYPES = TypeDefinitions()
CHATTER = TYPES.topic("/chatter", "std_msgs/msg/String")
MAP = TYPES.topic("/map", "std_msgs/msg/String", is_latched=True)
TF = TYPES.topic("/tf_static", "tf2_msgs/msg/TFMessage", is_latched=True)


def config(**values: object) -> FileConfig:
    return FileConfig.build({"min_free_mb": 0, "chunk_kib": 16, **values})


def message(second: float, data: bytes = b"x", topic=CHATTER) -> RecordedMessage:
    return RecordedMessage(topic, round(second * S), round(second * S), data)


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_what_is_written_is_read(tmp_path: Path, compression: str) -> None:
    bag = BagFolder(tmp_path / "bag", config(compression=compression), {"robot": "r2"})
    sent = [message(n, bytes([n]) * 5000) for n in range(20)] + [message(3.5, b"map", MAP)]
    for each in sent:
        bag.write(each)
    assert bag.messages == 21
    bag.close()
    bag.close()
    in_time = sorted(sent, key=lambda each: each.log_ns)
    for path in (tmp_path / "bag", tmp_path / "bag" / "bag_0.mcap"):
        found = [(each.topic, each.stamp_ns, each.data) for each in read_bag(path)]
        assert found == [(each.topic.name, each.log_ns, each.data) for each in in_time]
    with BagReader(tmp_path / "bag") as reader:
        assert [(t.name, t.count, t.is_latched) for t in reader.topics()] == [
            ("/chatter", 20, False),
            ("/map", 1, True),
        ]
        assert [each.stamp_ns for each in reader.messages(["/chatter"], 18 * S)] == [18 * S, 19 * S]
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (metadata["version"], metadata["custom_data"]) == (8, {"robot": "r2"})
    assert metadata["duration"]["nanoseconds"] == 19 * S


@given(st.binary(max_size=5000), st.sampled_from(sorted(COMPRESSORS)))
def test_chunks_come_back(content: bytes, compression: str) -> None:
    data, chunk = chunk_record(content, 1, 2, compression)
    assert read_chunk(data[9:]) == chunk
    assert chunk.content == content


def test_chunks_that_are_not_what_was_written_are_refused() -> None:
    data, _ = chunk_record(b"content" * 50, 1, 2, "none")
    with pytest.raises(InputError, match=r"chunk is damaged: 350 bytes, expected 350 bytes of another checksum"):
        read_chunk(data[9:-1] + b"!")
    with pytest.raises(InputError, match="chunk is damaged"):
        read_chunk(data[9:60])
    with pytest.raises(ConfigError, match="compression 'rar': known are none, lz4, zstd"):
        chunk_record(b"", 0, 0, "rar")


def test_every_file_can_be_used_by_itself(tmp_path: Path) -> None:
    bag = BagFolder(tmp_path / "bag", config(max_file_s=10), {})
    bag.write(message(0, b"mount", TF))
    bag.write(message(1, b"wheel", TF))
    bag.write(message(1, b"old", MAP))
    bag.write(message(2, b"new", MAP))
    for second in range(3, 24):
        bag.write(message(second))
    bag.close()
    files = sorted((tmp_path / "bag").glob("*.mcap"))
    assert [file.name for file in files] == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]
    for file, begin in zip(files[1:], (10, 20), strict=True):
        first = [(each.topic, each.stamp_ns, each.data) for each in read_bag(file)][:4]
        assert first == [
            ("/tf_static", begin * S, b"mount"),
            ("/tf_static", begin * S, b"wheel"),
            ("/map", begin * S, b"new"),
            ("/chatter", begin * S, b"x"),
        ]
    found = list(read_bag(tmp_path / "bag"))
    assert [each.stamp_ns for each in found if each.topic == "/chatter"] == [second * S for second in range(3, 24)]
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert [each["message_count"] for each in metadata["files"]] == [11, 13, 7]
    assert metadata["message_count"] == len(found) == 31


def test_large_files_are_followed_by_others(tmp_path: Path) -> None:
    bag = BagFolder(tmp_path / "bag", config(max_file_mb=1, compression="none"), {})
    for second in range(30):
        bag.write(message(second / 10, bytes(100_000)))
    bag.close()
    sizes = [file.stat().st_size for file in (tmp_path / "bag").glob("*.mcap")]
    assert len(sizes) == 3
    assert max(sizes) < 1_150_000
    assert len(list(read_bag(tmp_path / "bag"))) == 30


def test_a_chunk_is_closed_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("seg3d_core.recording.bag_folder.time.monotonic", lambda: now[0])
    bag = BagFolder(tmp_path / "bag", config(chunk_period_s=1.0), {})
    bag.write(message(1))
    size = bag.size_bytes
    now[0] = 100.9
    bag.tick()
    assert bag.size_bytes == size
    now[0] = 101.1
    bag.tick()
    assert bag.size_bytes > size
    assert (tmp_path / "bag" / "bag_0.mcap").stat().st_size == bag.size_bytes
    bag.close()


def test_an_empty_recording_is_one(tmp_path: Path) -> None:
    BagFolder(tmp_path / "bag", config(), {}).close()
    assert list(read_bag(tmp_path / "bag")) == []
    with pytest.raises(InputError, match=r"cannot record to .*bag: it exists already"):
        BagFolder(tmp_path / "bag", config(), {})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot record to .*: Not a directory"):
        BagFolder(tmp_path / "file" / "bag", config(), {})


def test_a_full_disk_is_seen_before_it_is_full(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the disk has \d+ MB left, recording stops at 1000000 MB"):
        BagFolder(tmp_path / "bag", config(min_free_mb=1_000_000), {})


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The operating system refuses to make files larger, in the middle of a write: as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_the_recording_properly(tmp_path: Path) -> None:
    bag = BagFolder(tmp_path / "bag", config(compression="none", chunk_kib=64), {})
    count = 0
    with largest_file(500_000):
        with pytest.raises(InputError, match=r"cannot record to .*bag: File too large"):
            while True:
                bag.write(message(count, bytes(10_000)))
                count += 1
        bag.close()
    found = [each.stamp_ns // S for each in read_bag(tmp_path / "bag")]
    assert found == list(range(len(found)))
    assert len(found) > 40
    assert len(found) + bag.lost == count + 1


def test_types_of_other_packages_are_learned_from_their_texts() -> None:
    types = TypeDefinitions()
    with pytest.raises(InputError, match="topic /t: the definition of my_msgs/msg/Thing is not known"):
        types.topic("/t", "my_msgs/msg/Thing")
    types.learn({"my_msgs/msg/Part": "float32 size\n", "my_msgs/msg/Thing": "std_msgs/Header header\nPart[] parts\n"})
    topic = types.topic("/t", "my_msgs/msg/Thing")
    assert "MSG: my_msgs/Part" in topic.definition
    assert topic.digest.startswith("RIHS01_")
    with pytest.raises(InputError, match="the definition of my_msgs/msg/Bad cannot be read"):
        types.learn({"my_msgs/msg/Bad": "float32 ][ x"})
