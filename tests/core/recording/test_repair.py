from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.bags import BagMessage, BagReader, BagWriter, read_bag
from seg3d_core.errors import InputError
from seg3d_core.recording.bag_folder import BagFolder
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.repair import repair_bag
from seg3d_core.recording.settings import FileConfig
from seg3d_core.recording.topics import TypeDefinitions

S = 1_000_000_000
TYPES = TypeDefinitions()
CHATTER = TYPES.topic("/chatter", "std_msgs/msg/String")
MAP = TYPES.topic("/map", "std_msgs/msg/Header", is_latched=True)
FOREVER = QosTime(9_223_372_036, 854_775_807)
STORE = get_typestore(Stores.ROS2_JAZZY)


def recording(path: Path, closed: bool, **values: object) -> list[list[BagMessage]]:
    """A folder with five chunks, and what is in each."""
    bag = BagFolder(path, FileConfig.build({"min_free_mb": 0, "max_file_s": 1000, **values}), {})
    chunks = []
    for chunk in range(5):
        content = []
        for number in range(10):
            topic = MAP if number == chunk else CHATTER
            each = RecordedMessage(topic, (chunk * 10 + number) * S, 0, bytes([number]) * 300)
            bag.write(each)
            content.append(BagMessage(topic.name, topic.type_name, each.log_ns, each.data))
        bag._end_chunk()
        chunks.append(content)
    bag.write(RecordedMessage(CHATTER, 99 * S, 0, b"in the open chunk"))
    if closed:
        bag.close()
    return chunks


def test_everything_but_the_open_chunk_is_found(tmp_path: Path) -> None:
    chunks = recording(tmp_path / "bag", closed=False)
    with pytest.raises(InputError, match=r"no metadata\.yaml; make it readable with: seg3d bags repair .*bag"):
        BagReader(tmp_path / "bag")
    told: list[tuple[int, int]] = []
    (result,) = repair_bag(tmp_path / "bag", lambda done, total: told.append((done, total)))
    assert (result.name, result.messages, result.was_whole) == ("bag_0.mcap", 50, False)
    assert (result.cut_bytes, result.damaged_chunks) == (0, 0)
    assert told[-1][0] == told[-1][1]
    expected = [each for chunk in chunks for each in chunk]
    assert list(read_bag(tmp_path / "bag")) == expected
    assert list(read_bag(tmp_path / "bag" / "bag_0.mcap")) == expected
    with BagReader(tmp_path / "bag") as reader:
        assert [(t.name, t.count, t.is_latched) for t in reader.topics()] == [
            ("/chatter", 45, False),
            ("/map", 5, True),
        ]
    before = (tmp_path / "bag" / "bag_0.mcap").read_bytes()
    (again,) = repair_bag(tmp_path / "bag")
    assert (again.was_whole, again.messages) == (True, 50)
    assert (tmp_path / "bag" / "bag_0.mcap").read_bytes() == before


@pytest.mark.parametrize("closed", [False, True])
def test_cut_anywhere_whole_chunks_are_found(tmp_path: Path, closed: bool) -> None:
    chunks = recording(tmp_path / "bag", closed, compression="zstd")
    if closed:
        chunks.append([BagMessage("/chatter", CHATTER.type_name, 99 * S, b"in the open chunk")])
    file = tmp_path / "bag" / "bag_0.mcap"
    whole = file.read_bytes()
    most = 0
    for size in [*range(0, len(whole), 61), len(whole) - 1]:
        file.write_bytes(whole[:size])
        (result,) = repair_bag(tmp_path / "bag")
        found = list(read_bag(tmp_path / "bag"))
        assert found in [[each for chunk in chunks[:n] for each in chunk] for n in range(len(chunks) + 1)]
        assert len(found) == result.messages >= most
        most = len(found)
    assert most == sum(map(len, chunks))


def test_damaged_chunks_are_left_out(tmp_path: Path) -> None:
    chunks = recording(tmp_path / "bag", closed=False, compression="none")
    file = tmp_path / "bag" / "bag_0.mcap"
    data = bytearray(file.read_bytes())
    spot = data.index(bytes([7]) * 300, data.index(bytes([7]) * 300) + 600)  # in the second chunk
    data[spot] ^= 255
    file.write_bytes(data)
    (result,) = repair_bag(tmp_path / "bag")
    assert (result.damaged_chunks, result.messages) == (1, 40)
    assert list(read_bag(tmp_path / "bag")) == [each for n in (0, 2, 3, 4) for each in chunks[n]]


def test_what_makes_no_sense_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    recording(tmp_path / "bag", closed=False)
    file = tmp_path / "bag" / "bag_0.mcap"
    data = file.read_bytes()
    bad = data + b"\xee" + bytes(8) + bytes(100)
    file.write_bytes(bad)
    with pytest.raises(InputError, match=rf"is damaged at byte {len(data)} of {len(bad)}: 0xee begins no record"):
        repair_bag(tmp_path / "bag")
    assert file.read_bytes() == bad
    file.write_bytes(b"#!/bin/sh\nexit 0\n")
    with pytest.raises(InputError, match=r"is no MCAP file: it begins with b'#!/bin/s'"):
        repair_bag(tmp_path / "bag")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.mcap and no \.db3 file: there is nothing to repair"):
        repair_bag(tmp_path / "empty")
    with pytest.raises(InputError, match="gone: No such file or directory"):
        repair_bag(tmp_path / "gone")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match=r"is no \.mcap file; a recording in \.db3 files is repaired as a folder"):
        repair_bag(tmp_path / "a.txt")


def test_files_are_taken_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    bag = BagFolder(tmp_path / "bag", FileConfig.build({"min_free_mb": 0, "max_file_s": 1, "chunk_period_s": 0.05}), {})
    for second in range(12):
        bag.write(RecordedMessage(CHATTER, second * S, 0, b"x"))
    bag._end_chunk()
    assert len(list((tmp_path / "bag").glob("*.mcap"))) == 12
    results = repair_bag(tmp_path / "bag")
    assert [result.name for result in results] == [f"bag_{n}.mcap" for n in range(12)]
    assert [result.was_whole for result in results] == [True] * 11 + [False]
    assert [each.stamp_ns // S for each in read_bag(tmp_path / "bag")] == list(range(12))


def test_a_single_file_is_repaired_by_itself(tmp_path: Path) -> None:
    chunks = recording(tmp_path / "bag", closed=False)
    shutil.move(tmp_path / "bag" / "bag_0.mcap", tmp_path / "one.mcap")
    (result,) = repair_bag(tmp_path / "one.mcap")
    assert result.messages == 50
    assert list(read_bag(tmp_path / "one.mcap")) == [each for chunk in chunks for each in chunk]


def text(number: int) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.types[CHATTER.type_name](str(number) * 200), CHATTER.type_name))


def test_recordings_of_other_programs_are_repaired_too(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        record = writer.topic("/chatter", CHATTER.type_name, latched=True)
        for number in range(9000):
            record(number, text(number))
    expected = list(read_bag(tmp_path / "bag"))
    file = tmp_path / "bag" / "bag.mcap"
    whole = file.read_bytes()
    (tmp_path / "bag" / "metadata.yaml").unlink()
    (result,) = repair_bag(tmp_path / "bag")
    assert (result.was_whole, result.messages) == (True, 9000)
    assert list(read_bag(tmp_path / "bag")) == expected
    file.write_bytes(whole[: len(whole) // 2])
    (result,) = repair_bag(tmp_path / "bag")
    found = list(read_bag(tmp_path / "bag"))
    assert 1000 < len(found) < 8000
    assert found == expected[: len(found)]
    with BagReader(tmp_path / "bag") as reader:
        assert reader.topics()[0].is_latched


@pytest.mark.parametrize("version", [8, 9])
def test_sqlite_recordings_get_their_metadata_back(tmp_path: Path, version: int) -> None:
    latched = Qos(
        QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
        FOREVER, FOREVER, QosLiveliness.AUTOMATIC, FOREVER, False,
    )  # fmt: skip
    with Writer(tmp_path / "bag", version=version, storage_plugin=StoragePlugin.SQLITE3) as writer:
        topic = writer.add_connection("/map", CHATTER.type_name, typestore=STORE, offered_qos_profiles=[latched])
        for number in range(5):
            writer.write(topic, number, text(number))
    expected = list(read_bag(tmp_path / "bag"))
    (tmp_path / "bag" / "metadata.yaml").unlink()
    repair_bag(tmp_path / "bag")
    assert list(read_bag(tmp_path / "bag")) == expected
    with BagReader(tmp_path / "bag") as reader:
        assert [(t.name, t.count, t.is_latched) for t in reader.topics()] == [("/map", 5, True)]
    (tmp_path / "bag" / "bag.db3").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match=r"bag\.db3: not a readable rosbag2 recording: file is not a database"):
        repair_bag(tmp_path / "bag")


@pytest.mark.parametrize("name", ["jsk_watercan_db3", "jsk_watercan_mcap"])
def test_a_real_recording(shared_data: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(shared_data / "bags" / name, tmp_path / name)
    (tmp_path / name / "metadata.yaml").unlink()
    (result,) = repair_bag(tmp_path / name)
    assert (result.messages, result.was_whole) == (3533, True)
    with BagReader(tmp_path / name) as mine, BagReader(shared_data / "bags" / name) as given:
        assert mine.topics() == given.topics()
        assert list(mine.messages()) == list(given.messages())
