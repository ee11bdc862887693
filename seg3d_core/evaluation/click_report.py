"""What an evaluation by clicks says at its end: a table, a plot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seg3d_core.data.atomic import atomic_path
from seg3d_core.evaluation.click_records import (
    Means,
    ObjectRecord,
    SkippedObject,
    mean_over_groups,
    means_by_group,
    means_of,
)
from seg3d_core.evaluation.tables import markdown

PAPER = {
    "partnet_mobility": {1: 47.9, 3: 67.7, 5: 74.2, 7: 77.0, 10: 78.6},
    "scanobjectnn": {1: 49.4, 3: 75.3, 5: 82.0, 7: 84.8, 10: 86.3},
    "s3dis": {1: 47.6, 3: 78.4, 5: 86.2, 7: 89.2, 10: 90.4},
    "kitti360": {1: 49.4, 3: 74.4, 5: 81.7, 7: 84.3, 10: 85.8},
}
"""IoU in percent after so many clicks of Point-SAM ViT-L, as its paper says (arXiv 2406.17741, version 1)."""

MOST_ROWS = 40
"""Scenes that have rows of their own in the table."""


def format_clicks(records: Sequence[ObjectRecord], compared: str | None = None) -> str:
    """IoU in percent after each click, of scenes and of all; beside the paper's where ``compared`` names its data set.

    Args:
        records: at least one.
        compared: key of ``PAPER``.
    """
    groups = means_by_group(records)
    clicks = shown_clicks(len(records[0].iou))
    head = ["scene", "objects", *(f"@{k}" for k in clicks), "best of 3", "first ms", "later ms"]
    has_rows = len(groups) <= MOST_ROWS
    rows = [_row(name, means, clicks) for name, means in _short(groups).items()] if has_rows else []
    rows.append(_row("mean over objects", means_of(records), clicks))
    rows.append(
        _row(f"mean over {len(groups)} scene{'s' * (len(groups) > 1)}", mean_over_groups(list(groups.values())), clicks)
    )
    if compared is not None:
        paper = [f"{PAPER[compared][k]:.1f}" if k in PAPER[compared] else "" for k in clicks]
        rows.append([f"Point-SAM ViT-L, paper, {compared}", "", *paper, "", "", ""])
    left_out = "" if has_rows else f"\n(rows of more than {MOST_ROWS} scenes are left out, --csv has every object)"
    return markdown([head, *rows]) + left_out


def format_skipped(skipped: Sequence[SkippedObject]) -> str:
    """How many objects were not clicked on, by reason; empty where all were."""
    return "\n".join(f"skipped {count}: {reason}" for reason, count in Counter(one.reason for one in skipped).items())


def shown_clicks(clicks: int) -> list[int]:
    """Numbers of clicks that have a column: all up to 10, then every fifth, and the last."""
    return [k for k in range(1, clicks + 1) if k <= 10 or k % 5 == 0 or k == clicks]


def write_plot(path: Path, records: Sequence[ObjectRecord], title: str, compared: str | None = None) -> None:
    """IoU over clicks: mean and middle half of the objects; PNG, SVG or PDF.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes: Any = figure.subplots()
    iou = np.array([record.iou for record in records]) * 100
    clicks = np.arange(1, iou.shape[1] + 1)
    low, high = np.percentile(iou, (25, 75), axis=0)
    axes.fill_between(clicks, low, high, alpha=0.2, linewidth=0, label="middle half of the objects")
    axes.plot(clicks, iou.mean(axis=0), marker="o", label=f"mean of {len(records)} objects")
    best = 100 * float(np.mean([record.best_of_first for record in records]))
    axes.plot([1], [best], marker="^", linestyle="", color="tab:gray", label="best of the first three candidates")
    if compared is not None:
        paper = PAPER[compared]
        axes.plot(list(paper), list(paper.values()), "s--", color="tab:orange", label=f"Point-SAM ViT-L, {compared}")
    axes.set(xlabel="clicks", ylabel="IoU, %", ylim=(0, 100), title=title)
    axes.set_xticks(clicks if len(clicks) <= 20 else clicks[4::5])
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    with atomic_path(path) as partial:
        figure.savefig(partial, format=path.suffix.lstrip(".") or "png", dpi=120)


def _row(name: str, means: Means, clicks: Sequence[int]) -> list[str]:
    iou = [f"{100 * means.iou[k - 1]:.1f}" for k in clicks]
    times = ["-" if np.isnan(value) else f"{value:.0f}" for value in (means.first_ms, means.later_ms)]
    return [name, str(means.objects), *iou, f"{100 * means.best_of_first:.1f}", *times]


def _short(groups: dict[str, Means]) -> dict[str, Means]:
    """Without the folder that all names begin with."""
    folders = {name.rpartition("/")[0] for name in groups}
    cut = len(folders.pop()) + 1 if len(folders) == 1 and "" not in folders else 0
    return {name[cut:]: means for name, means in groups.items()}
