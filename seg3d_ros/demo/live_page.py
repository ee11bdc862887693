"""The page that the demo serves: which nodes it takes, and where it is."""

from __future__ import annotations

import re
import time
from importlib.util import find_spec
from pathlib import Path

from seg3d_core.errors import ConfigError, Seg3dError
from seg3d_ros.demo.options import DemoOptions
from seg3d_ros.demo.processes import NodeProcess

VIEWER = "viewer_node"
START_LIMIT_S = 60.0
_ADDRESS = re.compile(r"open (http\S+) in a browser")


def page_nodes(options: DemoOptions, logs: Path, common: dict[str, bool], cloud: str) -> list[NodeProcess]:
    """viewer_node, and prompt_node where no other one answers clicks; none where no page was asked for.

    Args:
        options: of the demo.
        logs: folder.
        common: parameters of all nodes of the scenario.
        cloud: the topic that is shown and clicked on.

    Raises:
        ConfigError: PyTorch is not installed, without which nobody answers clicks.
    """
    if not options.view:
        return []
    if find_spec("torch") is None:
        raise ConfigError("--view answers clicks by a network, which needs PyTorch: python -m pip install 'torch>=2.6'")
    remapped = {"cloud": cloud}
    clock = {name: value for name, value in common.items() if name == "use_sim_time"}
    viewer = NodeProcess(f"seg3d_ros.{VIEWER}", logs / f"{VIEWER}.log", {**clock, **options.viewer}, remapped)
    if options.clicks:
        return [viewer]
    prompt = NodeProcess("seg3d_ros.prompt_node", logs / "prompt_node.log", {**common, **options.prompt}, remapped)
    return [prompt, viewer]


def await_page(nodes: list[NodeProcess]) -> str | None:
    """The address of the page as soon as it is served; None where no node serves one.

    Raises:
        Seg3dError: the node has ended, or takes too long; with what it said last.
    """
    viewers = [process for process in nodes if process.name == VIEWER]
    if not viewers:
        return None
    end = time.monotonic() + START_LIMIT_S
    while not (found := _ADDRESS.search(viewers[0].last_lines())):
        if viewers[0].exit_code is not None or time.monotonic() > end:
            raise Seg3dError(f"there is no page to look at:\n{viewers[0].last_lines(5)}")
        time.sleep(0.1)
    return found[1]


def stay(address: str, nodes: list[NodeProcess]) -> list[NodeProcess]:
    """Leave the page to its users until Ctrl-C, or until a node ends by itself; those that did."""
    print(f"all is played; the page stays until Ctrl-C: {address}", flush=True)
    try:
        while not (ended := [process for process in nodes if process.exit_code is not None]):
            time.sleep(0.2)
    except KeyboardInterrupt:
        return []
    return ended
