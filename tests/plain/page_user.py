"""A browser without a window: it connects to a page of viser as one does, and clicks."""

from __future__ import annotations

import contextlib
import threading

import msgspec
import numpy as np
import viser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class PageUser:
    """Connected until ``close``.

    Args:
        port: of the page, on this machine.
        reads: False: a browser so slow that it takes nothing of what it is sent.
    """

    def __init__(self, port: int, reads: bool = True) -> None:
        self._socket = connect(
            f"ws://127.0.0.1:{port}/", subprotocols=[f"viser-v{viser.__version__}"], max_size=None, max_queue=4
        )
        self.received_bytes = 0
        if reads:
            threading.Thread(target=self._read, daemon=True).start()
        # A browser counts from when it says where it looks from.
        self._send(
            "ViewerCameraMessage", wxyz=(1, 0, 0, 0), position=(0, 0, 3), fov=1.3, near=0.01, far=1000,
            image_height=513, image_width=800, look_at=(0, 0, 0), up_direction=(0, 0, 1),
        )  # fmt: skip

    def click(self, place, modifier: str | None = None) -> None:
        """From 3 m above the middle, at a place of the scene."""
        eye = np.array([0.0, 0.0, 3.0])
        ray = [float(value) for value in np.subtract(place, eye)]
        self._send(
            "ScenePointerMessage", event_type="click", ray_origin=eye.tolist(), ray_direction=ray,
            screen_pos=[[0.5, 0.5]], modifier=modifier,
        )  # fmt: skip

    def close(self) -> None:
        self._socket.close()

    def drop(self) -> None:
        """Go away without a word, as a laptop that is shut."""
        self._socket.socket.close()

    def _send(self, kind: str, **fields: object) -> None:
        self._socket.send(msgspec.msgpack.encode({"type": kind, **fields}))

    def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            while True:
                self.received_bytes += len(self._socket.recv())
