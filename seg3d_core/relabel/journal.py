"""The journal of a relabelling: one line for each action, with what it did to the labels.

What the model answered is in the changes, so that going on needs no model, and another one changes nothing of the past.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from seg3d_core.data.json_lines import JsonLines
from seg3d_core.errors import InputError
from seg3d_core.relabel.actions import Action, action_from_json, action_to_json
from seg3d_core.relabel.labelling import Change, InstanceRecord
from seg3d_core.relabel.packing import ids_from_json, ids_to_json, rows_from_json, rows_to_json

FORMAT, READABLE = 2, (1, 2)
"""What is written, and what is read: journals of format 1 had rows and ids in 32 bits, whatever they were."""

_RECORD = TypeAdapter(InstanceRecord)


@dataclass(frozen=True)
class ScriptStep:
    """Where in a script an action was asked for.

    Attributes:
        script: digest of the script for this scene.
        index: of the step, from 0.
    """

    script: str
    index: int


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the journal.

    Attributes:
        action: that was done.
        change: of the labels; None where they stay as they are, and for undo.
        step: where it was asked for; None: by a person.
    """

    action: Action
    change: Change | None = None
    step: ScriptStep | None = None


class RelabelJournal:
    """The file, which one process at a time holds; ``entries`` go through what it had when it was opened.

    Args:
        path: of the file; it is made where it is missing.
        identity: which points, and how it was begun.

    Raises:
        InputError: another process holds it, it is damaged, cannot be written, or was begun with another identity.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self._remedy = f"delete {path.parent} to begin anew from the labels as they are"
        self._file = JsonLines(path, "is being used", self._remedy)
        try:
            self.identity = self._begin({"format": FORMAT, **identity})
        except InputError:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self._file.lines) - 1

    def entries(self) -> Iterator[Entry]:
        """Everything that had been done, in order.

        Raises:
            InputError: a line cannot be understood.
        """
        for number, line in enumerate(self._file.lines[1:], 2):
            try:
                yield _entry(line)
            except (InputError, ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
                raise InputError(f"{self._file.path}, line {number} is damaged ({error}): {self._remedy}") from error

    def add(self, entry: Entry) -> None:
        """One more; on the disk when this returns.

        Raises:
            InputError: the disk is full or gone; the file is as it was.
        """
        line: dict[str, Any] = {"action": action_to_json(entry.action), "at": round(time.time(), 3)}
        if entry.change is not None:
            line["change"] = _change_to_json(entry.change)
        if entry.step is not None:
            line["step"] = asdict(entry.step)
        self._file.append(line)

    def close(self) -> None:
        """Let other processes have it; a second call does nothing."""
        self._file.close()

    def _begin(self, identity: dict[str, Any]) -> dict[str, Any]:
        """The first line: as it is there, or written now."""
        if not self._file.lines:
            self._file.append(identity)
            self._file.lines.append(identity)
        found: Any = self._file.lines[0]
        if not isinstance(found, dict) or found.get("format") not in READABLE:
            raise InputError(f"{self._file.path} is of another format than {FORMAT}: {self._remedy}")
        for name, what in (("points_sha256", "points of the scene"), ("start", "start")):
            if found.get(name) != identity[name]:
                raise InputError(
                    f"{self._file.path} was begun with other {what} ({found.get(name)}, now {identity[name]}): "
                    f"{self._remedy}, or use those again"
                )
        return found


def _entry(line: dict[str, Any]) -> Entry:
    change, step = line.get("change"), line.get("step")
    return Entry(
        action_from_json(line["action"]),
        None if change is None else _change_from_json(change),
        None if step is None else ScriptStep(step["script"], step["index"]),
    )


def _change_to_json(change: Change) -> dict[str, Any]:
    return {
        "rows": rows_to_json(change.rows),
        "ids": ids_to_json(change.ids),
        "records": {
            number: None if record is None else asdict(record) for number, record in sorted(change.records.items())
        },
        "next_id": change.next_id,
    }


def _change_from_json(values: dict[str, Any]) -> Change:
    try:
        records = {
            int(number): None if record is None else _RECORD.validate_python(record)
            for number, record in values["records"].items()
        }
    except ValidationError as error:
        raise InputError(str(error.errors()[0]["msg"])) from error
    rows = rows_from_json(values["rows"])
    return Change(rows, ids_from_json(values["ids"], len(rows)), records, int(values["next_id"]))
