"""``./run demo --view``: what is started for it, and how its address is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytest.importorskip("torch", reason="networks need PyTorch")

from seg3d_core.errors import Seg3dError
from seg3d_ros.demo import live_page
from seg3d_ros.demo.live_page import await_page, stay
from seg3d_ros.demo.options import parse_options
from seg3d_ros.demo.scenario import make_scenario


class Said:
    """A node that has said something, and maybe ended."""

    name = "viewer_node"

    def __init__(self, words: str, exit_code: int | None = None) -> None:
        self.words, self.exit_code = words, exit_code

    def last_lines(self, count: int = 20) -> str:
        return self.words


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["fusion_node", "scene_node"]),
        (["--view"], ["fusion_node", "scene_node", "prompt_node", "viewer_node"]),
        (["--view", "--click", "2"], ["fusion_node", "prompt_node", "viewer_node"]),
    ],
)
def test_which_nodes_are_started(tmp_path: Path, arguments: list[str], names: list[str]) -> None:
    scenario = make_scenario(parse_options([*arguments, "--viewer", "port=0"]), tmp_path)
    assert [process.name for process in scenario.nodes] == names
    if "--view" in arguments:
        words = scenario.nodes[-1]._arguments
        assert words[:3] == [sys.executable, "-m", "seg3d_ros.viewer_node"]
        assert {"port:=0", "cloud:=fusion_node/cloud"} <= set(words)


def test_the_address_is_what_the_node_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await_page([]) is None
    said = Said("[INFO] [viewer_node]: open http://0.0.0.0:8091/?token=abc in a browser\n[INFO] activate: done")
    assert await_page([said]) == "http://0.0.0.0:8091/?token=abc"
    with pytest.raises(Seg3dError, match=r"there is no page to look at:\ncannot listen at 127\.0\.0\.1:80"):
        await_page([Said("cannot listen at 127.0.0.1:80", exit_code=2)])
    monkeypatch.setattr(live_page, "START_LIMIT_S", 0.0)
    with pytest.raises(Seg3dError, match="there is no page to look at"):
        await_page([Said("")])


def test_the_page_stays_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Said("", exit_code=1)
    assert stay("http://127.0.0.1:8091/", [ended]) == [ended]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live_page.time, "sleep", interrupt)
    assert stay("http://127.0.0.1:8091/", [Said("")]) == []
