"""Putting an end to an MCAP file whose writer was killed."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from seg3d_core.errors import InputError
from seg3d_core.recording import mcap_records as mcap
from seg3d_core.recording.bag_metadata import FileFacts
from seg3d_core.recording.mcap_index import McapIndex, Placed, chunk_entry, message_indexes

Report = Callable[[int, int], None]
"""Told the bytes that were read, of how many."""

_OPCODES = range(0x01, 0x10)
_DATA = (mcap.HEADER, mcap.SCHEMA, mcap.CHANNEL, mcap.MESSAGE, mcap.CHUNK, mcap.MESSAGE_INDEX, 0x09, mcap.METADATA)
"""What may stand before the end of the data; 0x09 is an attachment."""


@dataclass(frozen=True)
class RepairedFile:
    """What became of one file.

    Attributes:
        name: of the file.
        messages: that can be read now.
        was_whole: there was nothing to repair.
        cut_bytes: at the end, of a piece that was not written to its end.
        damaged_chunks: that are left out, because their content is not what was written.
    """

    name: str
    messages: int
    was_whole: bool
    cut_bytes: int = 0
    damaged_chunks: int = 0


def repair_file(path: Path, report: Report) -> tuple[RepairedFile, FileFacts]:
    """Write the index anew of a file that has none, in place; what the metadata says of it then.

    Raises:
        InputError: damaged in another way than by being cut off, or not writable.
    """
    try:
        with path.open("r+b") as file:
            if (facts := _summary(path, file)) is not None:
                return RepairedFile(path.name, facts.count, was_whole=True), facts
            return _Repair(path, file, report).run()
    except OSError as error:
        raise InputError(f"cannot repair {path}: {error.strerror or error}") from error


class _Repair:
    """One pass over a file that has no end."""

    def __init__(self, path: Path, file: BinaryIO, report: Report) -> None:
        self._path, self._file, self._report = path, file, report
        self._size = file.seek(0, os.SEEK_END)
        self._index = McapIndex()
        self._damaged = 0
        self._ended = False
        self._good = 0
        """Everything before this offset is whole."""
        self._tail = b""
        """Message indexes of the last chunk, where it was written and they were not."""

    def run(self) -> tuple[RepairedFile, FileFacts]:
        self._begin()
        while (found := mcap.read_record(self._file, self._size)) is not None:
            opcode, at, body = found
            if opcode not in _OPCODES:
                raise InputError(
                    f"{self._path} is damaged at byte {at} of {self._size}: {opcode:#04x} begins no record; "
                    "what comes after it cannot be told apart"
                )
            if opcode not in _DATA:
                self._ended = True  # the index was being written
                break
            if opcode == mcap.CHUNK:
                self._chunk(at, body)
            else:
                self._index.learn(opcode, body)
                self._good = self._file.tell()
            self._report(self._good, self._size)
        return self._finish()

    def _begin(self) -> None:
        self._file.seek(0)
        head = self._file.read(len(mcap.MAGIC))
        if not mcap.MAGIC.startswith(head):
            raise InputError(f"{self._path} is no MCAP file: it begins with {head!r}")
        found = mcap.read_record(self._file, self._size) if head == mcap.MAGIC else None
        if found is None:  # killed before the header was written
            self._good, self._tail = 0, mcap.HEADER_BYTES
            self._file.seek(self._size)
        elif found[0] != mcap.HEADER:
            raise InputError(f"{self._path} is damaged: record {found[0]:#04x} stands where the header should")
        else:
            self._good = self._file.tell()

    def _chunk(self, at: int, body: bytes) -> None:
        """Learn a chunk and the message indexes that follow it."""
        start = self._file.tell()
        places, all_there = self._message_indexes()
        try:
            chunk = mcap.read_chunk(body)
            placed = self._learn(chunk.content)
        except InputError:
            self._damaged += 1
            return
        span = (at, start - at)
        if places.keys() >= placed.keys():
            self._index.add_chunk(chunk_entry(span, chunk, placed, places, self._good - start))
        elif all_there:
            raise InputError(f"{self._path}: the chunk at byte {at} has no message indexes, that is not repaired here")
        else:
            self._good = start
            self._tail, places = message_indexes(start, placed)
            self._index.add_chunk(chunk_entry(span, chunk, placed, places, len(self._tail)))

    def _message_indexes(self) -> tuple[dict[int, int], bool]:
        """Offsets of those that come next, by channel, and whether something whole comes after them."""
        places: dict[int, int] = {}
        self._good = self._file.tell()
        while (found := mcap.read_record(self._file, self._size)) is not None:
            opcode, at, body = found
            if opcode != mcap.MESSAGE_INDEX:
                self._file.seek(at)
                return places, True
            places[struct.unpack_from("<H", body)[0]] = at
            self._good = self._file.tell()
        return places, False

    def _learn(self, content: bytes) -> Placed:
        placed: Placed = {}
        for opcode, at, body in list(mcap.records_in(content)):  # all or nothing is learned
            self._index.learn(opcode, body)
            if opcode == mcap.MESSAGE:
                channel, _, log_ns, _ = mcap.MESSAGE_HEAD.unpack_from(body)
                placed.setdefault(channel, []).append((log_ns, at))
        return placed

    def _finish(self) -> tuple[RepairedFile, FileFacts]:
        """Put an end to the file."""
        self._file.truncate(self._good)
        self._file.seek(self._good)
        self._file.write(self._tail + self._index.tail(self._good + len(self._tail)))
        self._file.flush()
        os.fsync(self._file.fileno())
        facts = self._index.facts(self._path.name)
        cut = 0 if self._ended else self._size - self._good
        return RepairedFile(self._path.name, facts.count, False, cut, self._damaged), facts


def _summary(path: Path, file: BinaryIO) -> FileFacts | None:
    """What the summary of a file that was closed properly says; None if it was not."""
    size = file.seek(0, os.SEEK_END)
    length = mcap.HEAD.size + 20 + len(mcap.MAGIC)
    file.seek(max(size - length, 0))
    end = file.read()
    if len(end) < length or not end.endswith(mcap.MAGIC) or mcap.HEAD.unpack_from(end) != (mcap.FOOTER, 20):
        return None
    (start,) = struct.unpack_from("<Q", end, mcap.HEAD.size)
    index = McapIndex()
    has_statistics = False
    file.seek(start or size)
    while (found := mcap.read_record(file, size - length)) is not None:
        index.learn(found[0], found[2])
        has_statistics |= found[0] == mcap.STATISTICS
    return index.facts(path.name) if has_statistics else None
