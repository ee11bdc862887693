"""What an evaluation says at its end."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seg3d_core.config import SegmentConfig
from seg3d_core.evaluation.figures import PROTOCOLS, Background, Row, make_row, row_to_json
from seg3d_core.evaluation.results_file import Results
from seg3d_core.evaluation.tables import format_tables

_BACKGROUND = {
    "ignore": "objects only; floor, walls, ceiling, table ignored: masks mostly on them are no mistakes",
    "remove": "objects only; points of floor, walls, ceiling, table removed from truth and masks",
    "count": "objects, and floor, walls, ceiling, table as such",
}
_PROTOCOLS = {
    "scored": "scored: ranked by score, overlaps 0.50 to 0.95, at least 100 points",
    "released": "released: all scores 1, overlaps 0.50 to 0.90, at least 100 points",
}


def identify(config: SegmentConfig) -> dict[str, Any]:
    """All settings that results depend on, dotted; of a model that is a file its SHA-256 as well."""
    settings = _dotted(config.model_dump(mode="json"))
    path = Path(config.model)
    if path.is_file():
        settings["model sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return settings


def report(results: Results, names: Sequence[str], protocol: str, background: Background) -> int:
    """Print the tables of these scenes, put the figures into the results; 2 if a scene failed, else 0."""
    failed = [name for name in names if name not in results.records]
    records = [results.records[name] for name in names if name not in failed]
    if records:
        chosen = PROTOCOLS[protocol]
        rows = [make_row(record.name, [record], chosen, background) for record in records]
        pooled = make_row(f"{len(records)} pooled", records, chosen, background)
        print(f"model {results.settings['model']}; {_PROTOCOLS[protocol]}; {_BACKGROUND[background]}\n")
        print(format_tables(_short(rows), pooled))
        results.figures[f"{protocol}, background {background}"] = {
            "scenes": [row_to_json(row) for row in rows],
            "pooled": row_to_json(pooled),
        }
        results.save()
    for name in failed:
        print(f"seg3d: {name}: {results.failures[name]}", file=sys.stderr)
    return 2 if failed else 0


def _short(rows: Sequence[Row]) -> list[Row]:
    """The rows without the folder that all their names begin with."""
    folders = {row.name.rpartition("/")[0] for row in rows}
    cut = len(folders.pop()) + 1 if len(folders) == 1 and "" not in folders else 0
    return [replace(row, name=row.name[cut:]) for row in rows]


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _dotted(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
