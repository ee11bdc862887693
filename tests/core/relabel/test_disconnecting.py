"""A browser that goes away in the middle of something takes nothing with it."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest
from table_steps import BALL, ON, TALL

from seg3d_core.browser.pointing import ScreenView
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.relabel.web.controller import RelabelController
from seg3d_core.relabel.web.server import RelabelServer

ABOVE = np.array([[1.0, 0, 0, 0.1], [0, -1, 0, 0.4], [0, 0, -1, 1.2], [0, 0, 0, 1]])
BEGINNING_OF_A_FRAME = bytes([0x82, 0xFE]) + struct.pack(">H", 4096) + b"mask" + b"half of it"


def cut(connection):
    """As a cable that is pulled: half a message, no farewell."""
    connection.socket.sendall(BEGINNING_OF_A_FRAME)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()


def test_half_a_message_and_half_a_lasso(table, told_class):
    viser = pytest.importorskip("viser", reason="viser is not installed")
    client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    scene, things = table
    controller = RelabelController([scene], told_class(things), RelabelConfig.build({}))
    with RelabelServer(controller, "127.0.0.1", 0) as server:
        address, language = f"ws://127.0.0.1:{server.port}", f"viser-v{viser.__version__}"
        gone = client.connect(address, subprotocols=[language])
        assert gone.recv(20)  # the page
        server.do(lambda: controller.key("L"))
        for place in (0.4, 0.6):
            server.do(lambda place=place: controller.corner(ScreenView(ABOVE, (0.5, 0.5)), place, 0.5))
        cut(gone)
        # Another one comes, sees the corners, closes the lasso, is told that they are too few, and works on.
        with client.connect(address, subprotocols=[language]) as other:
            assert other.recv(20)
            server.finish_events()
            assert len(controller.outline) == 2
            server.do(lambda: controller.key("enter"))
            server.finish_events()
            assert "the lasso has 2 corners" in server._panel._message.content
            server.do(lambda: controller.key("escape"))
            eye = np.array([0.1, 0.4, 1.2])
            for thing, name in ((BALL, "ball"), (TALL, "tall")):
                server.do(lambda thing=thing: controller.click(eye, np.subtract(ON[thing], eye), "on"))
                server.do(lambda name=name: controller.accept(name))
            server.finish_events()
            assert controller.outline is None
    controller.close()
    cloud = SceneFolder.open(scene.path).cloud()
    assert cloud.names == {1: "ball", 2: "tall"}
    assert ((cloud.instance_id == 1) == (things == BALL)).all()
