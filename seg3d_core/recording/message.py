"""A message on its way into a recording."""

from __future__ import annotations

from dataclasses import dataclass

from seg3d_core.recording.topics import RecordedTopic

OVERHEAD_BYTES = 200
"""What a message costs in memory beside its bytes."""


@dataclass(frozen=True)
class RecordedMessage:
    """A message as it was received.

    Attributes:
        topic: its topic.
        log_ns: when it was received, ns of the recorder's clock.
        publish_ns: when it was published, ns; as ``log_ns`` where that is not known.
        data: CDR bytes with their encapsulation header.
    """

    topic: RecordedTopic
    log_ns: int
    publish_ns: int
    data: bytes

    @property
    def cost_bytes(self) -> int:
        """Memory that it takes."""
        return len(self.data) + OVERHEAD_BYTES
