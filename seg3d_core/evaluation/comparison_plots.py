"""Plots of a comparison: models beside each other, and what a swept setting does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seg3d_core.data.atomic import atomic_path
from seg3d_core.evaluation.figures import PROTOCOLS, SIZES, Background, Row, ap_over_overlap
from seg3d_core.evaluation.report import Entry, compared
from seg3d_core.learning.metrics import ApResult

_FIGURES = {"AP": "ap", "AP50": "ap50", "AP25": "ap25"}


def plot_models(path: Path, entries: Sequence[Entry], names: Sequence[str], background: Background) -> None:
    """Of each protocol a row: AP, AP50, AP25; AP50 by size of object; AP over overlap. PNG, SVG or PDF.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12 + 0.5 * max(0, len(entries) - 6), 7), layout="constrained")
    grid: Any = figure.subplots(len(PROTOCOLS), 3)
    for protocol, (overall, by_size, over_overlap) in zip(PROTOCOLS, grid, strict=True):
        rows = compared(entries, names, protocol, background)
        _bars(
            overall, rows, {name: [getattr(row.all_sizes, field) for row in rows] for name, field in _FIGURES.items()}
        )
        _bars(by_size, rows, {size: [row.by_size[size][1].ap50 for row in rows] for size in SIZES})
        overall.set(ylabel=protocol, title="all objects")
        by_size.set(title="AP50 by points of the object")
        for entry in entries:
            curve = ap_over_overlap(entry.records(names), background, PROTOCOLS[protocol].ranked)
            over_overlap.plot(list(curve), list(curve.values()), label=entry.label)
        over_overlap.set(title="AP over overlap", xlabel="overlap (IoU)", ylim=(0, 1))
        over_overlap.grid(alpha=0.3)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), fontsize="small")
    _save(figure, path)


def plot_sweep(
    path: Path, setting: str, entries: Sequence[Entry], names: Sequence[str], background: Background
) -> None:
    """AP and AP50 over the values of a setting, a line for each model and choice of the other swept settings.

    Models that do not have the setting are level lines. Values stand in the order of the command, evenly.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    values = list(dict.fromkeys(dict(entry.swept)[setting] for entry in entries if setting in dict(entry.swept)))
    places = {value: float(place) for place, value in enumerate(values)}
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels: Any = figure.subplots(1, len(PROTOCOLS))
    for protocol, axes in zip(PROTOCOLS, panels, strict=True):
        for number, (label, line) in enumerate(_lines(setting, entries).items()):
            results = [row.all_sizes for row in compared(line, names, protocol, background)]
            x = [places[dict(entry.swept)[setting]] for entry in line if setting in dict(entry.swept)]
            _sweep_line(axes, x or [min(places.values()), max(places.values())], results, label, f"C{number % 10}")
        axes.set_xticks(list(places.values()), values)
        axes.set(xlabel=setting, title=protocol, ylim=(0, 1))
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="AP50 (line), AP (dashes)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), fontsize="small")
    _save(figure, path)


def _bars(axes: Any, rows: Sequence[Row], groups: dict[str, list[float]]) -> None:
    """A group of bars for each name, a bar for each model; what does not exist is left out."""
    width = 0.8 / len(rows)
    for place, row in enumerate(rows):
        x = np.arange(len(groups)) + (place - (len(rows) - 1) / 2) * width
        bars = axes.bar(x, np.nan_to_num([values[place] for values in groups.values()]), width, label=row.name)
        if len(rows) <= 5:
            axes.bar_label(bars, fmt="%.2f", fontsize="x-small")
    axes.set_xticks(np.arange(len(groups)), list(groups))
    axes.set(ylim=(0, 1.08))  # room for the label of a perfect bar


def _sweep_line(axes: Any, x: Sequence[float], results: Sequence[ApResult], label: str, colour: str) -> None:
    for field, style in (("ap50", "o-"), ("ap", "o--")):
        y = [getattr(result, field) for result in results]
        y, marked = (y, style) if len(y) == len(x) else (y * len(x), style[1:])
        axes.plot(x, y, marked, color=colour, label=label if field == "ap50" else None)


def _lines(setting: str, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries that differ in nothing but the setting, by what they have in common."""
    lines: dict[str, list[Entry]] = {}
    for entry in entries:
        others = [f"{name.rpartition('.')[2]}={value}" for name, value in entry.swept if name != setting]
        lines.setdefault(" ".join([entry.model, *others]), []).append(entry)
    return lines


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as partial:
        figure.savefig(partial, format=path.suffix.lstrip(".") or "png", dpi=120)
