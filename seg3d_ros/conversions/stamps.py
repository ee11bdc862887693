"""Message stamps and headers. The core counts time in integer nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from seg3d_core.errors import InputError

NS_PER_S = 1_000_000_000
_SECONDS = range(-(2**31), 2**31)


def stamp_ns(time: Time) -> int:
    """Nanoseconds of a message stamp."""
    return int(time.sec) * NS_PER_S + int(time.nanosec)


def time_msg(stamp_ns: int) -> Time:
    """The message of a stamp in nanoseconds.

    Raises:
        InputError: the seconds do not fit the message's 32 bits.
    """
    seconds, nanoseconds = divmod(stamp_ns, NS_PER_S)
    if seconds not in _SECONDS:
        raise InputError(f"stamp is {seconds} s, a ROS time holds {_SECONDS.start} to {_SECONDS.stop - 1} s")
    return Time(sec=seconds, nanosec=nanoseconds)


def header(frame_id: str, stamp_ns: int) -> Header:
    """A message header.

    Raises:
        InputError: see ``time_msg``.
    """
    return Header(stamp=time_msg(stamp_ns), frame_id=frame_id)
