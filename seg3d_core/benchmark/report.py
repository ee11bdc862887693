"""Measureds as a table, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from seg3d_core.benchmark.by_turns import Comparison
from seg3d_core.benchmark.measured import Measured
from seg3d_core.data.atomic import atomic_path


def table(measurements: Sequence[Measured]) -> str:
    """A row for each size, in Markdown."""
    stages = [name for name in measurements[0].stage_ms if name != "other"]
    arithmetic = ["GFLOP", "GFLOP/s", "of peak", *measurements[0].ratios]
    head = [measurements[0].unit, *(f"{name} ms" for name in stages), "total ms", "memory MB", *arithmetic]
    lines = [head, ["---"] * len(head), *(_row(measurement, stages) for measurement in measurements)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def heading(measurement: Measured) -> str:
    """Where the figures hold."""
    return (
        f"{measurement.device}, {measurement.how}; "
        f"peak of one large matrix product {measurement.peak_gflops:.0f} GFLOP/s"
    )


def write_json(path: Path, measurements: Sequence[Measured | Comparison]) -> None:
    """All figures, for programs."""
    rows = [row.figures() for row in measurements]
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def write_plot(path: Path, measurements: Sequence[Measured], title: str) -> None:
    """Where the time goes at each size, and how much of the machine its arithmetic uses; PNG, SVG or PDF."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    time, share = figure.subplots(1, 2, width_ratios=(2, 1))
    sizes, unit = [f"{row.size:,}" for row in measurements], measurements[0].unit
    bottom = [0.0] * len(sizes)
    for name in measurements[0].stage_ms:
        values = [row.stage_ms.get(name, 0.0) / row.size * 1e3 for row in measurements]
        time.bar(sizes, values, bottom=bottom, label=name)
        bottom = [low + value for low, value in zip(bottom, values, strict=True)]
    for place, row in enumerate(measurements):
        time.text(place, bottom[place], f"{row.total_ms:.0f} ms", ha="center", va="bottom")
    time.set(xlabel=unit, ylabel=f"µs per {unit.removesuffix('s')}", title=title)
    figure.legend(reverse=True, fontsize="small", loc="outside left upper", handles=time.get_legend_handles_labels()[0])
    share.bar(sizes, [100 * row.peak_share for row in measurements], color="tab:gray")
    share.set(xlabel=unit, ylabel="% of peak", ylim=(0, 100), title=f"{measurements[0].counted_name}, GFLOP/s")
    share.tick_params(axis="x", rotation=30)
    with atomic_path(path) as partial:
        figure.savefig(partial, format=path.suffix.lstrip(".") or "png", dpi=120)


def _row(row: Measured, stages: Sequence[str]) -> list[str]:
    memory = "-" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}"
    times = [f"{row.stage_ms.get(name, 0):.0f}" for name in stages]
    arithmetic = [f"{row.gflop:.1f}", f"{row.gflops:.0f}", f"{row.peak_share:.0%}", *row.ratios.values()]
    return [f"{row.size:,}", *times, f"{row.total_ms:.0f}", memory, *arithmetic]
