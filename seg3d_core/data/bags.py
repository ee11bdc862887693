"""rosbag2 recordings without ROS: messages pass as the CDR bytes that they are on the wire (library: rosbags).

Read: folders with metadata.yaml, and single .mcap and .db3 files. Written: MCAP, which RViz (``ros2 bag play``) and
Foxglove replay.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import apsw
from rosbags.interfaces import Connection, MessageDefinitionFormat, QosDurability
from rosbags.rosbag2 import Reader, ReaderError

from seg3d_core.data.bag_writer import BagWriter
from seg3d_core.errors import InputError

__all__ = ["BagMessage", "BagReader", "BagTopic", "BagWriter", "read_bag"]

_DAMAGE = (
    ReaderError, OSError, ValueError, LookupError, ArithmeticError, AssertionError, MemoryError, struct.error,
    apsw.Error,
)  # fmt: skip
"""What the library stumbles over in files with flipped bytes; it checks little by itself."""


@dataclass(frozen=True)
class BagTopic:
    """A recorded topic.

    Attributes:
        name: with leading slash.
        type_name: for example "sensor_msgs/msg/PointCloud2".
        count: messages recorded.
        is_latched: offered transient local, so that a player must offer it likewise.
        definition: text of its type and of those that it refers to, where it was recorded; else empty.
    """

    name: str
    type_name: str
    count: int
    is_latched: bool
    definition: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class BagMessage:
    """A recorded message.

    Attributes:
        topic: its topic.
        type_name: for example "sensor_msgs/msg/PointCloud2".
        stamp_ns: time of recording, ns; headers inside ``data`` have their own.
        data: CDR bytes with their encapsulation header, as rclpy publishes and ``raw=True`` subscriptions receive.
    """

    topic: str
    type_name: str
    stamp_ns: int
    data: bytes


class BagReader:
    """An open recording; a context manager.

    Raises:
        InputError: nothing there, not a recording, or damaged; on opening or while reading.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            self._reader = Reader(self._path)
            self._reader.open()
        except FileNotFoundError as error:
            raise InputError(f"{path}: {_missing(self._path)}") from error
        except _DAMAGE as error:
            raise InputError(f"{path}: not a readable rosbag2 recording: {error}") from error

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        if self._reader.is_open:
            self._reader.close()

    def topics(self) -> list[BagTopic]:
        """All recorded topics, by name."""
        found = [
            BagTopic(
                connection.topic,
                connection.msgtype,
                connection.msgcount,
                _is_latched(connection),
                connection.msgdef.data if connection.msgdef.format == MessageDefinitionFormat.MSG else "",
            )
            for connection in self._reader.connections
        ]
        return sorted(found, key=lambda topic: topic.name)

    def messages(
        self, topics: Collection[str] = (), start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Messages in the order of recording: of the given topics (none given: all), from start to before stop.

        Raises:
            InputError: a topic was not recorded, or the file is damaged.
        """
        known = {connection.topic for connection in self._reader.connections}
        missing = [topic for topic in topics if topic not in known]
        if missing:
            raise InputError(f"{self._path} has no topic {missing[0]}; it has {', '.join(sorted(known))}")
        chosen = [connection for connection in self._reader.connections if not topics or connection.topic in topics]
        try:
            for connection, stamp_ns, data in self._reader.messages(chosen, start_ns, stop_ns):
                yield BagMessage(connection.topic, connection.msgtype, stamp_ns, bytes(data))
        except _DAMAGE as error:
            raise InputError(f"{self._path}: damaged: {error}") from error


def read_bag(path: str | Path, topics: Collection[str] = ()) -> Iterator[BagMessage]:
    """All messages of a recording, or those of some topics, in the order of recording.

    Raises:
        InputError: as ``BagReader``.
    """
    with BagReader(path) as reader:
        yield from reader.messages(topics)


def _is_latched(connection: Connection) -> bool:
    offered = getattr(connection.ext, "offered_qos_profiles", [])
    return any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in offered)


def _missing(path: Path) -> str:
    if not path.exists():
        return "No such file or directory"
    storages = sorted(file.name for file in path.glob("*") if file.suffix in (".mcap", ".db3"))
    if storages:
        return f"the folder has no metadata.yaml; make it readable with: seg3d bags repair {path}"
    return "not a rosbag2 recording: the folder has neither metadata.yaml nor .mcap or .db3 files"
