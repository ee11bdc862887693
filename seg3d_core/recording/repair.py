"""Making a recording readable again whose recorder was killed: the index of its files anew, and metadata.yaml."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Literal

from seg3d_core.errors import InputError
from seg3d_core.recording.bag_metadata import METADATA, FileFacts, TopicCount, write_metadata
from seg3d_core.recording.repair_file import RepairedFile, Report, repair_file


def repair_bag(path: Path, report: Report = lambda done, total: None) -> list[RepairedFile]:
    """Repair a recording in place: a folder with or without metadata.yaml, or a single .mcap file.

    Everything up to the last closed chunk is readable afterwards. What is whole stays as it is. It may be done again.

    Args:
        path: of the recording.
        report: told the bytes that were read, of how many.

    Raises:
        InputError: nothing to repair there, damaged in another way than by being cut off, or not writable.
    """
    if path.is_file():
        if path.suffix != ".mcap":
            raise InputError(f"{path} is no .mcap file; a recording in .db3 files is repaired as a folder")
        return [repair_file(path, report)[0]]
    files = _files(path)
    storage: Literal["mcap", "sqlite3"] = "mcap" if files[0].suffix == ".mcap" else "sqlite3"
    results, facts = [], []
    for file in files:
        if storage == "mcap":
            result, fact = repair_file(file, report)
        else:
            fact = _database(file)
            result = RepairedFile(file.name, fact.count, was_whole=True)
        results.append(result)
        facts.append(fact)
    if not (path / METADATA).is_file() or not all(result.was_whole for result in results):
        write_metadata(path, storage, facts, {})
    return results


def _files(folder: Path) -> list[Path]:
    """The files of a recording in the order in which they were written."""
    if not folder.is_dir():
        raise InputError(f"{folder}: No such file or directory")
    for suffix in (".mcap", ".db3"):
        if files := list(folder.glob(f"*{suffix}")):
            return sorted(files, key=_numbered)
    raise InputError(f"{folder} holds no .mcap and no .db3 file: there is nothing to repair")


def _numbered(path: Path) -> tuple[str, int]:
    """bag_10.mcap comes after bag_9.mcap."""
    found = re.fullmatch(r"(.*?)(\d*)", path.stem)
    assert found is not None
    return found[1], int(found[2] or 0)


def _database(path: Path) -> FileFacts:
    """What a file of SQLite holds; SQLite brings it in order by itself when it is opened."""
    counts = "SELECT topic_id, COUNT(*), MIN(timestamp), MAX(timestamp) FROM messages GROUP BY topic_id"
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            topics = database.execute("SELECT id, name, type, offered_qos_profiles FROM topics").fetchall()
            found = {number: rest for number, *rest in database.execute(counts)}
    except sqlite3.Error as error:
        raise InputError(f"{path}: not a readable rosbag2 recording: {error}") from error
    return FileFacts(
        path.name,
        tuple(TopicCount(name, kind, qos or "", "", found.get(number, [0])[0]) for number, name, kind, qos in topics),
        min((start for _, start, _ in found.values()), default=None),
        max((end for _, _, end in found.values()), default=None),
    )
