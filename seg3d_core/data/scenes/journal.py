"""What an unfinished scene has done so far: one line of JSON for each frame, appended when the frame is on the disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg3d_core.data.json_lines import JsonLines
from seg3d_core.errors import InputError

JOURNAL = "unfinished.jsonl"
_ANEW = "delete the folder to begin anew"


@dataclass(frozen=True)
class Entry:
    """A frame of the recording that is done with.

    Attributes:
        frame: its name there.
        index: its number in the scene; None if it was skipped.
        stamp_ns: its time.
        reason: why it was skipped.
    """

    frame: str
    index: int | None
    stamp_ns: int = 0
    reason: str = ""


class Journal:
    """An append-only file that one process at a time holds.

    Raises:
        InputError: another process holds it, it was begun with another identity, is damaged, or cannot be written.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self._file = JsonLines(path, "is being written", _ANEW)
        try:
            self._begin(json.loads(json.dumps(identity)))
        except InputError:
            self._file.close()
            raise

    def add(self, frame: str, index: int, stamp_ns: int) -> None:
        """A frame is complete on the disk."""
        self._file.append({"frame": frame, "index": index, "stamp_ns": stamp_ns})
        self.entries.append(Entry(frame, index, stamp_ns))

    def skip(self, frame: str, reason: str) -> None:
        """A frame is left out."""
        self._file.append({"frame": frame, "reason": reason})
        self.entries.append(Entry(frame, None, reason=reason))

    def close(self) -> None:
        """Let it go; a second call does nothing."""
        self._file.close()

    def remove(self) -> None:
        """The scene is finished."""
        self._file.remove()

    def _begin(self, identity: dict[str, Any]) -> None:
        if not self._file.lines:
            self._file.append({"identity": identity})
            return
        try:
            first, *rest = self._file.lines
            begun = first["identity"]
            self.entries = [Entry(**line) if "index" in line else Entry(index=None, **line) for line in rest]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.path} is damaged ({error}): {_ANEW}") from error
        if begun != identity:
            raise InputError(
                f"{self.path.parent} was begun with other settings ({_difference(begun, identity)}): delete it, or use "
                "those again"
            )


def _difference(begun: Any, identity: dict[str, Any], prefix: str = "") -> str:
    """The first setting that differs, in words."""
    if not isinstance(begun, dict):
        return f"{prefix or 'identity'}: {begun!r}, now {identity!r}"
    for key in {**begun, **identity}:
        before, now = begun.get(key), identity.get(key)
        if before != now and isinstance(now, dict):
            return _difference(before, now, f"{prefix}{key}.")
        if before != now:
            return f"{prefix}{key}: {before!r}, now {now!r}"
    return "nothing"
