"""One thread that does a node's work, fed through a mailbox so that callbacks only hand over a reference.

``LatestSlot`` is for live use: the newest input wins, the ones it overwrites are counted. ``Backlog`` is for recorded
data: everything is done, in order. Which of the two is the only difference between the modes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")

STOP_LIMIT_S = 30.0
"""An input that takes longer than this is not waited for when the worker is stopped."""


class Mailbox(Protocol[Item]):
    """Where inputs wait for the worker. Not locked: the worker guards it."""

    dropped: int

    def put(self, item: Item) -> None:
        """Add an input."""

    def take(self) -> Item:
        """Remove and return the next input; only called when there is one."""

    def clear(self) -> None:
        """Forget what waits; it counts as dropped."""

    def __len__(self) -> int: ...


class LatestSlot(Generic[Item]):
    """Holds one input; a newer one overwrites it and the loss is counted in ``dropped``."""

    def __init__(self) -> None:
        self.dropped = 0
        self._items: list[Item] = []

    def put(self, item: Item) -> None:
        """Make ``item`` the next input, whatever waited."""
        self.clear()
        self._items.append(item)

    def take(self) -> Item:
        """The newest input."""
        return self._items.pop()

    def clear(self) -> None:
        """Forget the waiting input, if any."""
        self.dropped += len(self._items)
        self._items.clear()

    def __len__(self) -> int:
        return len(self._items)


class Backlog(Generic[Item]):
    """First in, first out, without a bound: nothing is dropped, memory is what it costs."""

    def __init__(self) -> None:
        self.dropped = 0
        self._items: deque[Item] = deque()

    def put(self, item: Item) -> None:
        """Queue ``item`` behind the others."""
        self._items.append(item)

    def take(self) -> Item:
        """The oldest input."""
        return self._items.popleft()

    def clear(self) -> None:
        """Forget everything that waits."""
        self.dropped += len(self._items)
        self._items.clear()

    def __len__(self) -> int:
        return len(self._items)


class Worker(Generic[Item]):
    """A thread that runs ``work`` on one input after the other and outlives whatever it raises.

    Args:
        name: of the thread, for debuggers.
        mailbox: where inputs wait.
        work: called on the thread with each input.
        on_error: called on the thread with every exception of ``work`` or of a ``call``; must not raise.
    """

    def __init__(
        self,
        name: str,
        mailbox: Mailbox[Item],
        work: Callable[[Item], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._name = name
        self._mailbox = mailbox
        self._work = work
        self._on_error = on_error
        self._calls: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._running = False
        self._busy = False
        self._thread: threading.Thread | None = None

    def put(self, item: Item) -> None:
        """Hand over an input. Never blocks longer than the lock; an input that comes while stopped just waits."""
        with self._changed:
            self._mailbox.put(item)
            self._changed.notify_all()

    def call(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the thread before the next input; without a thread, here and now."""
        with self._changed:
            if self._running:
                self._calls.append(function)
                self._changed.notify_all()
                return
        self._guarded(function)

    def start(self) -> None:
        """Start the thread; nothing happens if it runs already."""
        with self._changed:
            if self._running:
                return
            self._running = True
        self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = STOP_LIMIT_S) -> bool:
        """Finish the current input, forget the waiting ones, end the thread. False if it did not end in time."""
        with self._changed:
            self._running = False
            self._mailbox.clear()
            self._changed.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout_s)
            return not thread.is_alive()
        return True

    def forget(self) -> None:
        """Drop the waiting inputs (counted); the current one is finished."""
        with self._changed:
            self._mailbox.clear()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing waits and nothing is being done; False if that did not happen in time."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not self._idle():
                left = end - time.monotonic()
                if left <= 0 or not self._running:
                    return False
                self._changed.wait(left)
            return True

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being done."""
        with self._changed:
            return self._idle()

    @property
    def queued(self) -> int:
        """Inputs that wait."""
        with self._changed:
            return len(self._mailbox)

    @property
    def dropped(self) -> int:
        """Inputs that were overwritten or forgotten since the worker was made."""
        with self._changed:
            return self._mailbox.dropped

    def _idle(self) -> bool:
        return not (self._busy or self._calls or len(self._mailbox))

    def _loop(self) -> None:
        while (job := self._next()) is not None:
            self._guarded(job)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        """The next thing to do. Calls that wait are still made when the worker stops; inputs are not."""
        with self._changed:
            while self._running and not self._calls and not len(self._mailbox):
                self._changed.wait()
            if self._calls:
                self._busy = True
                return self._calls.popleft()
            if not self._running:
                return None
            self._busy = True
            item = self._mailbox.take()
            return lambda: self._work(item)

    def _guarded(self, job: Callable[[], None]) -> None:
        # The worker is one of the two places that catch everything: one bad input must not end the node.
        try:
            job()
        except Exception as error:
            self._on_error(error)
