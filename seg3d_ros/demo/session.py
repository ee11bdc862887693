"""One run of the demo: start the processes, watch them to the end, stop them."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from seg3d_core.data.bags import BagWriter
from seg3d_core.data.playback import room_seed
from seg3d_core.errors import Seg3dError
from seg3d_ros.demo.click_user import ClickUser
from seg3d_ros.demo.clicking import Clicked, accepted_on, click_on, targets_at, targets_in_room
from seg3d_ros.demo.live_page import await_page, stay
from seg3d_ros.demo.observer import Observation, Observer
from seg3d_ros.demo.options import DemoOptions
from seg3d_ros.demo.processes import NodeProcess
from seg3d_ros.demo.progress import ProgressLine
from seg3d_ros.demo.scenario import Scenario, make_scenario

QUIET_S = 3.0
"""The run is over when the source has ended and nothing new has come for this long."""
DRAIN_LIMIT_S = 60.0
CLICKS_PER_OBJECT = 5


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    Attributes:
        seen: what was observed.
        crashed: nodes that ended by themselves, or badly.
        seconds: that it took.
        clicked: what came of the clicks; None where nobody clicked.
    """

    seen: Observation
    crashed: list[NodeProcess]
    seconds: float
    clicked: Clicked | None = None


def play(options: DemoOptions) -> Outcome:
    """Run the demo's processes to the end of the input.

    Raises:
        InputError, ConfigError: the input cannot be played.
        Seg3dError: a process did not start.
    """
    logs = options.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    scenario = make_scenario(options, logs)
    rclpy.init()
    with BagWriter(options.out / "recording", overwrite=True) as recording:
        observer = _observer(options, scenario, recording)
        executor = SingleThreadedExecutor()
        executor.add_node(observer)
        spinner = threading.Thread(target=_spin, args=(executor,), name="observer", daemon=True)
        spinner.start()
        started = time.monotonic()
        clicked: Clicked | None = None
        try:
            address = _start(scenario)
            crashed = _watch(scenario, observer)
            if isinstance(observer, ClickUser) and not crashed:
                clicked = _click(options, observer)
            if address and not crashed:
                crashed = stay(address, scenario.nodes)
        finally:
            codes = {process.name: process.stop() for process in reversed(scenario.processes)}
            executor.shutdown()
            spinner.join(5.0)
            observer.destroy_node()
            rclpy.try_shutdown()
    crashed += [process for process in scenario.nodes if codes[process.name] != 0 and process not in crashed]
    return Outcome(observer.seen, crashed, time.monotonic() - started, clicked)


def _start(scenario: Scenario) -> str | None:
    """Start the processes, the source when the page is there, and tell its address; None without a page."""
    for process in scenario.nodes:
        process.start()
    address = await_page(scenario.nodes)
    if address:
        print(f"page       {address} ; open it in a browser", flush=True)
    scenario.source.start()
    return address


def _observer(options: DemoOptions, scenario: Scenario, recording: BagWriter) -> Observer:
    if options.clicks:
        return ClickUser(recording, scenario.cloud_topic)
    return Observer(recording, scenario.cloud_topic, scenario.use_sim_time)


def _click(options: DemoOptions, user: ClickUser) -> Clicked:
    """Click on one object after the other."""
    if not user.seen.latest_clouds:
        raise Seg3dError("nothing was fused, so there is nothing to click on")
    cloud = user.seen.latest_clouds[-1]
    seed = room_seed(options.sequence)
    targets = targets_at(options.places, cloud) if options.places else targets_in_room(seed or 0, cloud, options.clicks)
    clicked = []
    for number, target in enumerate(targets, 1):
        print(f"clicking on object {number} of {len(targets)}: {target.name}", flush=True)
        clicked.append(click_on(user, cloud, target, CLICKS_PER_OBJECT))
    return Clicked(clicked, accepted_on(cloud, *user.wait_accepted(len(clicked))))


def _spin(executor: SingleThreadedExecutor) -> None:
    with suppress(ExternalShutdownException):
        executor.spin()


def _watch(scenario: Scenario, observer: Observer) -> list[NodeProcess]:
    """Show progress until the source has ended and the nodes have caught up; the nodes that died meanwhile."""
    line = ProgressLine(sys.stdout)
    ended_at: float | None = None
    last_change, last_count = time.monotonic(), -1
    while True:
        time.sleep(0.2)
        now = time.monotonic()
        with observer.lock:
            seen = observer.seen
            count = seen.clouds + len(seen.results)
            line.show(scenario.source, seen)
        if count != last_count:
            last_change, last_count = now, count
        crashed = [process for process in scenario.nodes if process.exit_code is not None]
        if crashed:
            break
        if ended_at is None and scenario.source.exit_code is not None:
            ended_at = now
            if scenario.source.exit_code != 0:
                line.close()
                raise Seg3dError(f"nothing could be played:\n{scenario.source.last_lines(5)}")
        if ended_at is not None and (now - max(last_change, ended_at) > QUIET_S or now - ended_at > DRAIN_LIMIT_S):
            break
    line.close()
    return crashed
