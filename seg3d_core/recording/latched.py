"""The last messages of latched topics, which every file and every snapshot must hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from seg3d_core.recording.message import RecordedMessage

TF_TYPE = "tf2_msgs/msg/TFMessage"
MAX_TRANSFORM_MESSAGES = 200
"""Every broadcaster of static transforms latches its own; so many different messages of a topic are kept."""


class LatchedMemory:
    """The newest message of each latched topic; of transforms all different ones, because several nodes send them."""

    def __init__(self) -> None:
        self._messages: dict[str, dict[bytes, RecordedMessage]] = {}

    def see(self, message: RecordedMessage) -> None:
        """Keep a message if its topic is latched."""
        if not message.topic.is_latched:
            return
        kept = self._messages.setdefault(message.topic.name, {})
        key = message.data if message.topic.type_name == TF_TYPE else b""
        kept.pop(key, None)
        kept[key] = message
        while len(kept) > MAX_TRANSFORM_MESSAGES:
            del kept[next(iter(kept))]

    def __iter__(self) -> Iterator[RecordedMessage]:
        for kept in self._messages.values():
            yield from kept.values()

    def at(self, log_ns: int) -> list[RecordedMessage]:
        """All of them as if they had been received at ``log_ns``: what a file begins with."""
        return [replace(message, log_ns=log_ns) for message in self]
