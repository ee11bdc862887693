"""The folder that a comparison leaves behind: tables, figures for other programs, plots."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import ConfigError
from seg3d_core.evaluation.comparison_plots import plot_models, plot_sweep
from seg3d_core.evaluation.figures import PROTOCOLS, Background, Row, make_row
from seg3d_core.evaluation.report import (
    BACKGROUND_TEXTS,
    PROTOCOL_TEXTS,
    Entry,
    compared,
    scene_rows,
    short_names,
)
from seg3d_core.evaluation.tables import format_comparison, markdown, number
from seg3d_core.learning.metrics import ApResult

RESULTS = "results"
"""Folder below it with a file for each model, from which the same command goes on."""

_COLUMNS = (
    "protocol", "background", "model", "scene", "size", "points", "found", "true", "ap", "ap50", "ap25", "recall50",
    "precision50", "seconds", "peak_bytes",
)  # fmt: skip


def make_results_folder(folder: Path) -> None:
    """Make it and the one for results where they are not there.

    Raises:
        ConfigError: that cannot be done.
    """
    try:
        (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot make the folder: {error.strerror or error}") from error


def results_path(folder: Path, label: str) -> Path:
    """Where the results of a model are kept."""
    plain = "".join(letter if letter.isalnum() or letter in "-+=." else "_" for letter in label)
    return folder / RESULTS / f"{plain}.json"


def write_folder(folder: Path, entries: Sequence[Entry], names: Sequence[str], background: Background) -> list[Path]:
    """Tables of both protocols (Markdown), every figure (CSV), plots; the files, in this order.

    Args:
        folder: is there.
        entries: models with at least one scene.
        names: of the scenes.
        background: how it counts.

    Raises:
        InputError: a file cannot be written.
    """
    tables, figures, plot = folder / "tables.md", folder / "figures.csv", folder / "models.png"
    with atomic_path(tables) as partial:
        partial.write_text(_tables(entries, names, background), encoding="utf-8")
    _write_csv(figures, entries, names, background)
    plot_models(plot, entries, names, background)
    return [tables, figures, plot, *_sweeps(folder, entries, names, background)]


def _tables(entries: Sequence[Entry], names: Sequence[str], background: Background) -> str:
    parts = [f"# {len(names)} scenes, {len(entries)} models", f"Background: {BACKGROUND_TEXTS[background]}."]
    for protocol, text in PROTOCOL_TEXTS.items():
        parts += [f"## {text[0].upper()}{text[1:]}", format_comparison(compared(entries, names, protocol, background))]
    for protocol in PROTOCOL_TEXTS:
        parts += [f"## AP50 of each scene, {protocol}", _by_scene(entries, names, protocol, background)]
    parts += ["## Settings", _settings(entries)]
    failed = [f"- {one.label}: {name}: {why}" for one in entries for name, why in one.results.failures.items()]
    parts += ["## Not evaluated", "\n".join(failed)] if failed else []
    return "\n\n".join(parts) + "\n"


def _by_scene(entries: Sequence[Entry], names: Sequence[str], protocol: str, background: Background) -> str:
    short = short_names(names)
    by_model = [{row.name: row for row in scene_rows(entry, names, protocol, background)} for entry in entries]
    lines = []
    for name in names:
        rows = [rows.get(name) for rows in by_model]
        true = next((str(row.all_sizes.targets) for row in rows if row is not None), "-")
        lines.append([short[name], true, *("-" if row is None else number(row.all_sizes.ap50) for row in rows)])
    return markdown([["scene", "true", *(entry.label for entry in entries)], *lines])


def _settings(entries: Sequence[Entry]) -> str:
    """Everything that results depend on, model by model."""
    return "\n".join(
        f"- {entry.label}: " + ", ".join(f"{name}={value}" for name, value in entry.results.settings.items())
        for entry in entries
    )


def _write_csv(path: Path, entries: Sequence[Entry], names: Sequence[str], background: Background) -> None:
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        for protocol in PROTOCOLS:
            for entry in entries:
                records = entry.records(names)
                pooled = make_row("all", records, PROTOCOLS[protocol], background)
                for row in [*scene_rows(entry, names, protocol, background), pooled]:
                    head = {"protocol": protocol, "background": background, "model": entry.label, "scene": row.name}
                    writer.writerows(head | cells for cells in _cells(row))


def _cells(row: Row) -> Iterator[dict[str, Any]]:
    sizes: dict[str, tuple[int, ApResult]] = {"all": (row.found, row.all_sizes), **row.by_size}
    for size, (found, result) in sizes.items():
        shares = {name: getattr(result, name) for name in ("ap", "ap50", "ap25", "recall50", "precision50")}
        yield {
            "size": size,
            "points": row.points,
            "found": found,
            "true": result.targets,
            **{name: "" if np.isnan(value) else f"{value:.6f}" for name, value in shares.items()},
            "seconds": f"{row.seconds:.4f}",
            "peak_bytes": "" if row.peak_bytes is None else row.peak_bytes,
        }


def _sweeps(folder: Path, entries: Sequence[Entry], names: Sequence[str], background: Background) -> list[Path]:
    settings = dict.fromkeys(setting for entry in entries for setting, _ in entry.swept)
    paths = []
    for setting in settings:
        paths.append(folder / f"sweep-{setting}.png")
        plot_sweep(paths[-1], setting, entries, names, background)
    return paths
