"""Tables for the terminal, which are Markdown as well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seg3d_core.evaluation.figures import SIZES, Row
from seg3d_core.learning.metrics import ApResult

Cells = list[str]


def format_tables(rows: Sequence[Row], pooled: Row) -> str:
    """Scenes and their pool, then the pool by size of object."""
    sizes = [f"AP50 {label}" for label in SIZES]
    head = ["scene", "points", "found", "true", "AP", "AP50", "AP25", "recall50", "precision50", *sizes, "s"]
    scenes = markdown([head, *(_scene(row) for row in [*rows, pooled])])
    head = ["object size", "found", "true", "AP", "AP50", "AP25", "recall50", "precision50"]
    by_size = [[f"{label} points", *_figures(*entry)] for label, entry in pooled.by_size.items()]
    return f"{scenes}\n\n{markdown([head, *by_size])}"


def _scene(row: Row) -> Cells:
    sizes = [_number(result.ap50) for _, result in row.by_size.values()]
    return [row.name, f"{row.points:,}", *_figures(row.found, row.all_sizes), *sizes, f"{row.seconds:.2f}"]


def _figures(found: int, result: ApResult) -> Cells:
    shares = (result.ap, result.ap50, result.ap25, result.recall50, result.precision50)
    return [str(found), str(result.targets), *map(_number, shares)]


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def markdown(lines: Sequence[Cells]) -> str:
    """Lines of cells as an aligned table; the first line is its head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = [("-" * width if column == 0 else "-" * (width - 1) + ":") for column, width in enumerate(widths)]
    padded = [
        [cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zipped)]
        for zipped in (list(zip(line, widths, strict=True)) for line in [lines[0], rule, *lines[1:]])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
