from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from diagnostic_msgs.msg import DiagnosticStatus

from seg3d_core.errors import InputError
from seg3d_ros import health as module
from seg3d_ros.health import Health

S = 1_000_000_000


class Log:
    """Remembers what a node's logger was told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def error(self, text: str) -> None:
        self.errors.append(text)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that passes for rates and repetitions, s; set its only element."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def health(log: Log, clock: list[float]) -> Health:
    return Health(lambda: 10 * S, log)


def values(health: Health, state: str = "active") -> dict[str, str]:
    return {value.key: value.value for value in health.status("/node", state).values}


def test_everything_that_is_counted_is_shown(health: Health) -> None:
    health.count("frames_in", 5)
    health.count("frames_used", 2)
    health.gauge("queue", lambda: 3)
    shown = values(health)
    assert (shown["frames_in"], shown["frames_used"], shown["frames_dropped"], shown["queue"]) == ("5", "2", "0", "3")
    assert shown["rate_hz"] == "0.20"


def test_age_and_latency_are_quantiles(health: Health) -> None:
    for age_s in range(1, 10):
        health.published((10 - age_s) * S)
    with health.stage("segment"):
        pass
    shown = values(health)
    assert shown["age_ms_p50"] == "5000.0"
    assert float(shown["latency_ms_segment_p95"]) >= 0


def test_a_stage_that_fails_is_not_measured(health: Health) -> None:
    with pytest.raises(InputError), health.stage("decode"):
        raise InputError("no")
    assert "latency_ms_decode_p50" not in values(health)


def test_a_refusal_is_said_once_and_counted_always(health: Health, log: Log, clock: list[float]) -> None:
    for number in range(50):
        health.failed(InputError(f"depth has {number} bytes"))
    health.failed(InputError("another sentence"))
    assert log.warnings == ["depth has 0 bytes", "another sentence"]
    clock[0] += module.SAY_AGAIN_S
    health.failed(InputError("depth has 99 bytes"))
    assert log.warnings[2:] == ["depth has 99 bytes (51 times so far)"]
    shown = values(health)
    assert shown["frames_bad"] == "52"
    assert shown["refused: depth has 99 bytes"] == "51"
    assert shown["last_error"] == "depth has 99 bytes"


def test_messages_do_not_pile_up(health: Health) -> None:
    for letter in "abcdefghijklmnopqrstuvwxyz":
        health.failed(InputError(letter))
    assert sum(key.startswith("refused: ") for key in values(health)) == module.MAX_MESSAGES


def test_a_bug_is_logged_with_its_traceback(health: Health, log: Log) -> None:
    try:
        int("seven")
    except ValueError as error:
        health.failed(error)
    assert "ValueError: invalid literal for int() with base 10: 'seven'" in log.errors[0]
    assert "test_health.py" in log.errors[0]
    assert health.status("/node", "active").level == DiagnosticStatus.ERROR
    assert values(health)["crashes"] == "1"


def test_levels_tell_the_worst_and_recover(health: Health, log: Log, clock: list[float]) -> None:
    def judged(state: str = "active") -> tuple[bytes, str]:
        status = health.status("/node", state)
        return status.level, status.message

    assert judged("inactive") == (DiagnosticStatus.OK, "inactive, 0.0 Hz")
    assert judged() == (DiagnosticStatus.WARN, "active, but no input in 10 s")
    health.count("frames_in")
    assert judged()[0] == DiagnosticStatus.OK
    health.failed(InputError("bad"))
    assert judged() == (DiagnosticStatus.WARN, "1 inputs refused in 10 s: bad")
    health.problem("/cloud", "incompatible QoS on /cloud")
    health.problem("/cloud", "incompatible QoS on /cloud")
    assert log.errors == ["incompatible QoS on /cloud"]
    assert judged() == (DiagnosticStatus.ERROR, "incompatible QoS on /cloud")
    health.problem("/cloud", None)
    clock[0] += 11
    health.count("frames_in")
    assert judged()[0] == DiagnosticStatus.OK


def test_a_warning_stands_until_it_is_lifted(health: Health, log: Log) -> None:
    health.count("frames_in")
    for _ in range(3):
        health.warning("model", "memory is short")
    assert log.warnings == ["memory is short"], "said once"
    status = health.status("/node", "active")
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "memory is short")
    health.warning("model", None)
    assert health.status("/node", "active").level == DiagnosticStatus.OK


def test_every_refused_prompt_is_said(health: Health, log: Log) -> None:
    health.count("frames_in")
    for _ in range(2):
        health.refused("clicked_point: too far")
    assert log.warnings == ["clicked_point: too far", "clicked_point: too far (2 times so far)"]
    status = health.status("/node", "active")
    assert (status.level, status.message) == (
        DiagnosticStatus.WARN,
        "2 prompts refused in 10 s: clicked_point: too far",
    )
    assert values(health)["prompts_refused"] == "2"
    assert values(health)["frames_bad"] == "0"
