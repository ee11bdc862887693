"""recorder_node: what the robot saw, what people clicked and what was found, as rosbag2 recordings (MCAP)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from rclpy.clock import Clock, ClockType
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from seg3d_core.errors import InputError, Seg3dError
from seg3d_core.recording.image_compression import IMAGE, jpeg, lossless_depth
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.recorder import Recorder
from seg3d_core.recording.topics import RecordedTopic, TypeDefinitions
from seg3d_ros.lifecycle import ManagedNode
from seg3d_ros.prompt_services import WorkerServices
from seg3d_ros.recorded_parameters import ParametersOf, as_text, model_digest
from seg3d_ros.recorded_topics import RateLimit, RecordedTopics
from seg3d_ros.recorder_settings import RecorderNodeConfig
from seg3d_ros.running import run

LOOK_PERIOD_S = 0.25
"""How often publishers are looked at."""

BEGIN_LIMIT_S = 10.0
"""A disk on which no folder can be made within this is not recorded to."""

SETTLED_S = 1.0
"""What a latched event topic repeats within this of being heard is of the past, and no event."""

PARAMETERS = "~/parameters"


class RecorderNode(ManagedNode[RecorderNodeConfig]):
    """Hands every message it hears, as bytes, to the thread of a ``Recorder``."""

    def __init__(self) -> None:
        super().__init__("recorder_node", RecorderNodeConfig)
        self._recorder: Recorder | None = None
        self._topics: RecordedTopics | None = None
        self._nodes: ParametersOf | None = None
        self._definitions = TypeDefinitions()
        self._found_parameters: dict[str, dict[str, Any]] = {}
        self._digests: dict[str, str] = {}
        self._event_due_s: float | None = None
        self._last = ""
        actions = {"start": self._begin, "stop": self._end, "snapshot": self._snapshot}
        WorkerServices(self, self._run_soon, self.health.refused, actions, waits_for="the disk")
        self.create_timer(LOOK_PERIOD_S, self._look_around, clock=Clock(clock_type=ClockType.STEADY_TIME))
        for name, read in self._gauges().items():
            self.health.gauge(name, read)

    # States.

    def set_up(self) -> None:
        """See ``ManagedNode``."""
        self._recorder = Recorder(
            self.config.recording,
            self.config.mode != "continuous",
            stopped=lambda error: self.health.problem("disk", str(error)),
            failed=self.health.failed,
            crashed=self.health.failed,
        )

    def begin(self) -> None:
        """See ``ManagedNode``."""
        recorder, config = self._recorder, self.config
        assert recorder is not None
        recorder.start()
        if config.mode == "continuous":
            self._wait_for(recorder, self._begin)
        limits = {
            self.resolve_topic_name(name): RateLimit(config.cloud_period_s) for name in config.cloud_topics.split()
        }
        self._topics = RecordedTopics(
            self, self._names(), self._definitions, limits, self._announced, self._take, self.health
        )
        self._nodes = ParametersOf(self, config.parameters_of.split(), self._hear_parameters)

    def halt(self) -> None:
        """See ``ManagedNode``."""
        if self._topics is not None:
            self._topics.flush()
            self._topics.destroy()
        if self._nodes is not None:
            self._nodes.destroy()
        self._topics = self._nodes = self._event_due_s = None
        if self._recorder is not None and not self._recorder.stop():
            raise TimeoutError("the disk has not taken yet what was recorded; it is still being written")

    def release(self) -> None:
        """See ``ManagedNode``."""
        self.halt()
        self._recorder = None

    # What is heard.

    def _names(self) -> list[str]:
        """The topics to hear; of images those of the transport that was asked for."""
        config = self.config
        transports = {
            "rgb/image_rect_color": config.image_transport,
            "depth_registered/image_rect": config.depth_image_transport,
        }
        names = []
        for name in [*config.topics.split(), *config.more_topics.split(), *self._event_names()]:
            transport = transports.get(name, "raw")
            names.append(name if transport == "raw" else f"{self.resolve_topic_name(name)}/{transport}")
        return names

    def _event_names(self) -> list[str]:
        return self.config.event_topics.split() if self.config.mode == "on_event" else []

    def _announced(self, topic: RecordedTopic) -> None:
        """Compress what is to be compressed."""
        assert self._recorder is not None
        config, base = self.config, self.resolve_topic_name
        if topic.type_name != IMAGE:
            return
        if topic.name == base("rgb/image_rect_color") and config.colour == "jpeg":
            self._recorder.prepare(topic.name, jpeg(self._definitions, topic, config.jpeg_quality))
        if topic.name == base("depth_registered/image_rect") and config.depth != "as_received":
            self._recorder.prepare(topic.name, lossless_depth(self._definitions, topic, config.depth))

    def _take(self, message: RecordedMessage) -> None:
        self.health.count("frames_in")
        if self._recorder is None or self._topics is None:
            return
        if self._recorder.put(message):
            self.health.count("frames_used")
        name = message.topic.name
        events = [self.resolve_topic_name(event) for event in self._event_names()]
        is_old = message.topic.is_latched and self._topics.heard_for_s(name) < SETTLED_S
        if name in events and not is_old:
            self._event_due_s = time.monotonic() + self.config.event_tail_s

    def _hear_parameters(self, name: str, values: dict[str, Any]) -> None:
        if self._recorder is not None:
            self._recorder.call(lambda: self._keep_parameters(name, values))

    # On the recorder's thread.

    def _keep_parameters(self, name: str, values: dict[str, Any]) -> None:
        """Record all parameters that are known by now; they are latched, so every file has them."""
        self._found_parameters[name] = values
        digest = model_digest(values)
        if digest is None:
            self._digests.pop(name, None)
        else:
            self._digests[name] = digest
        topic = self._definitions.topic(self.resolve_topic_name(PARAMETERS), "std_msgs/msg/String", is_latched=True)
        now_ns = self.get_clock().now().nanoseconds
        text = String(data=as_text(self._found_parameters, self._digests))
        if self._recorder is not None:
            self._recorder.put(RecordedMessage(topic, now_ns, now_ns, serialize_message(text)))

    def _begin(self) -> str:
        assert self._recorder is not None
        path = self._new_path()
        self._recorder.begin(path, {"recorded_by": self.get_fully_qualified_name()}, self.get_clock().now().nanoseconds)
        self.health.problem("disk", None)
        return self._said(f"recording to {path}")

    def _end(self) -> str:
        assert self._recorder is not None
        return self._said(f"recorded {self._recorder.end()}")

    def _snapshot(self) -> str:
        assert self._recorder is not None
        return self._said(f"kept {self._recorder.snapshot(self._new_path(), {'recorded_by': self.get_name()})}")

    def _said(self, text: str) -> str:
        self._last = text
        self.get_logger().info(text)
        return text

    def _new_path(self) -> Path:
        """A folder that does not exist yet, named by the time of the day."""
        folder = Path(self.config.folder).expanduser()
        name = datetime.now().strftime("seg3d_%Y-%m-%d-%H-%M-%S")
        path, number = folder / name, 2
        while path.exists():
            path, number = folder / f"{name}-{number}", number + 1
        return path

    # Callbacks.

    def _run_soon(self, function: Callable[[], None]) -> bool:
        if self._recorder is None or self._topics is None or self.state != "active":
            return False
        self._topics.flush()
        return self._recorder.call(function)

    def _look_around(self) -> None:
        if self.state != "active" or self._topics is None or self._nodes is None or self._recorder is None:
            return
        self._topics.look()
        self._nodes.look()
        if self._event_due_s is not None and time.monotonic() >= self._event_due_s:
            self._event_due_s = None
            self._topics.flush()
            self._recorder.call(self._keep_event)
        dropped = self._recorder.dropped()
        told = ", ".join(f"{name}: {count}" for name, count in sorted(dropped.items()))
        self.health.warning("queue", f"messages dropped, the disk is too slow: {told}" if dropped else None)

    def _keep_event(self) -> None:
        try:
            self._snapshot()
        except Seg3dError as error:
            self.health.problem("disk", str(error))

    def _wait_for(self, recorder: Recorder, action: Callable[[], object]) -> None:
        """Do something on the recorder's thread, now, and raise here what it raises there."""
        done = threading.Event()
        failures: list[Seg3dError] = []

        def act() -> None:
            try:
                action()
            except Seg3dError as error:
                failures.append(error)
            finally:
                done.set()

        recorder.call(act)
        if not done.wait(BEGIN_LIMIT_S):
            raise InputError(f"{self.config.folder}: no folder can be made within {BEGIN_LIMIT_S:g} s")
        if failures:
            raise failures[0]

    def _gauges(self) -> dict[str, Callable[[], object]]:
        def status(name: str, otherwise: object) -> Callable[[], object]:
            return lambda: getattr(self._recorder.status(), name) if self._recorder else otherwise

        return {
            "recording": lambda: status("path", None)() or "",
            "recorded_messages": status("messages", 0),
            "frames_dropped": status("dropped", 0),
            "queue_bytes": status("waiting_bytes", 0),
            "ring_s": lambda: f"{status('ring_s', 0.0)():.1f}",
            "ring_bytes": status("ring_bytes", 0),
            "topics": lambda: len(self._topics.names) if self._topics else 0,
            "last_recording": lambda: self._last,
        }


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the node until it is interrupted; ends the process."""
    run(RecorderNode, arguments)


if __name__ == "__main__":
    main()
