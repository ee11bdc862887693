"""The browser's side of relabelling, by viser: events go to a controller one after another, its state comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool

from seg3d_core.browser.page import Handler, Page, look_at_all, screen_view
from seg3d_core.errors import Seg3dError
from seg3d_core.geometry.transforms import to_quaternion
from seg3d_core.relabel.web.controller import Meaning, RelabelController
from seg3d_core.relabel.web.panel import Panel
from seg3d_core.relabel.web.shown_cloud import ShownCloud

CLICKS: dict[str | None, Meaning] = {None: "on", "cmd/ctrl": "beside", "shift": "pick"}
"""What a click means with which key held."""


class RelabelServer(Page):
    """Serves browsers until it is closed. See ``Page``.

    Args:
        controller: what they do and see.
        host: see ``Page``, like the others.
        port: there.
        token: for browsers of other machines.

    Raises:
        ConfigError, InputError: see ``Page``.
    """

    def __init__(self, controller: RelabelController, host: str, port: int, token: str = "") -> None:
        super().__init__("relabelling in a browser", host, port, token)
        self._controller = controller
        self._cloud = ShownCloud(self.viser.scene)
        self._panel = Panel(self.viser.gui, controller, self.do)
        self._panel.on_look_through(self._look_through)
        self._listen()
        # What is in progress comes when its model is there.
        self._show(None)
        self.start()
        self.do(controller.warm_up)

    def show(self) -> None:
        """See ``Page``."""
        self._show(self._controller.selected)

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
        scene = self.viser.scene
        for modifier, meaning in CLICKS.items():
            scene.on_click(modifier=modifier)(self.clicked(meaning))
        scene.on_rect_select(modifier="cmd/ctrl+shift")(self.rectangle)

        @self.viser.on_client_connect
        async def _(client: Any) -> None:
            self.do(lambda: look_at_all(client, self._controller.session.cloud.points))

    def _show(self, selected: Bool[np.ndarray, " N"] | None) -> None:
        """Send what has changed; ``selected`` are the points of the object in progress."""

        seen = self._controller.seen(self._controller.now.overview.rows, selected)

        def change() -> None:
            self._cloud.show(self._controller, selected, seen)
            self._panel.show(selected, seen)

        self.send(change)

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
