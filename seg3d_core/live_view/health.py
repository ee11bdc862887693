"""What the panel says about each node: whether it is well, how fast it is and what it loses."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NodeHealth:
    """One node as its diagnostics say.

    Attributes:
        name: full name.
        level: of the summary.
        summary: in words.
        rate_hz: results a second.
        inputs: that came.
        used: of these.
        dropped: of these, because newer ones came.
        bad: of these, because they could not be used.
        latency_ms: (stage, median, 95 % quantile).
        age_ms: of results when they left, median and 95 % quantile; None where there were none.
    """

    name: str
    level: Literal["ok", "warning", "error"]
    summary: str
    rate_hz: str
    inputs: str
    used: str
    dropped: str
    bad: str
    latency_ms: tuple[tuple[str, str, str], ...]
    age_ms: tuple[str, str] | None


_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


def health_text(nodes: Iterable[NodeHealth]) -> str:
    """Markdown: a table of figures, and below it what is wrong."""
    lines = ["| node | Hz | in | used | dropped | bad |", "|---|---|---|---|---|---|"]
    details = []
    for node in nodes:
        cells = (node.name.lstrip("/"), node.rate_hz, node.inputs, node.used, node.dropped, node.bad)
        lines.append(f"| {_SIGNS[node.level]} {' | '.join(map(plain, cells))} |")
        spent = " · ".join(f"{stage} {median} ({high})" for stage, median, high in node.latency_ms)
        aged = [] if node.age_ms is None else [f"age {node.age_ms[0]} ({node.age_ms[1]})"]
        figures = " · ".join([*aged, *([spent] if spent else [])])
        if figures:
            details.append(f"{plain(node.name.lstrip('/'))}, ms median (p95): {plain(figures)}")
        if node.level != "ok":
            details.append(f"**{plain(node.name.lstrip('/'))}: {plain(node.summary)}**")
    return "\n".join(lines) + "\n\n" + "\n\n".join(details)


def plain(text: str) -> str:
    """Text from elsewhere as it is: neither markup nor the end of a table's cell."""
    words = html.escape(" ".join(text.split())).replace("|", "/")
    return "".join(f"\\{sign}" if sign in "*_`[]#~$" else sign for sign in words)
