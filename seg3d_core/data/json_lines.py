"""Append-only files of JSON, one line for each thing that was done: what a kill or a full disk leaves can be read."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from seg3d_core.errors import InputError


class JsonLines:
    """A file that one process at a time holds; ``lines`` is what it had when it was opened.

    A line that a kill or a full disk cut off is taken away, and a line that cannot be written leaves no trace.

    Args:
        path: of the file; it is made where it is missing.
        held: what another process does that holds it, for its message: "is being written".
        remedy: what a person can do where it is damaged, for the message.

    Raises:
        InputError: another process holds it, it is damaged, or cannot be written.
    """

    def __init__(self, path: Path, held: str, remedy: str) -> None:
        self.path, self._remedy = path, remedy
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            self._lock(held)
            self.lines = self._read()
        except InputError:
            self._file.close()
            raise

    def append(self, line: dict[str, Any]) -> None:
        """One more line; on the disk when this returns.

        Raises:
            InputError: the disk is full or gone; the file is as it was.
        """
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        size = os.fstat(self._file.fileno()).st_size
        try:
            _write(self._file.fileno(), data)
            os.fsync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), size)
            raise InputError(f"cannot write {self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Let it go; a second call does nothing."""
        self._file.close()

    def remove(self) -> None:
        """Delete the file, and let it go."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _lock(self, held: str) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{self.path.parent} {held} by another process") from error
        except OSError as error:
            raise InputError(f"cannot lock {self.path}: {error.strerror or error}") from error

    def _read(self) -> list[Any]:
        self._file.seek(0)
        data = self._file.readall()
        # A line without its end is one that was cut off.
        whole = data[: data.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise InputError(f"{self.path} is damaged ({error}): {self._remedy}") from error


def _write(file: int, data: bytes) -> None:
    """All of it: the system may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
