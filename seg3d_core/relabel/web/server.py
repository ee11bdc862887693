"""The browser's side of relabelling, by viser: events go to a controller one after another, its state comes back."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Bool

from seg3d_core.errors import InputError, Seg3dError
from seg3d_core.geometry.transforms import from_quaternion, to_quaternion
from seg3d_core.optional import import_optional
from seg3d_core.relabel.web.controller import Meaning, RelabelController
from seg3d_core.relabel.web.gate import Gate
from seg3d_core.relabel.web.panel import Panel
from seg3d_core.relabel.web.pointing import ScreenView
from seg3d_core.relabel.web.shown_cloud import ShownCloud

_LOGGER = logging.getLogger(__name__)

Handler = Callable[[Any], Coroutine[Any, Any, None]]

CLICKS: dict[str | None, Meaning] = {None: "on", "cmd/ctrl": "beside", "shift": "pick"}
"""What a click means with which key held."""


class RelabelServer:
    """Serves browsers until it is closed; a context manager.

    Events of all browsers are done in the order in which they come, in one thread; while many wait only the newest
    state is sent. A browser that goes away takes nothing with it, one that comes sees what the others see.

    Args:
        controller: what they do and see.
        host: where browsers are listened to; anywhere but on this machine itself they need the token.
        port: there; 0: any that is free.
        token: for browsers of other machines; they can do nothing without.

    Raises:
        ConfigError: viser is not installed, or a token is needed and missing.
        InputError: the port cannot be had.
    """

    def __init__(self, controller: RelabelController, host: str, port: int, token: str = "") -> None:
        viser = import_optional("viser", "relabelling in a browser", "viser")
        self._controller = controller
        self._gate = Gate(host, port, token)
        with contextlib.redirect_stdout(io.StringIO()):  # its banner names the inner address
            self._server = _local(viser)("127.0.0.1", 0, verbose=False)
        # Browsers that go away while they connect are nobody's mistake.
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        try:
            self._gate.start(self._server.get_port())
        except InputError:
            self._server.stop()
            raise
        self.port = self._gate.port
        self._events: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._server.scene.set_up_direction("+z")
        self._cloud = ShownCloud(self._server.scene)
        self._panel = Panel(self._server.gui, controller, self.do)
        self._panel.on_look_through(self._look_through)
        self._listen()
        # What is in progress comes when its model is there.
        self._show(None)
        self._worker = threading.Thread(target=self._work, name="relabel", daemon=True)
        self._worker.start()
        self.do(controller.warm_up)

    def __enter__(self) -> RelabelServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def do(self, event: Callable[[], object]) -> None:
        """Put an event behind those that wait."""
        self._events.put(event)

    def finish_events(self) -> None:
        """Wait until everything that waits now is done and shown."""
        done = threading.Event()
        self.do(done.set)
        done.wait()
        self._events.join()

    def close(self) -> None:
        """Do what waits, and stop; a second call does nothing."""
        if self._worker.is_alive():
            self._events.put(None)
            self._worker.join()
            self._gate.stop()
            self._server.stop()

    def clicked(self, meaning: Meaning) -> Handler:
        """What is called with a click in the scene that means so."""

        async def handle(event: Any) -> None:
            view, (across, down) = screen_view(event.client.camera), event.screen_pos
            origin, direction = np.array(event.ray_origin, np.float64), np.array(event.ray_direction, np.float64)

            def click() -> None:
                if self._controller.outline is not None and meaning == "on":
                    self._controller.corner(view, across, down)
                else:
                    self._controller.click(origin, direction, meaning)

            self.do(click)

        return handle

    async def rectangle(self, event: Any) -> None:
        """What is called with a rectangle drawn over the scene."""
        view, low, high = screen_view(event.client.camera), event.screen_min, event.screen_max
        self.do(lambda: self._controller.rectangle(view, tuple(low), tuple(high)))

    def _listen(self) -> None:
        scene = self._server.scene
        for modifier, meaning in CLICKS.items():
            scene.on_click(modifier=modifier)(self.clicked(meaning))
        scene.on_rect_select(modifier="cmd/ctrl+shift")(self.rectangle)

        @self._server.on_client_connect
        async def _(client: Any) -> None:
            self.do(lambda: self._look_into(client))

    def _work(self) -> None:
        """Events, one after another, and what they changed."""
        while True:
            event = self._events.get()
            try:
                if event is None:
                    return
                event()
                if self._events.empty():
                    self._show(self._controller.selected)
            except Exception:
                # Whatever is wrong with one event or picture, the next one must be served.
                _LOGGER.exception("an event of the browser failed")
            finally:
                self._events.task_done()

    def _show(self, selected: Bool[np.ndarray, " N"] | None) -> None:
        """Send what has changed; ``selected`` are the points of the object in progress."""
        with self._server.atomic():
            self._cloud.show(self._controller, selected)
            self._panel.show(selected)
        self._server.flush()

    def _look_into(self, client: Any) -> None:
        """A browser that comes looks at all of the scene, obliquely from above."""
        low, high = np.percentile(self._controller.session.cloud.points, [1, 99], axis=0)
        size_m, middle = float(np.linalg.norm(high - low)), (low + high) / 2
        client.camera.position = middle + size_m * np.array([-0.45, -0.55, 0.6])
        client.camera.look_at = middle

    def _look_through(self, client: Any) -> None:
        """A browser looks from where the camera of the frame was: its clicks are on the pixels of the frame."""
        frames, index = self._controller.now.frames, self._controller.frame
        if len(frames):
            try:
                camera = frames.frame(index).camera
            except Seg3dError as error:
                self._controller.message = str(error)
                return
            place, xyzw = to_quaternion(frames.pose(index))
            client.camera.wxyz, client.camera.position = np.roll(xyzw, 1), place
            client.camera.fov = float(2 * np.arctan(camera.height / 2 / camera.K[1, 1]))


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
