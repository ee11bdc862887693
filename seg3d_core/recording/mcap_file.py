"""One MCAP file that is being written. What is in a closed chunk survives whatever happens to the process."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from seg3d_core.errors import InputError
from seg3d_core.recording import mcap_records as mcap
from seg3d_core.recording.mcap_index import (
    DIGEST_KEY,
    QOS_KEY,
    McapIndex,
    Placed,
    chunk_entry,
    message_indexes,
    span_ns,
)
from seg3d_core.recording.topics import RecordedTopic


class McapFile:
    """A new file. Messages collect in a chunk until ``end_chunk``; then they are the operating system's.

    Args:
        path: of the file; must not exist.
        compression: of chunks: "none", "lz4" or "zstd".

    Raises:
        InputError: the file is there already, or cannot be made.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self.path = path
        self.index = McapIndex()
        self._compression = compression
        self._ids: dict[str, int] = {}
        self._types: dict[str, int] = {}
        self._chunk = bytearray()
        self._placed: Placed = {}
        self._announced: list[tuple[int, bytes]] = []
        """Records of the open chunk that say what its messages are."""
        self._sequence = 0
        try:
            # Unbuffered: what was written must not die with the process.
            self._file: BinaryIO = path.open("xb", buffering=0)
            self._end = 0
            self._append(mcap.HEADER_BYTES)
        except OSError as error:
            raise InputError(f"cannot record to {path}: {error.strerror or error}") from error

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._end

    @property
    def open_bytes(self) -> int:
        """Bytes in the chunk that is not closed yet."""
        return len(self._chunk)

    @property
    def waiting(self) -> int:
        """Messages in the open chunk."""
        return sum(map(len, self._placed.values()))

    def write(self, topic: RecordedTopic, log_ns: int, publish_ns: int, data: bytes) -> None:
        """Add a message to the open chunk: time of recording and of publication (ns), CDR bytes."""
        channel = self._ids[topic.name] if topic.name in self._ids else self._announce(topic)
        self._placed.setdefault(channel, []).append((log_ns, len(self._chunk)))
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        head = mcap.MESSAGE_HEAD.pack(channel, self._sequence, log_ns, publish_ns)
        self._chunk += mcap.HEAD.pack(mcap.MESSAGE, len(head) + len(data))
        self._chunk += head
        self._chunk += data

    def end_chunk(self) -> None:
        """Hand the open chunk to the operating system. Does nothing when it is empty.

        Raises:
            OSError: the disk is full or gone; the chunk is lost, and the file is as it was before it.
        """
        if not self._chunk:
            return
        content, placed, announced = bytes(self._chunk), self._placed, self._announced
        self.abandon_chunk()
        data, chunk = mcap.chunk_record(content, *span_ns(placed), self._compression)
        indexes, places = message_indexes(self._end + len(data), placed)
        entry = chunk_entry((self._end, len(data)), chunk, placed, places, len(indexes))
        self._append(data + indexes)
        for opcode, body in announced:
            self.index.learn(opcode, body)
        for channel, messages in placed.items():
            for log_ns, _ in messages:
                self.index.add_message(channel, log_ns)
        self.index.add_chunk(entry)

    def close(self) -> None:
        """Write the open chunk and the index, close the file.

        Raises:
            OSError: the disk is full or gone; what is in closed chunks can be had back by repair.
        """
        try:
            self.end_chunk()
            self._append(self.index.tail(self._end))
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def abandon_chunk(self) -> None:
        """Forget the open chunk."""
        self._chunk, self._placed, self._announced = bytearray(), {}, []

    def _announce(self, topic: RecordedTopic) -> int:
        if topic.type_name not in self._types:
            schema = self._types[topic.type_name] = len(self._types) + 1
            words = mcap.text(topic.type_name) + mcap.text("ros2msg") + mcap.text(topic.definition)
            self._tell(mcap.SCHEMA, struct.pack("<H", schema) + words)
        channel = self._ids[topic.name] = len(self._ids) + 1
        head = struct.pack("<HH", channel, self._types[topic.type_name])
        said = mcap.mapping({QOS_KEY: topic.qos, DIGEST_KEY: topic.digest})
        self._tell(mcap.CHANNEL, head + mcap.text(topic.name) + mcap.text("cdr") + said)
        return channel

    def _tell(self, opcode: int, body: bytes) -> None:
        self._announced.append((opcode, body))
        self._chunk += mcap.record(opcode, body)

    def _append(self, data: bytes) -> None:
        """Write all of it or nothing."""
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            raise
        self._end += len(data)
