"""A rosbag2 folder that is being recorded: one file after the other, each of which can be used by itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from seg3d_core.errors import InputError
from seg3d_core.recording.bag_metadata import FileFacts, write_metadata
from seg3d_core.recording.latched import LatchedMemory
from seg3d_core.recording.mcap_file import McapFile
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.settings import FileConfig


class BagFolder:
    """A new recording (MCAP). Not locked: it belongs to one thread.

    A file ends when it is large or long enough; the next one begins with the last messages of all latched topics, with
    the time at which it begins. metadata.yaml is written at the end: a folder without one needs ``repair``.

    Args:
        path: folder to make.
        config: how it lies on the disk.
        custom: names and values for ``custom_data`` of metadata.yaml.

    Raises:
        InputError: it exists, cannot be made, or the disk is too full to begin.
    """

    def __init__(self, path: Path, config: FileConfig, custom: Mapping[str, str]) -> None:
        self.path = path
        self.custom = dict(custom)
        self.messages = 0
        """Recorded so far, repeated ones included; may be read by any thread."""
        self.lost = 0
        """Messages that were written in vain: the disk was full before their chunk was closed."""
        self._config = config
        self._latched = LatchedMemory()
        self._done: list[FileFacts] = []
        self._closed = False
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            raise InputError(f"cannot record to {path}: it exists already") from error
        except OSError as error:
            raise InputError(f"cannot record to {path}: {error.strerror or error}") from error
        self._check_room()
        self._start_ns: int | None = None
        self._chunk_began = 0.0
        self._file = self._next_file()

    @property
    def size_bytes(self) -> int:
        """Bytes on the disk in the file that is being written."""
        return self._file.size

    def write(self, message: RecordedMessage) -> None:
        """Record a message.

        Raises:
            InputError: the disk is full or gone. The recording must be closed; all chunks closed before are kept.
        """
        if self._file_is_full(message.log_ns):
            self._end_chunk()
            self._end_file()
            self._file = self._next_file()
            for old in self._latched.at(message.log_ns):
                self._add(old)
        self._latched.see(message)
        self._add(message)
        self.tick()

    def tick(self) -> None:
        """Close the chunk if it is large or old enough; to be called from time to time also when nothing comes.

        Raises:
            InputError: as ``write``.
        """
        limit_bytes, limit_s = self._config.chunk_kib * 1024, self._config.chunk_period_s
        if self._file.open_bytes >= limit_bytes or time.monotonic() - self._chunk_began >= limit_s:
            self._end_chunk()

    def close(self) -> None:
        """End the file and write metadata.yaml. A second call does nothing.

        Raises:
            InputError: the disk is full or gone; ``repair`` gets back what was written.
        """
        if self._closed:
            return
        self._closed = True
        failure: InputError | None = None
        try:
            self._end_chunk()
        except InputError as error:  # what came before it is ended properly all the same
            failure = error
        self._end_file()
        write_metadata(self.path, "mcap", self._done, self.custom)
        if failure is not None:
            raise failure

    def _add(self, message: RecordedMessage) -> None:
        if self._start_ns is None:
            self._start_ns = message.log_ns
        if not self._file.open_bytes:
            self._chunk_began = time.monotonic()
        self.messages += 1
        self._file.write(message.topic, message.log_ns, message.publish_ns, message.data)

    def _file_is_full(self, now_ns: int) -> bool:
        size = self._file.size + self._file.open_bytes
        spanned_ns = now_ns - self._start_ns if self._start_ns is not None else 0
        return size >= self._config.max_file_mb * 1_000_000 or spanned_ns >= self._config.max_file_s * 1e9

    def _next_file(self) -> McapFile:
        self._start_ns = None
        self._chunk_began = time.monotonic()
        return McapFile(self.path / f"{self.path.name}_{len(self._done)}.mcap", self._config.compression)

    def _end_chunk(self) -> None:
        self._chunk_began = time.monotonic()
        if not self._file.open_bytes:
            return
        waiting = self._file.waiting
        try:
            self._check_room()
            self._file.end_chunk()
        except InputError:
            self._file.abandon_chunk()
            self._lose(waiting)
            raise
        except OSError as error:
            self._lose(waiting)
            raise InputError(f"cannot record to {self.path}: {error.strerror or error}") from error

    def _lose(self, count: int) -> None:
        self.lost += count
        self.messages -= count

    def _end_file(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise InputError(f"cannot finish {self._file.path}: {error.strerror or error}") from error
        self._done.append(self._file.index.facts(self._file.path.name))

    def _check_room(self) -> None:
        free_mb = shutil.disk_usage(self.path).free / 1e6
        if free_mb < self._config.min_free_mb:
            raise InputError(
                f"{self.path}: the disk has {free_mb:.0f} MB left, recording stops at {self._config.min_free_mb} MB"
            )
