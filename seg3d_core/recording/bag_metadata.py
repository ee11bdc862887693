"""The metadata.yaml of a rosbag2 folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from seg3d_core.data.atomic import atomic_path

METADATA = "metadata.yaml"
_NOTHING_NS = 2**63 - 1
"""Start of a recording without messages, as rosbag2 writes it."""


@dataclass(frozen=True)
class TopicCount:
    """Messages of a topic in one file.

    Attributes:
        qos: ``offered_qos_profiles`` as text.
        digest: RIHS01 hash of the type; empty where it is not known.
    """

    name: str
    type_name: str
    qos: str
    digest: str
    count: int


@dataclass(frozen=True)
class FileFacts:
    """What the metadata says of one file.

    Attributes:
        start_ns, end_ns: earliest and latest time of recording; None where there is no message.
    """

    name: str
    topics: tuple[TopicCount, ...]
    start_ns: int | None
    end_ns: int | None

    @property
    def count(self) -> int:
        """Messages in the file."""
        return sum(topic.count for topic in self.topics)


def write_metadata(
    folder: Path, storage: Literal["mcap", "sqlite3"], files: Sequence[FileFacts], custom: Mapping[str, str]
) -> None:
    """Write metadata.yaml of ``files``, in their order, completely or not at all.

    Raises:
        InputError: the disk is full or gone.
    """
    # Version 8 is the newest that Humble's rosbag2 reads; QoS in words came with version 9.
    version = 9 if any("keep_last" in topic.qos for file in files for topic in file.topics) else 8
    start, duration = _span(files)
    information = {
        "version": version,
        "storage_identifier": storage,
        "relative_file_paths": [file.name for file in files],
        "duration": duration,
        "starting_time": start,
        "message_count": sum(file.count for file in files),
        "topics_with_message_count": [_topic(topic, version) for topic in _summed(files)],
        "compression_format": "",
        "compression_mode": "",
        "files": [_file(file) for file in files],
        "custom_data": dict(custom) or None,
        "ros_distro": "seg3d",
    }
    text = yaml.safe_dump({"rosbag2_bagfile_information": information}, sort_keys=False)
    with atomic_path(folder / METADATA) as path:
        path.write_text(text, encoding="utf-8")


def _summed(files: Sequence[FileFacts]) -> list[TopicCount]:
    topics: dict[tuple[str, str, str], TopicCount] = {}
    for file in files:
        for topic in file.topics:
            key = (topic.name, topic.type_name, topic.qos)
            before = topics[key].count if key in topics else 0
            topics[key] = TopicCount(*key, topic.digest, before + topic.count)
    return list(topics.values())


def _topic(topic: TopicCount, version: int) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type_name,
            "serialization_format": "cdr",
            "offered_qos_profiles": yaml.safe_load(topic.qos) or [] if version >= 9 else topic.qos,
            "type_description_hash": topic.digest,
        },
        "message_count": topic.count,
    }


def _file(file: FileFacts) -> dict[str, Any]:
    start, duration = _span([file])
    return {"path": file.name, "starting_time": start, "duration": duration, "message_count": file.count}


def _span(files: Sequence[FileFacts]) -> tuple[dict[str, int], dict[str, int]]:
    starts = [file.start_ns for file in files if file.start_ns is not None]
    ends = [file.end_ns for file in files if file.end_ns is not None]
    if not starts or not ends:
        return {"nanoseconds_since_epoch": _NOTHING_NS}, {"nanoseconds": 0}
    return {"nanoseconds_since_epoch": min(starts)}, {"nanoseconds": max(ends) - min(starts)}
