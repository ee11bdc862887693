"""The demo's closing table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from seg3d_core.learning.id_stability import id_changes
from seg3d_core.learning.metrics import ApResult
from seg3d_ros.demo.observer import Observation, Result

Row = tuple[str, str]


def graph_rows(seen: Observation) -> list[Row]:
    """What the nodes say about themselves on /diagnostics: inputs, drops, time per stage."""
    rows: list[Row] = []
    for name, values in sorted(seen.diagnostics.items()):
        node = name.lstrip("/")
        counts = {key: values.get(f"frames_{key}", "?") for key in ("in", "used", "dropped", "bad")}
        rows.append((f"{node}: inputs", ", ".join(f"{count} {key}" for key, count in counts.items())))
        for key, p50 in values.items():
            if key.startswith("latency_ms_") and key.endswith("_p50"):
                stage = key.removeprefix("latency_ms_").removesuffix("_p50")
                p95 = values[key.removesuffix("p50") + "p95"]
                spread = "" if p50 == p95 else f" median, {_ms(p95)} ms p95"
                rows.append((f"{node}: {stage}", f"{_ms(p50)} ms{spread}"))
    return rows


def result_rows(results: Sequence[Result]) -> list[Row]:
    """How many instances came out."""
    counts = [len(result.instance_ids) for result in results]
    return [
        ("results", f"{len(results)}, the last with {len(results[-1].cloud):,} points"),
        ("instances", f"{counts[-1]} in the last result, {min(counts)} to {max(counts)} on the way"),
    ]


def id_rows(results: Sequence[Result]) -> list[Row]:
    """Whether objects kept their ids from one result to the next, and how many did for most of the run."""
    if len(results) < 2:
        return []
    # A pair at a time: masks of a whole run would not fit in memory.
    changes = [id_changes([before.instances(), after.instances()]) for before, after in pairwise(results)]
    again, lost = sum(change.objects for change in changes), sum(change.switches for change in changes)
    middle = set(results[len(results) // 2].instance_ids.tolist())
    lasting = middle.intersection(results[-1].instance_ids.tolist())
    kept = f"{100 * (again - lost) / max(again, 1):.1f} % of {again} found again in the next result"
    return [("ids kept", f"{kept}; {len(lasting)} of {len(middle)} at half time are there at the end")]


def age_rows(results: Sequence[Result], late_ns: Collection[int] = ()) -> list[Row]:
    """How old the data was when its result arrived, and whether that grew.

    Without results of the stamps ``late_ns``, which waited for a camera that had stopped.
    """
    results = [result for result in results if result.cloud.stamp_ns not in late_ns]
    if not results:
        return []
    ages = np.array([result.age_s for result in results])
    rows = [("age on arrival", f"{np.median(ages):.2f} s median, {np.percentile(ages, 95):.2f} s p95")]
    if len(ages) >= 4:
        quarters = [float(np.median([result.age_s for result in part])) for part in _quarters(results)]
        medians = " / ".join(f"{age:.2f}" for age in quarters)
        ratio = quarters[3] / quarters[1] if quarters[1] > 0 else np.inf
        rows.append(("age, by quarter of the run", f"{medians} s median; last / second {ratio:.2f}"))
        points = [np.median([len(result.cloud) for result in part]) for part in _quarters(results)]
        rows.append(("map, by quarter", " / ".join(f"{1e-3 * count:.0f}" for count in points) + " thousand points"))
    return rows


def _quarters(results: Sequence[Result]) -> list[Sequence[Result]]:
    ends = np.linspace(0, len(results), 5).round().astype(int).tolist()
    return [results[first:last] for first, last in pairwise(ends)]


def accuracy_rows(ap: ApResult, mean_best_iou: float) -> list[Row]:
    """Agreement with the ground truth."""
    return [
        ("AP / AP50 / AP25", f"{ap.ap:.3f} / {ap.ap50:.3f} / {ap.ap25:.3f} ({ap.targets} objects)"),
        ("best IoU per object", f"{mean_best_iou:.2f} mean"),
    ]


def format_table(rows: Sequence[Row]) -> str:
    """Two aligned columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


def _ms(text: str) -> str:
    return f"{float(text):.0f}" if float(text) >= 10 else f"{float(text):.1f}"
