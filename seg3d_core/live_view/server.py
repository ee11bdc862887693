"""A robot in browsers, by viser: clouds and masks come in, clicks and pressed buttons go out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32

from seg3d_core.browser.page import Handler, Page, look_at_all
from seg3d_core.errors import Seg3dError
from seg3d_core.live_view.health import NodeHealth
from seg3d_core.live_view.panel import LivePanel
from seg3d_core.live_view.shown_view import ShownView
from seg3d_core.live_view.view import LayerName, LiveView, PlacedClick
from seg3d_core.types import Cloud

VIEWER = "the live viewer"
"""For people who have to install something for it."""


class LiveServer(Page):
    """Serves browsers until it is closed. See ``Page``; what comes in must come as events, by ``do``.

    Args:
        host: see ``Page``, like the next two.
        port: there.
        token: for browsers of other machines.
        max_points: of a cloud that browsers get.
        click: told about each click in the scene, in the page's thread. Raises ``Seg3dError`` to refuse it.
        press: the same for the name of each service whose button was pressed.

    Raises:
        ConfigError, InputError: see ``Page``.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        max_points: int,
        click: Callable[[PlacedClick], object],
        press: Callable[[str], object],
    ) -> None:
        super().__init__(VIEWER, host, port, token)
        self._click, self._press = click, press
        self.view = LiveView(max_points)
        self._shown = ShownView(self.viser.scene)
        self._panel = LivePanel(self.viser.gui, self.view, self.do, self._pressed)
        self._unoriented: list[Any] = []
        """Browsers that came before the first cloud."""
        for modifier in (None, "cmd/ctrl"):
            self.viser.scene.on_click(modifier=modifier)(self.clicked(modifier is not None))
        self.viser.on_client_connect(self._meet)
        self.start()

    def clicked(self, excludes: bool) -> Handler:
        """What is called with a click in the scene; ``excludes``: it is beside the object, whatever is chosen."""

        async def handle(event: Any) -> None:
            origin, direction = np.array(event.ray_origin, np.float64), np.array(event.ray_direction, np.float64)

            def click() -> None:
                is_foreground = not (excludes or self.view.excludes)
                self._try(lambda: self._click(self.view.click(origin, direction, is_foreground)))

            self.do(click)

        return handle

    # In the page's thread.

    def take(self, name: LayerName, cloud: Cloud, instance_ids: Int32[np.ndarray, " N"] | None = None) -> None:
        """Another cloud came; see ``LiveView``."""
        self.view.take(name, cloud, instance_ids)
        base = self.view.base
        if base is not None and len(base.cloud):
            for client in self._unoriented:
                look_at_all(client, base.cloud.points)
            self._unoriented = []

    def tell(self, message: str) -> None:
        """For people, in the panel."""
        self.view.message = message

    def tell_health(self, nodes: Sequence[NodeHealth]) -> None:
        """How the nodes are."""
        self._panel.nodes = nodes

    def _pressed(self, service: str) -> None:
        self._try(lambda: self._press(service))

    def _try(self, what: Callable[[], object]) -> None:
        """Do what somebody asked for; if it is refused, tell why."""
        self.view.message = ""
        try:
            what()
        except Seg3dError as error:
            self.view.message = str(error)

    async def _meet(self, client: Any) -> None:
        def meet() -> None:
            base = self.view.base
            if base is None or not len(base.cloud):
                self._unoriented.append(client)
            else:
                look_at_all(client, base.cloud.points)

        self.do(meet)

    def show(self) -> None:
        """See ``Page``."""

        def change() -> None:
            self._shown.show(self.view)
            self._panel.show()

        self.send(change)
