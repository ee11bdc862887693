"""What the end of an MCAP file says about the rest: made while writing, and made anew by repair."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from seg3d_core.errors import InputError
from seg3d_core.recording import mcap_records as mcap
from seg3d_core.recording.bag_metadata import FileFacts, TopicCount
from seg3d_core.recording.mcap_records import Chunk

QOS_KEY, DIGEST_KEY = "offered_qos_profiles", "topic_type_hash"
"""What rosbag2 writes beside a channel."""

Placed = dict[int, list[tuple[int, int]]]
"""Time of recording (ns) and offset of each message of a chunk, by channel."""


@dataclass(frozen=True)
class Channel:
    """A topic of one file.

    Attributes:
        topic: name with leading slash.
        type_name: for example "sensor_msgs/msg/Image".
        qos: ``offered_qos_profiles`` as YAML text, as rosbag2 writes it.
        digest: RIHS01 hash of the type; empty where it was not written.
        body: of its record.
    """

    topic: str
    type_name: str
    qos: str
    digest: str
    body: bytes


@dataclass
class McapIndex:
    """Schemas, channels, chunks and counts of one file.

    Attributes:
        schemas: body of each schema's record by id, with the type's name.
        counts: messages of each channel.
        start_ns, end_ns: earliest and latest time of recording; None while there is no message.
    """

    schemas: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    start_ns: int | None = None
    end_ns: int | None = None
    _chunks: list[bytes] = field(default_factory=list)

    def learn(self, opcode: int, body: bytes) -> None:
        """Learn from a record of any kind; schemas, channels, messages and statistics say something.

        Raises:
            InputError: damaged.
        """
        try:
            if opcode == mcap.SCHEMA:
                self._add_schema(body)
            elif opcode == mcap.CHANNEL:
                self._add_channel(body)
            elif opcode == mcap.MESSAGE:
                channel, _, log_ns, _ = mcap.MESSAGE_HEAD.unpack_from(body)
                self.add_message(channel, log_ns)
            elif opcode == mcap.STATISTICS:
                self._add_statistics(body)
        except (struct.error, UnicodeDecodeError) as error:
            raise InputError(f"record is damaged: {error}") from error

    def add_message(self, channel: int, log_ns: int) -> None:
        """Count a message."""
        self.counts[channel] += 1
        self.start_ns = log_ns if self.start_ns is None else min(log_ns, self.start_ns)
        self.end_ns = log_ns if self.end_ns is None else max(log_ns, self.end_ns)

    def add_chunk(self, entry: bytes) -> None:
        """Enter a chunk, as ``chunk_entry`` describes it."""
        self._chunks.append(entry)

    def facts(self, name: str) -> FileFacts:
        """What the metadata of a recording says of this file."""
        topics = tuple(
            TopicCount(channel.topic, channel.type_name, channel.qos, channel.digest, self.counts[number])
            for number, channel in self.channels.items()
        )
        return FileFacts(name, topics, self.start_ns, self.end_ns)

    def tail(self, offset: int) -> bytes:
        """Everything that follows the data of a file, which end at ``offset``."""
        groups = [
            (mcap.SCHEMA, [body for _, body in self.schemas.values()]),
            (mcap.CHANNEL, [channel.body for channel in self.channels.values()]),
            (mcap.CHUNK_INDEX, self._chunks),
            (mcap.STATISTICS, [self._statistics()]),
        ]
        tail = mcap.record(mcap.DATA_END, bytes(4))
        summary_start = offset + len(tail)
        offsets = b""
        for opcode, bodies in groups:
            group = b"".join(mcap.record(opcode, body) for body in bodies)
            if group:
                where = struct.pack("<BQQ", opcode, offset + len(tail), len(group))
                offsets += mcap.record(mcap.SUMMARY_OFFSET, where)
            tail += group
        footer = struct.pack("<QQI", summary_start, offset + len(tail), 0)
        return tail + offsets + mcap.record(mcap.FOOTER, footer) + mcap.MAGIC

    def _add_schema(self, body: bytes) -> None:
        (number,) = struct.unpack_from("<H", body)
        self.schemas[number] = (mcap.read_text(body, 2)[0], body)

    def _add_channel(self, body: bytes) -> None:
        number, schema = struct.unpack_from("<HH", body)
        topic, at = mcap.read_text(body, 4)
        _, at = mcap.read_text(body, at)
        said = mcap.read_mapping(body, at)
        type_name = self.schemas.get(schema, ("", b""))[0]
        self.channels[number] = Channel(topic, type_name, said.get(QOS_KEY, ""), said.get(DIGEST_KEY, ""), body)

    def _add_statistics(self, body: bytes) -> None:
        start_ns, end_ns, length = struct.unpack_from("<QQI", body, 26)
        self.counts.update(dict(struct.iter_unpack("<HQ", body[46 : 46 + length])))
        if self.counts.total():
            self.start_ns, self.end_ns = start_ns, end_ns

    def _statistics(self) -> bytes:
        counts = b"".join(struct.pack("<HQ", channel, self.counts[channel]) for channel in sorted(self.channels))
        return (
            struct.pack(
                "<QHIIIIQQI",
                sum(self.counts.values()),
                len(self.schemas),
                len(self.channels),
                0,  # attachments
                0,  # metadata
                len(self._chunks),
                self.start_ns or 0,
                self.end_ns or 0,
                len(counts),
            )
            + counts
        )


def message_indexes(at: int, placed: Placed) -> tuple[bytes, dict[int, int]]:
    """The message indexes of a chunk, to stand at offset ``at``, and the offset of each by channel."""
    indexes, places = b"", {}
    for channel, messages in placed.items():
        places[channel] = at + len(indexes)
        entries = b"".join(struct.pack("<QQ", *message) for message in messages)
        indexes += mcap.record(mcap.MESSAGE_INDEX, struct.pack("<HI", channel, len(entries)) + entries)
    return indexes, places


def chunk_entry(span: tuple[int, int], chunk: Chunk, placed: Placed, places: Mapping[int, int], length: int) -> bytes:
    """What the index says of a chunk.

    Args:
        span: offset and length of its record.
        chunk: what it holds.
        placed: its messages.
        places: offset of the message index of each channel.
        length: of all its message indexes.
    """
    where = b"".join(struct.pack("<HQ", *place) for place in places.items())
    entry = struct.pack("<QQQQI", *span_ns(placed), *span, len(where)) + where
    entry += struct.pack("<Q", length) + mcap.text(chunk.compression)
    return entry + struct.pack("<QQ", chunk.stored_size, len(chunk.content))


def span_ns(placed: Placed) -> tuple[int, int]:
    """Earliest and latest time of recording; zeros where there is no message."""
    times = [log_ns for messages in placed.values() for log_ns, _ in messages] or [0]
    return min(times), max(times)
