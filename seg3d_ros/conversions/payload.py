"""The bytes of a message, without copying them."""

from __future__ import annotations

from array import array
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped, UInt8, UInt32
from sensor_msgs.msg import Image, PointCloud2

Message = TypeVar("Message", Image, PointCloud2)


def read_bytes(data: array[int] | bytes | UInt8[np.ndarray, " B"]) -> UInt8[np.ndarray, " B"]:
    """A view of a message's ``uint8[]`` field; valid for as long as the message is."""
    # frombuffer refuses an empty buffer.
    return np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)


def write_bytes(values: Shaped[np.ndarray, "..."]) -> array[int]:
    """The content of an array for a message's ``uint8[]`` field.

    The setters take an ``array.array`` as it is; anything else is checked or converted byte by byte, which takes
    seconds for a cloud.
    """
    data = array("B")
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return data


def message_of(kind: type[Message], data: array[int], **fields: object) -> Message:
    """A message with these fields whose ``data`` is the given array itself.

    As an argument of the constructor it would be copied, and, by the distributions that leave checks to whoever wants
    them, once more by the setter, unless the message does check.
    """
    checked = {"check_fields": True} if "_check_fields" in kind.__slots__ else {}
    message = kind(**checked, **fields)
    message.data = data
    return message


def blank_words(count: int) -> tuple[array[int], UInt32[np.ndarray, " W"]]:
    """An array for a message's ``uint8[]`` field and a view of it to write its 32-bit words through."""
    data = array("B", [0]) * (4 * count)
    return data, read_bytes(data).view(np.uint32)
