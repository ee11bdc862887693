"""The states of a node: parameters, transitions that say why they failed, and diagnostics in every state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from seg3d_core.errors import Seg3dError
from seg3d_ros.core_log import speak_for_core
from seg3d_ros.health import Health
from seg3d_ros.parameters import Parameters
from seg3d_ros.settings import ManagedConfig

ConfigT = TypeVar("ConfigT", bound=ManagedConfig)

DIAGNOSTICS_PERIOD_S = 1.0


class ManagedNode(LifecycleNode, ABC, Generic[ConfigT]):
    """A lifecycle node that has a config and reports its health. Subclasses say what the transitions do.

    A setting that is refused leaves the node unconfigured and says why; so does anything unexpected, with its
    traceback. rclpy by itself turns an exception into ERROR without a word.
    """

    config: ConfigT
    """The settings in force; replaced as a whole, so whoever uses more than one of them takes a reference first."""

    def __init__(self, name: str, config_class: type[ConfigT]) -> None:
        super().__init__(name)
        speak_for_core(self.get_logger())
        self.health = Health(lambda: self.get_clock().now().nanoseconds, self.get_logger())
        self.state = "unconfigured"
        self._given = Parameters(self, config_class, lambda: self.state != "unconfigured", self._set_config)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # In real time: that /clock does not run is something to report.
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_health, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.health.gauge("state", lambda: self.state)

    @abstractmethod
    def set_up(self) -> None:
        """Make everything that lasts while configured. May raise ``Seg3dError``."""

    @abstractmethod
    def begin(self) -> None:
        """Start hearing and working. May raise ``Seg3dError``."""

    @abstractmethod
    def halt(self) -> None:
        """Undo ``begin``, from any state."""

    @abstractmethod
    def release(self) -> None:
        """Undo ``begin`` and ``set_up``, from any state."""

    def config_changed(self) -> None:
        """A dynamic parameter was set and ``config`` replaced, in any state."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Parameters to config, model, warm-up; refused with the reason when a setting is wrong."""
        return self._transition("configure", self._configure, "inactive", self.release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        return self._transition("activate", self.begin, "active", self.halt)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop hearing and working; the model and the state stay."""
        return self._transition("deactivate", self.halt, "inactive")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything that configure made."""
        return self._transition("clean up", self.release, "unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From any state: stop and free."""
        return self._transition("shut down", self.release, "finalized")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that failed unexpectedly: free what there is and be unconfigured."""
        self.release()
        self.state = "unconfigured"
        return TransitionCallbackReturn.SUCCESS

    def shut_down(self) -> None:
        """Stop and free; the end of the process. What waited and is given up now is nobody's concern."""
        self.state = "finalized"
        self.release()

    def _configure(self) -> None:
        self.config = self._given.config
        with self.health.stage("configure"):
            self.set_up()

    def _transition(
        self, verb: str, act: Callable[[], None], reached: str, undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        try:
            act()
        except Seg3dError as error:
            self.health.problem("lifecycle", f"cannot {verb}: {error}")
            undo()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # said here, or nowhere
            self.health.failed(error)
            self.health.problem("lifecycle", f"cannot {verb}: internal error, {type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        self.state = reached
        self.health.problem("lifecycle", None)
        self.get_logger().info(f"{verb}: done, now {reached}")
        return TransitionCallbackReturn.SUCCESS

    def _set_config(self, config: Any) -> None:
        self.config = config
        self.config_changed()

    def _publish_health(self) -> None:
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [self.health.status(self.get_fully_qualified_name(), self.state)]
        self._diagnostics.publish(message)
