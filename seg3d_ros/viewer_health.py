"""Diagnostics of the package's nodes as the viewer's panel shows them."""

from __future__ import annotations

import time
from typing import Literal

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from seg3d_core.live_view.health import NodeHealth

SILENT_S = 5.0
"""A node that says nothing for so long, of what it says every second, is not well."""

MAX_NODES = 16
"""So many are listed."""


ONCE = ("configure", "warm_up")
"""Stages at the start, no latencies."""


class NodesHealth:
    """The newest diagnostics of each node that counts frames."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[NodeHealth, float]] = {}

    def hear(self, message: DiagnosticArray) -> None:
        """Keep what is said; of other programs nothing."""
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if "frames_in" in values and (status.name in self._heard or len(self._heard) < MAX_NODES):
                self._heard[status.name] = node_health(status, values), time.monotonic()

    def now(self) -> list[NodeHealth]:
        """All of them, by name."""
        return [
            health if time.monotonic() - heard_s < SILENT_S else silent(health)
            for _, (health, heard_s) in sorted(self._heard.items())
        ]


def node_health(status: DiagnosticStatus, values: dict[str, str]) -> NodeHealth:
    """One status as figures."""
    stages = [key[len("latency_ms_") : -len("_p50")] for key in values if _is_median(key)]
    stages = [stage for stage in stages if stage not in ONCE]
    latency_ms = tuple(
        (stage, values[f"latency_ms_{stage}_p50"], values.get(f"latency_ms_{stage}_p95", "?")) for stage in stages
    )
    levels: dict[bytes, Literal["ok", "warning"]] = {DiagnosticStatus.OK: "ok", DiagnosticStatus.WARN: "warning"}
    return NodeHealth(
        name=status.name,
        level=levels.get(status.level, "error"),
        summary=status.message,
        rate_hz=values.get("rate_hz", "?"),
        inputs=values["frames_in"],
        used=values.get("frames_used", "?"),
        dropped=values.get("frames_dropped", "?"),
        bad=values.get("frames_bad", "?"),
        latency_ms=latency_ms,
        age_ms=(values["age_ms_p50"], values.get("age_ms_p95", "?")) if "age_ms_p50" in values else None,
    )


def silent(health: NodeHealth) -> NodeHealth:
    """A node that has not been heard of for long."""
    return NodeHealth(health.name, "error", f"silent for {SILENT_S:g} s or more", *["?"] * 5, (), None)


def _is_median(key: str) -> bool:
    return key.startswith("latency_ms_") and key.endswith("_p50")
