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
    memory = ["peak MB"] if pooled.peak_bytes is not None else []
    head = ["scene", "points", "found", "true", "AP", "AP50", "AP25", "recall50", "precision50", *sizes, "s", *memory]
    scenes = markdown([head, *(_scene(row, bool(memory)) for row in [*rows, pooled])])
    head = ["object size", "found", "true", "AP", "AP50", "AP25", "recall50", "precision50"]
    by_size = [[f"{label} points", *_figures(*entry)] for label, entry in pooled.by_size.items()]
    return f"{scenes}\n\n{markdown([head, *by_size])}"


def format_comparison(rows: Sequence[Row]) -> str:
    """Models, each pooled over its scenes: all objects, then by size of object."""
    head = ["model", "found", "true", "AP", "AP50", "AP25", "recall50", "precision50", "s a scene", "peak MB"]
    models = [[row.name, *_figures(row.found, row.all_sizes), f"{row.seconds:.2f}", _megabytes(row)] for row in rows]
    names = [f"{figure} {label}" for label in SIZES for figure in ("AP", "AP50", "AP25")]
    sized = [
        [row.name, *(number(v) for _, result in row.by_size.values() for v in (result.ap, result.ap50, result.ap25))]
        for row in rows
    ]
    true = ["objects", *(text for _, result in rows[0].by_size.values() for text in (str(result.targets), "", ""))]
    return f"{markdown([head, *models])}\n\n{markdown([['model', *names], *sized, true])}"


def _megabytes(row: Row) -> str:
    return "-" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}"


def _scene(row: Row, with_memory: bool) -> Cells:
    sizes = [number(result.ap50) for _, result in row.by_size.values()]
    memory = [_megabytes(row)] if with_memory else []
    return [row.name, f"{row.points:,}", *_figures(row.found, row.all_sizes), *sizes, f"{row.seconds:.2f}", *memory]


def _figures(found: int, result: ApResult) -> Cells:
    shares = (result.ap, result.ap50, result.ap25, result.recall50, result.precision50)
    return [str(found), str(result.targets), *map(number, shares)]


def number(value: float) -> str:
    """A share, or a dash where it does not exist."""
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
