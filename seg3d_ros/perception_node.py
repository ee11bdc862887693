"""What the nodes that look at the world have in common: inputs to a worker, poses, services, what happens to time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from std_srvs.srv import SetBool, Trigger

from seg3d_ros.frames import PoseProvider
from seg3d_ros.lifecycle import ManagedNode
from seg3d_ros.pose_source import pose_source
from seg3d_ros.qos import MatchingSubscription, Past
from seg3d_ros.rgbd_input import RgbdInput
from seg3d_ros.settings import NodeConfig
from seg3d_ros.sync import StampOrder
from seg3d_ros.worker import STOP_LIMIT_S, Backlog, LatestSlot, Worker

ConfigT = TypeVar("ConfigT", bound=NodeConfig)

GRAPH_PERIOD_S = 0.25
"""How often publishers and subscribers are looked at."""


class Stamped(Protocol):
    """What goes through the worker: anything with the stamp of the measurement."""

    @property
    def stamp_ns(self) -> int:
        """Time of the measurement, ns."""
        ...


class PerceptionNode(ManagedNode[ConfigT]):
    """A node around one worker thread. Subclasses say what to build, what to hear and what to do with an input.

    configure: model and warm-up; activate: subscribe, start the worker; deactivate: stop it, keep the rest; cleanup:
    free. Callbacks only hand over references, so parameters and services answer while the worker is busy.
    """

    def __init__(self, name: str, config_class: type[ConfigT]) -> None:
        super().__init__(name, config_class)
        self.poses: PoseProvider | None = None
        self.latest: Stamped | None = None
        self._enabled = True
        self._worker: Worker[Stamped] | None = None
        self._order = StampOrder(1.0)
        self._skipped: Stamped | None = None
        self._heard: list[MatchingSubscription] = []
        self._camera: RgbdInput | None = None
        self.create_service(SetBool, "~/enable", self._enable)
        self.create_service(Trigger, "~/reset", self._reset)
        # Who is there is looked at in real time: with simulated time this must work before /clock runs.
        self.create_timer(GRAPH_PERIOD_S, self._look_around, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.health.gauge("frames_dropped", self._dropped)
        self.health.gauge("queue", lambda: self._worker.queued if self._worker else 0)
        self.health.gauge("enabled", lambda: self._enabled)

    # What a subclass provides.

    @abstractmethod
    def build(self) -> None:
        """Make everything that lasts while configured, and warm it up. May raise ``Seg3dError``."""

    @abstractmethod
    def free(self) -> None:
        """Undo ``build``, whole or half done."""

    @abstractmethod
    def subscribe(self) -> None:
        """Subscribe with ``listen``; hand inputs to ``receive``."""

    @abstractmethod
    def process(self, item: Any) -> None:
        """Use one input; on the worker thread. May raise ``Seg3dError``."""

    @abstractmethod
    def clear_state(self) -> None:
        """Forget everything that inputs have left behind; on the worker thread."""

    def reset(self) -> None:
        """``~/reset``: forget also what people have made; on the worker thread."""
        self.clear_state()

    def wanted(self) -> bool:
        """Whether using an input is of use to anybody now."""
        return True

    def catch_up(self) -> None:
        """Serve those who came since the last input; on the worker thread, when it has nothing else to do."""

    def reconfigured(self) -> None:
        """``config`` has changed while configured; on the worker thread."""

    def look_around(self) -> None:
        """While active, called several times a second; on the executor's thread."""

    # What a subclass uses.

    def listen(
        self,
        message_type: type,
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        *,
        keep_all: bool = False,
        past: Past = "as offered",
    ) -> MatchingSubscription:
        """Subscribe to a topic, whatever its publishers offer, until deactivated.

        ``keep_all``: lose nothing, also where the newest input wins. ``past``: see ``Past``.
        """
        subscription = MatchingSubscription(
            self,
            message_type,
            topic,
            callback,
            depth=depth,
            keep_all=keep_all or self.config.process_all,
            report=self.health.problem,
            lost=lambda count: self.health.count("messages_lost", count),
            past=past,
        )
        self._heard.append(subscription)
        return subscription

    def stop_listening(self, subscription: MatchingSubscription) -> None:
        """Undo ``listen`` before the node is deactivated."""
        if subscription in self._heard:
            self._heard.remove(subscription)
            subscription.destroy()

    def listen_to_camera(self) -> None:
        """Subscribe to colour, depth and calibration, and hand over each exposure, until deactivated."""
        self._camera = RgbdInput(self, self.config, self.listen, self.receive, self.health)

    def make_poses(self) -> PoseProvider | None:
        """The source of poses that the settings ask for, until deactivated; see ``pose_source``."""
        return pose_source(self, self.config, self.listen, self.health)

    def receive(self, item: Stamped) -> None:
        """Hand an input to the worker; from callbacks."""
        self.latest = item
        self.health.count("frames_in")
        if not self._enabled:
            self.health.count("frames_disabled")
        elif self._worker is not None:
            self._worker.put(item)

    def run_soon(self, function: Callable[[], None]) -> bool:
        """Run ``function`` on the worker thread before the next input; False while the node is not active."""
        if self._worker is None or self.state != "active":
            return False
        self._worker.call(function)
        return True

    def run_between(self, function: Callable[[], None]) -> bool:
        """As ``run_soon``, but while the node is not active here and now; False while it is not configured."""
        worker = self._worker
        if worker is not None:
            worker.call(function)
        return worker is not None

    def use(self, item: Stamped) -> None:
        """Process one input, timed and counted; on the worker thread."""
        with self.health.stage("total"):
            self.process(item)
        self.health.count("frames_used")

    def use_skipped(self) -> None:
        """Process the newest input if it was skipped because nobody wanted it; on the worker thread."""
        item, self._skipped = self._skipped, None
        if item is not None:
            self.use(item)

    # States.

    def set_up(self) -> None:
        """See ``ManagedNode``."""
        self._order = StampOrder(self.config.time_jump_s)
        self.build()
        mailbox: Any = Backlog() if self.config.process_all else LatestSlot()
        self._worker = Worker(self.get_name(), mailbox, self._handle, self._failed)
        back = Duration(nanoseconds=-round(self.config.time_jump_s * 1e9))
        threshold = JumpThreshold(min_forward=None, min_backward=back, on_clock_change=False)
        self._jumps = self.get_clock().create_jump_callback(threshold, post_callback=self._clock_jumped)

    def begin(self) -> None:
        """See ``ManagedNode``."""
        self.subscribe()
        assert self._worker is not None
        self._worker.start()

    def halt(self) -> None:
        """See ``ManagedNode``."""
        for subscription in self._heard:
            subscription.destroy()
        self._heard.clear()
        self._camera = None
        if self.poses is not None:
            self.poses.destroy()  # the worker may be waiting for one
        if self._worker is not None and not self._worker.stop():
            raise TimeoutError(f"the worker is still busy with its input after {STOP_LIMIT_S:g} s")
        self.poses = None  # not before: an input without poses would be taken for one in the camera's frame

    def release(self) -> None:
        """See ``ManagedNode``."""
        self.halt()
        if self._worker is not None:
            self.health.count("frames_dropped", self._worker.dropped)
            self._jumps.unregister()
            self._worker = None
        self.latest = self._skipped = None
        self.free()

    def config_changed(self) -> None:
        """See ``ManagedNode``."""
        if self._worker is not None:
            self._worker.call(self.reconfigured)

    # On the worker thread.

    def _handle(self, item: Stamped) -> None:
        config = self.config
        age_s = (self.get_clock().now().nanoseconds - item.stamp_ns) * 1e-9
        if not config.process_all and 0 < config.max_input_age_s < age_s:
            self.health.count("frames_stale")
            return
        if self._order.jumped_back(item.stamp_ns):
            self._start_afresh(f"the stamps of the inputs jumped back to {item.stamp_ns * 1e-9:.3f} s")
        self._skipped = None
        if not config.process_all and not self.wanted():
            self.health.count("frames_unwanted")
            self._skipped = item
            return
        self.use(item)

    def _serve_late_comers(self) -> None:
        if self._skipped is not None and self.wanted():
            self.use_skipped()
        self.catch_up()

    def _start_afresh(self, reason: str, forget: Callable[[], None] | None = None) -> None:
        self._skipped = None
        self.get_logger().warning(f"{reason}: starting afresh")
        self.health.count("resets")
        (forget or self.clear_state)()

    def _restart_order(self, reason: str, forget: Callable[[], None] | None = None) -> None:
        self._order.clear()
        self._start_afresh(reason, forget)

    def _failed(self, error: Exception) -> None:
        if self.state != "finalized":  # what fails because the process is being ended is nobody's concern
            self.health.failed(error)

    # Callbacks.

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        response.success, response.message = True, "enabled" if request.data else "disabled"
        return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._worker is None:
            response.success, response.message = False, f"there is nothing to reset: the node is {self.state}"
            return response
        self._worker.call(lambda: self._restart_order("reset was asked for", self.reset))
        response.success, response.message = True, "starting afresh"
        return response

    def _clock_jumped(self, jump: TimeJump) -> None:
        if self.poses is not None:
            self.poses.clock_jumped()
        # Recorded inputs that wait must be used all the same; their own stamps tell where the jump is.
        if self._worker is None or self.config.process_all:
            return
        self._worker.forget()
        back_s = -jump.delta.nanoseconds * 1e-9
        self._worker.call(lambda: self._restart_order(f"the clock jumped back by {back_s:.3f} s"))

    def _look_around(self) -> None:
        for subscription in self._heard:
            subscription.check()
        if self._camera is not None:
            self._camera.check()
        if self.state == "active":
            self.look_around()
        if self._worker is not None and self.state == "active" and self._worker.idle:
            self._worker.call(self._serve_late_comers)

    def _dropped(self) -> int:
        waiting = self._worker.dropped if self._worker is not None else 0
        return self.health.total("frames_dropped") + waiting
