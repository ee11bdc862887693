"""A page for browsers, by viser behind a ``Gate``: events are done one after another, then what changed is sent."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from seg3d_core.browser.gate import Gate
from seg3d_core.browser.pointing import ScreenView
from seg3d_core.browser.right_click import make_right_click_exclude
from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import from_quaternion
from seg3d_core.optional import import_optional

_LOGGER = logging.getLogger(__name__)

Handler = Callable[[Any], Coroutine[Any, Any, None]]
PageT = TypeVar("PageT", bound="Page")


class Page(ABC):
    """What all browsers of one server see and do, until it is closed; a context manager.

    Subclasses build it and then ``start`` it.

    Events of all browsers are done in the order in which they come, in one thread; while many wait only the newest
    state is sent. A browser that goes away takes nothing with it, one that comes sees what the others see, and one that
    is slow misses states in between and keeps nobody waiting.

    Args:
        what: for the message where viser is missing.
        host: where browsers are listened to; anywhere but on this machine itself they need the token.
        port: there; 0: any that is free.
        token: for browsers of other machines, they can do nothing without; made up where it is empty.

    Attributes:
        viser: its server, to build the page with.
        address: for a browser, with the token where one is needed.

    Raises:
        ConfigError: viser is not installed, or the token is too short or has other characters than letters and digits.
        InputError: the port cannot be had.
    """

    def __init__(self, what: str, host: str, port: int, token: str = "") -> None:
        viser = import_optional("viser", what, "viser")
        self._gate = Gate(host, port, token or secrets.token_hex(16))
        with _silence():
            self.viser: Any = _local(viser)("127.0.0.1", 0, verbose=False)
        # Browsers that go away while they connect are nobody's mistake.
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        try:
            self._gate.start(self.viser.get_port())
        except InputError:
            self.viser.stop()
            raise
        self.port = self._gate.port
        self.address = self._gate.address
        self.viser.scene.set_up_direction("+z")
        # Nothing here is lit. Browsers would make pictures of their own light first, and fade the scene in meanwhile.
        self.viser.scene.configure_environment_map(hdri=None)
        self.viser.scene.configure_default_lights(enabled=False)
        self.viser.gui.configure_theme(show_logo=False, show_share_button=False)
        make_right_click_exclude(self.viser.gui)
        self._events: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._worker = threading.Thread(target=self._work, name="page", daemon=True)
        self._is_closed = False

    @abstractmethod
    def show(self) -> None:
        """Send what events have changed; in the page's thread."""

    def __enter__(self: PageT) -> PageT:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def browsers(self) -> int:
        """How many look at it."""
        return len(self.viser.get_clients())

    def start(self) -> None:
        """Begin with the events."""
        self._worker.start()

    def do(self, event: Callable[[], object]) -> None:
        """Put an event behind those that wait."""
        self._events.put(event)

    def finish_events(self) -> None:
        """Wait until everything that waits now is done and shown."""
        done = threading.Event()
        self.do(done.set)
        done.wait()
        self._events.join()

    def send(self, change: Callable[[], None]) -> None:
        """Change what browsers have, all at once for them."""
        with self.viser.atomic():
            change()
        self.viser.flush()

    def close(self) -> None:
        """Do what waits, and stop; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._worker.is_alive():
            self._events.put(None)
            self._worker.join()
        self._gate.stop()
        with _silence():
            self.viser.stop()

    def _work(self) -> None:
        """Events, one after another, and what they changed."""
        while True:
            event = self._events.get()
            try:
                if event is None:
                    return
                event()
                if self._events.empty():
                    self.show()
            except Exception:
                # Whatever is wrong with one event or picture, the next one must be served.
                _LOGGER.exception("an event of the browser failed")
            finally:
                self._events.task_done()


def _silence() -> contextlib.AbstractContextManager[object]:
    """Viser prints the inner address when it begins, and that it ends."""
    return contextlib.redirect_stdout(io.StringIO())


def _local(viser: Any) -> Any:
    """Viser's server, without its way to be opened to the internet by anybody who has a browser on it."""

    class LocalServer(viser.ViserServer):  # type: ignore[misc]
        def request_share_url(self, verbose: bool = True) -> str | None:
            return None

    return LocalServer


def screen_view(camera: Any) -> ScreenView:
    """What a browser shows, from viser's camera: a quaternion (w, x, y, z) of an optical frame, m, and radians."""
    T = from_quaternion(np.array(camera.position, np.float64), np.roll(np.array(camera.wxyz, np.float64), -1))
    half = float(np.tan(camera.fov / 2))
    return ScreenView(T, (half * float(camera.aspect), half))


def look_at_all(client: Any, points: Float32[np.ndarray, "N 3"]) -> None:
    """Let a browser (viser's client) look at all of a cloud (m), obliquely from above."""
    low, high = np.percentile(points, [1, 99], axis=0)
    size_m, middle = float(np.linalg.norm(high - low)), (low + high) / 2
    client.camera.position = middle + size_m * np.array([-0.45, -0.55, 0.6])
    client.camera.look_at = middle
