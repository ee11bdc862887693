"""Which depth image belongs to which colour image, and whether time runs forward. Knows stamps, not messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seg3d_core.errors import InputError

QUEUE_LENGTH = 10
"""Images of one stream that wait for their partner, live: a third of a second at 30 Hz."""

BACKLOG_LENGTH = 300
"""The same with recorded data, where one stream may be read well ahead of the other."""


class StampOrder:
    """Judges the stamps of one stream of inputs.

    Args:
        jump_s: a step back of at least this much (s) is a new beginning (a bag that loops), a smaller one a mistake.
    """

    def __init__(self, jump_s: float) -> None:
        self._jump_s = jump_s
        self._newest_ns: int | None = None

    def jumped_back(self, stamp_ns: int) -> bool:
        """True if time starts afresh with this stamp. Equal stamps are in order.

        Raises:
            InputError: the stamp is older than its predecessor by less than ``jump_s``.
        """
        newest_ns = self._newest_ns
        back_s = 0.0 if newest_ns is None else (newest_ns - stamp_ns) * 1e-9
        if 0 < back_s < self._jump_s:
            raise InputError(
                f"stamp {stamp_ns * 1e-9:.3f} s is {back_s:.3f} s older than the input before it: out of order, "
                f"not used (a step back of {self._jump_s:g} s or more would start afresh)"
            )
        self._newest_ns = stamp_ns
        return back_s > 0

    def clear(self) -> None:
        """Forget the newest stamp: anything is in order next."""
        self._newest_ns = None


@dataclass(frozen=True)
class Pair:
    """One colour and one depth message that belong together; ``stamp_ns`` is the colour's."""

    stamp_ns: int
    rgb: Any
    depth: Any


class NewestPairs:
    """Live: a message is paired the moment its partner is there; what is older than a pair is given up.

    Args:
        slop_s: largest difference (s) of the stamps of a pair, normally half a frame period.
    """

    def __init__(self, slop_s: float) -> None:
        self._slop_ns = round(slop_s * 1e9)
        self._rgb: deque[tuple[int, Any]] = deque()
        self._depth: deque[tuple[int, Any]] = deque()
        self.unmatched = 0

    def add_rgb(self, stamp_ns: int, message: Any) -> list[Pair]:
        """The pair that this colour message completes, if any."""
        partner = self._add(self._rgb, self._depth, stamp_ns, message)
        return [] if partner is None else [Pair(stamp_ns, message, partner[1])]

    def add_depth(self, stamp_ns: int, message: Any) -> list[Pair]:
        """The pair that this depth message completes, if any."""
        partner = self._add(self._depth, self._rgb, stamp_ns, message)
        return [] if partner is None else [Pair(partner[0], partner[1], message)]

    def flush(self) -> list[Pair]:
        """Nothing: what has a partner is never kept waiting."""
        return []

    def _add(
        self, own: deque[tuple[int, Any]], other: deque[tuple[int, Any]], stamp_ns: int, message: Any
    ) -> tuple[int, Any] | None:
        own.append((stamp_ns, message))
        near = [entry for entry in other if abs(entry[0] - stamp_ns) <= self._slop_ns]
        if not near:
            self.unmatched += len(own) > QUEUE_LENGTH
            _bound(own)
            return None
        partner = min(near, key=lambda entry: abs(entry[0] - stamp_ns))
        # Both queues up to the pair go: the two messages themselves are not unmatched.
        self.unmatched += _drop_until(own, stamp_ns) + _drop_until(other, partner[0]) - 2
        return partner


class EveryPair:
    """Recorded data: the same pairs whatever the order in which the two streams arrive.

    Each colour message, in order, gets the nearest depth message that no earlier one has taken (the earlier of two
    equally near). That is known once a depth message at or after it has arrived; each stream itself must arrive in
    order. A step back of ``jump_s`` or more starts the stream afresh; a smaller one is refused.

    Args:
        slop_s: largest difference (s) of the stamps of a pair.
        jump_s: see ``StampOrder``.
        refuse: called with the reason for every message that is not used because it is out of order.
    """

    def __init__(self, slop_s: float, jump_s: float, refuse: Callable[[InputError], None]) -> None:
        self._slop_ns = round(slop_s * 1e9)
        self._refuse = refuse
        self._orders = {"rgb": StampOrder(jump_s), "depth": StampOrder(jump_s)}
        self._epochs = {"rgb": 0, "depth": 0}
        # Keys are (epoch, stamp): they increase along each stream, across jumps too.
        self._queues: dict[str, deque[tuple[tuple[int, int], Any]]] = {"rgb": deque(), "depth": deque()}
        self.unmatched = 0

    def add_rgb(self, stamp_ns: int, message: Any) -> list[Pair]:
        """The pairs that can be decided now, in order."""
        return self._add("rgb", stamp_ns, message)

    def add_depth(self, stamp_ns: int, message: Any) -> list[Pair]:
        """The pairs that can be decided now, in order."""
        return self._add("depth", stamp_ns, message)

    def flush(self) -> list[Pair]:
        """When nothing has come for a while: the pairs of what is there, although a nearer depth might still come.

        A recording whose depth is stamped before its colour would lose its last frame otherwise. Colour that has no
        depth within reach yet goes on waiting.
        """
        rgb, pairs = self._queues["rgb"], []
        while rgb and self._nearest(*rgb[0][0]) is not None:
            pairs += self._take_first()
        return pairs

    def _add(self, stream: str, stamp_ns: int, message: Any) -> list[Pair]:
        try:
            self._epochs[stream] += self._orders[stream].jumped_back(stamp_ns)
        except InputError as error:
            self._refuse(InputError(f"{stream} {error}"))
            return []
        queue = self._queues[stream]
        queue.append(((self._epochs[stream], stamp_ns), message))
        pairs = self._decide()
        while len(queue) > BACKLOG_LENGTH:
            queue.popleft()
            self.unmatched += 1
        return pairs

    def _decide(self) -> list[Pair]:
        rgb, depth = self._queues["rgb"], self._queues["depth"]
        pairs: list[Pair] = []
        while rgb and depth and depth[-1][0] >= rgb[0][0]:
            pairs += self._take_first()
        return pairs

    def _take_first(self) -> list[Pair]:
        """Remove the first colour message; with its depth if there is one within reach."""
        depth = self._queues["depth"]
        (epoch, stamp_ns), message = self._queues["rgb"].popleft()
        best = self._nearest(epoch, stamp_ns)
        # Colour comes in order, so depth before the chosen one, or out of reach already, has had its chance.
        used = best[0] if best is not None else (epoch, stamp_ns - self._slop_ns - 1)
        given_up = 0
        while depth and depth[0][0] <= used:
            depth.popleft()
            given_up += 1
        if best is None:
            self.unmatched += given_up + 1
            return []
        self.unmatched += given_up - 1
        return [Pair(stamp_ns, message, best[1])]

    def _nearest(self, epoch: int, stamp_ns: int) -> tuple[tuple[int, int], Any] | None:
        near = [
            entry
            for entry in self._queues["depth"]
            if entry[0][0] == epoch and abs(entry[0][1] - stamp_ns) <= self._slop_ns
        ]
        return min(near, key=lambda entry: abs(entry[0][1] - stamp_ns), default=None)


PairSynchroniser = NewestPairs | EveryPair


def _bound(queue: deque[tuple[int, Any]]) -> None:
    while len(queue) > QUEUE_LENGTH:
        queue.popleft()


def _drop_until(queue: deque[tuple[int, Any]], stamp_ns: int) -> int:
    """Remove everything up to and including ``stamp_ns``; how many that was."""
    keep = [entry for entry in queue if entry[0] > stamp_ns]
    gone = len(queue) - len(keep)
    queue.clear()
    queue.extend(keep)
    return gone
