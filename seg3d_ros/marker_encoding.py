"""visualization_msgs/MarkerArray as the bytes that go over the wire, without a Python object per point.

``geometry_msgs/Point`` objects cost more than all the rest of a result's markers. A message is therefore written
as CDR (OMG DDS-XTYPES 1.3, 7.4.3, plain little-endian: every value at a multiple of its own size) straight from
arrays; rclpy publishes bytes as they are. The fields from ``header`` to ``points`` are the same in every ROS 2
distribution; those after them, which we leave empty but for ``text``, are copied from a message that rclpy has
serialised.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from rclpy.serialization import serialize_message
from visualization_msgs.msg import Marker

Triple = tuple[float, float, float]

_START_OF_REST = 156
"""Where the fields after ``points`` begin in a serialised marker without frame, name and points; counts the 4 bytes
that say how the message is encoded."""
_PROBE = "stands for any text"
"""Fills its last four bytes with the byte that ends it: 4n + 3 characters."""
_NO_POINTS = np.zeros((0, 3))


@dataclass(frozen=True, eq=False)
class MarkerShape:
    """What distinguishes one marker of an array from the others; every other field has its default.

    Attributes:
        ns, number: which marker; ``number`` is ``id``.
        action: ``Marker.ADD``, ``DELETE`` or ``DELETEALL``.
        shape: ``Marker.LINE_LIST``, ``POINTS`` ...; ``type``.
        position: of its pose, m; the orientation is none.
        scale: m, as the shape defines it.
        colour: red, green, blue, alpha, 0..1.
        points: (P, 3) m.
        text: of a label.
    """

    ns: str
    number: int
    action: int = Marker.ADD
    shape: int = Marker.ARROW
    position: Triple = (0.0, 0.0, 0.0)
    scale: Triple = (0.0, 0.0, 0.0)
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    points: Float[np.ndarray, "P 3"] = field(default_factory=lambda: _NO_POINTS)
    text: str = ""


def encode_markers(frame_id: str, stamp_ns: int, shapes: Iterable[MarkerShape]) -> bytes:
    """A serialised MarkerArray, all of it in one frame and of one time (ns)."""
    encoding, before_text, after_text = _rest()
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    header = struct.pack("<iI", seconds, nanoseconds) + _string(frame_id)
    parts = [b""]  # the number of markers
    size, count = 4, 0
    for count, shape in enumerate(shapes, start=1):  # noqa: B007  used after the loop
        name = header + _string(shape.ns) + struct.pack("<iii", shape.number, shape.shape, shape.action)
        name += bytes(-(size + len(name)) % 8)
        values = (*shape.position, 0.0, 0.0, 0.0, 1.0, *shape.scale, *shape.colour, len(shape.points))
        start = name + struct.pack("<10d4f12xI", *values)  # between: no lifetime, not locked to its frame
        size += len(start)
        if len(shape.points):
            start += bytes(-size % 8)
            points = np.ascontiguousarray(shape.points, "<f8").tobytes()
            size += -size % 8 + len(points)
            parts += [start, points]
        else:
            parts.append(start)
        rest = before_text + _string(shape.text) + after_text
        size += len(rest)
        parts.append(rest)
    parts[0] = encoding + struct.pack("<I", count)
    return b"".join(parts)


@lru_cache(maxsize=1024)  # names and frames come back with every marker
def _string(text: str) -> bytes:
    """A string from a multiple of 4 bytes to a multiple of 4 bytes."""
    data = text.encode() + b"\0"
    return struct.pack("<I", len(data)) + data + bytes(-len(data) % 4)


@lru_cache(maxsize=1)
def _rest() -> tuple[bytes, bytes, bytes]:
    """How messages say their encoding, and the fields after ``points``: those before ``text`` and those after it."""
    probe = serialize_message(Marker(text=_PROBE))
    before, found, after = probe[_START_OF_REST:].partition(_string(_PROBE))
    assert found, "visualization_msgs/Marker is not as it is in any known distribution"
    return probe[:4], before, after + bytes(-len(after) % 4)
