"""The page without a browser: clicks and buttons go out, clouds and words come in, what is refused is told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from seg3d_core import optional
from seg3d_core.errors import ConfigError, PromptError
from seg3d_core.live_view.health import NodeHealth, health_text, plain
from seg3d_core.live_view.server import LiveServer
from seg3d_core.types import Cloud

POINTS = np.random.default_rng(0).uniform(-1, 1, (3000, 3)).astype(np.float32) * [1, 1, 0.01]
NODE = NodeHealth(
    "/prompt_node", "warning", "2 <b>refused</b>", "1.5", "10", "8", "2", "0", (("encode", "40", "60"),), ("90", "95")
)


def test_clicks_and_buttons_go_out_and_what_comes_in_is_shown():
    pytest.importorskip("viser", reason="viser is not installed")
    clicks, pressed = [], []

    def press(name):
        pressed.append(name)
        if name == "accept":
            raise PromptError("no object is in progress")

    server = LiveServer("127.0.0.1", 0, "", 1000, clicks.append, press)
    try:

        def click(x, y, excludes=False):
            ray = {"ray_origin": (0.0, 0.0, 2.0), "ray_direction": (x, y, -2.0)}
            asyncio.run(server.clicked(excludes)(SimpleNamespace(**ray)))
            server.finish_events()

        def state():
            return server._panel._state.content

        click(0, 0)
        assert "**there is no cloud to click on yet**" in state()
        cloud = Cloud(POINTS.astype(np.float32), frame_id="map", stamp_ns=5)
        server.do(lambda: server.take("cloud", cloud))
        click(0.5, 0.2)
        click(0.5, 0.2, excludes=True)
        assert [click.is_foreground for click in clicks] == [True, False]
        np.testing.assert_allclose(clicks[0].point[:2], (0.5, 0.2), atol=0.1)
        assert len(server._shown._nodes["/cloud"].rows) <= 1000
        # All points around the click, beside an even subset of the whole.
        assert len(server._shown._nodes["/detail"].rows) > 1000
        node = server._shown._nodes["/cloud"]
        before = node.handle.colors.copy()
        server.do(lambda: server.take("mask", cloud.select(np.arange(1500))))
        server.finish_events()
        assert server._shown._nodes["/cloud"] is node, "only colours are sent again"
        assert ((node.handle.colors != before).any(axis=1) == (node.rows < 1500)).all()
        assert "3,000 points, " in state() and "object in progress: 1,500 points" in state()
        for name in ("undo", "accept"):
            server.do(lambda name=name: server._pressed(name))
        server.do(lambda: server.tell_health([NODE]))
        server.finish_events()
        assert pressed == ["undo", "accept"] and "**no object is in progress**" in state()
        assert "encode 40 (60)" in server._panel._health.content
        server.do(lambda: server.tell("undo: done"))
        server.finish_events()
        assert "**undo: done**" in state()
    finally:
        server.close()
        server.close()


def test_the_table_of_nodes():
    words = health_text([NODE])
    assert "| ! prompt\\_node | 1.5 | 10 | 8 | 2 | 0 |" in words
    assert "age 90 (95) · encode 40 (60)" in words
    assert "<b>" not in words and "2 &lt;b&gt;refused" in words


def test_words_of_others_are_no_markup():
    assert plain("a|b *c*\n<script>") == "a/b \\*c\\* &lt;script&gt;"


def test_viser_is_asked_for_in_words(monkeypatch):
    def gone(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(optional.importlib, "import_module", gone)
    with pytest.raises(ConfigError, match="the live viewer needs viser, which is not installed: python -m pip install"):
        LiveServer("127.0.0.1", 0, "", 1000, print, print)
