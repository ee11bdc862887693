"""A real browser on the relabeller: clicks and keys as a person makes them, and what is saved by them."""

from __future__ import annotations

import chromium
import numpy as np
import pytest

from seg3d_core.browser.page import screen_view
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.geometry.transforms import apply, invert
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.relabel.web.controller import RelabelController
from seg3d_core.relabel.web.server import RelabelServer

pytest.importorskip("viser", reason="viser is not installed")

from page_user import PageUser

pytestmark = chromium.needs_chromium

TALL, FLAT, BALL = 2, 3, 4
ON = {TALL: (0.075, 0.06, 0.3), FLAT: (0.42, 0.25, 0.1), BALL: (0.1, 0.4, 0.16)}


@pytest.fixture
def browser(tmp_path):
    browser = chromium.Browser(tmp_path / "profile")
    yield browser
    browser.close()


class Window:
    """A page on the relabeller, clicked at places of the scene."""

    def __init__(self, browser, server):
        known = set(server.viser.get_clients())
        self.page = browser.open(f"http://127.0.0.1:{server.port}/")
        self._server = server
        self._connect(known)

    def reload(self):
        known = set(self._server.viser.get_clients())
        self.page.call("Page.reload")
        self._connect(known)

    def click(self, place, modifiers="", button="left"):
        view = screen_view(self._client.camera)
        local = apply(invert(view.T_world_camera), np.array([place], np.float32))[0]
        across, down = (local[:2] / local[2] / view.tangents + 1) / 2
        x, y, width, height = self.page.canvas()
        self.page.click(float(x + across * width), float(y + down * height), modifiers, button)

    def _connect(self, known):
        clients = self._server.viser.get_clients
        number = chromium.wait_for(lambda: set(clients()) - known).pop()
        self._client = clients()[number]
        # It looks where it was told to, and shows the panel and the cloud.
        chromium.wait_for(lambda: np.linalg.norm(self._client.camera.position - 0.2) < 3 and "Undo" in self.page.text())
        self._server.finish_events()
        chromium.wait_for(lambda: abs(self._client.camera.look_at[0] - 0.2) < 0.2)


def test_a_person_relabels_a_scene(browser, table, told_class, tmp_path):
    scene, things = table
    controller = RelabelController([scene], told_class(things), RelabelConfig.build({}))
    sizes = {thing: int((things == thing).sum()) for thing in ON}
    with RelabelServer(controller, "127.0.0.1", 0) as server:
        window = Window(browser, server)
        page = window.page
        for number, thing in enumerate(ON, 1):
            window.click(ON[thing])
            chromium.wait_for(lambda thing=thing: controller.selected is not None)
            chromium.wait_for(lambda thing=thing: f"{sizes[thing]} points" in page.text())
            page.press("Enter")
            chromium.wait_for(lambda number=number: len(controller.session.records) == number)
        window.click(ON[TALL], "shift")
        window.click(ON[BALL], "shift")
        chromium.wait_for(lambda: controller.picked == (1, 3))
        page.press("M")
        chromium.wait_for(lambda: len(controller.session.records) == 2)
        page.press("Z")
        chromium.wait_for(lambda: len(controller.session.records) == 3)
        # One click on and one beside, then the page is loaded anew: the object in progress is still there.
        window.click(ON[TALL])
        chromium.wait_for(lambda: controller.selected is not None)
        window.click(ON[FLAT])
        chromium.wait_for(lambda: controller.selected.sum() == sizes[TALL] + sizes[FLAT])
        window.click(ON[FLAT], "ctrl")
        chromium.wait_for(lambda: controller.selected.sum() == sizes[TALL])
        page.press("Z")
        chromium.wait_for(lambda: controller.selected.sum() == sizes[TALL] + sizes[FLAT])
        window.click(ON[FLAT], button="right")
        chromium.wait_for(lambda: controller.selected.sum() == sizes[TALL])
        window.reload()
        chromium.wait_for(lambda: f"new object: {sizes[TALL]} points" in page.text())
        page.screenshot(tmp_path / "relabel.png")
        # What another browser does is seen by this one, and it is missed by nobody.
        other = PageUser(server.port)
        other.click(ON[BALL])
        chromium.wait_for(lambda: f"new object: {sizes[TALL] + sizes[BALL]} points" in page.text())
        other.drop()
        page.press("N")
        chromium.wait_for(lambda: "new object" not in page.text())
    controller.close()
    expected = np.select([things == thing for thing in ON], [1, 2, 3], -1)
    assert (SceneFolder.open(scene.path).cloud().instance_id == expected).all()
    assert (tmp_path / "relabel.png").stat().st_size > 10_000
