"""What an evaluation says at its end."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seg3d_core.config import SegmentConfig
from seg3d_core.evaluation.figures import PROTOCOLS, Background, Row, make_row, row_to_json
from seg3d_core.evaluation.records import SceneRecord
from seg3d_core.evaluation.results_file import Results
from seg3d_core.evaluation.tables import format_comparison, format_tables
from seg3d_core.evaluation.variants import group_of

BACKGROUND_TEXTS = {
    "ignore": "objects only; floor, walls, ceiling, table ignored: masks mostly on them are no mistakes",
    "remove": "objects only; points of floor, walls, ceiling, table removed from truth and masks",
    "count": "objects, and floor, walls, ceiling, table as such",
}
PROTOCOL_TEXTS = {
    "scored": "scored: ranked by score, overlaps 0.50 to 0.95, at least 100 points",
    "released": "released: all scores 1, overlaps 0.50 to 0.90, at least 100 points",
}


@dataclass(frozen=True, eq=False)
class Entry:
    """A model in a report.

    Attributes:
        label: for people.
        results: what it did.
        model: label without swept settings.
        swept: values of swept settings by dotted name.
    """

    label: str
    results: Results
    model: str = ""
    swept: tuple[tuple[str, str], ...] = ()

    def records(self, names: Sequence[str]) -> list[SceneRecord]:
        """Of these scenes, as far as they were evaluated."""
        return [self.results.records[name] for name in names if name in self.results.records]


def identify(config: SegmentConfig) -> dict[str, Any]:
    """All settings that results depend on, dotted; of a model that is a file its SHA-256 as well."""
    group = f"{group_of(config.model)}."
    every = _dotted(config.model_dump(mode="json"))
    settings = {name: value for name, value in every.items() if "." not in name or name.startswith(group)}
    path = Path(config.model)
    if path.is_file():
        settings["model sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return settings


def report(entries: Sequence[Entry], names: Sequence[str], protocols: Sequence[str], background: Background) -> int:
    """Print the tables of these scenes, put the figures into the results; 2 if a scene failed, else 0.

    One model gets a row for each scene, several get a row each.
    """
    for protocol in protocols:
        shown = [entry for entry in entries if entry.records(names)]
        if len(entries) == 1 and shown:
            _print_scenes(shown[0], names, protocol, background)
        elif shown:
            print(f"{PROTOCOL_TEXTS[protocol]}; {BACKGROUND_TEXTS[background]}\n")
            print(format_comparison(compared(shown, names, protocol, background)))
        if protocol != protocols[-1]:
            print()
    for entry in entries:
        _keep_figures(entry, names, protocols, background)
    return _say_failures(entries, names)


def compared(entries: Sequence[Entry], names: Sequence[str], protocol: str, background: Background) -> list[Row]:
    """Each model pooled over the scenes that it has; its name says so where these are not all."""
    rows = []
    for entry in entries:
        records = entry.records(names)
        partly = "" if len(records) == len(names) else f" ({len(records)} of {len(names)} scenes)"
        rows.append(make_row(f"{entry.label}{partly}", records, PROTOCOLS[protocol], background))
    return rows


def scene_rows(entry: Entry, names: Sequence[str], protocol: str, background: Background) -> list[Row]:
    """A row for each scene that the model has."""
    chosen = PROTOCOLS[protocol]
    return [make_row(record.name, [record], chosen, background) for record in entry.records(names)]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The names without the folder that all of them begin with."""
    folders = {name.rpartition("/")[0] for name in names}
    cut = len(folders.pop()) + 1 if len(folders) == 1 and "" not in folders else 0
    return {name: name[cut:] for name in names}


def _print_scenes(entry: Entry, names: Sequence[str], protocol: str, background: Background) -> None:
    records = entry.records(names)
    rows = scene_rows(entry, names, protocol, background)
    pooled = make_row(f"{len(records)} pooled", records, PROTOCOLS[protocol], background)
    model = entry.results.settings["model"]
    short = short_names([row.name for row in rows])
    print(f"model {model}; {PROTOCOL_TEXTS[protocol]}; {BACKGROUND_TEXTS[background]}\n")
    print(format_tables([replace(row, name=short[row.name]) for row in rows], pooled))


def _keep_figures(entry: Entry, names: Sequence[str], protocols: Sequence[str], background: Background) -> None:
    records = entry.records(names)
    if not records:
        return
    for protocol in protocols:
        pooled = make_row(f"{len(records)} pooled", records, PROTOCOLS[protocol], background)
        entry.results.figures[f"{protocol}, background {background}"] = {
            "scenes": [row_to_json(row) for row in scene_rows(entry, names, protocol, background)],
            "pooled": row_to_json(pooled),
        }
    entry.results.save()


def _say_failures(entries: Sequence[Entry], names: Sequence[str]) -> int:
    """Each once where all models failed for the same reason (the scene cannot be read)."""
    said: dict[str, list[str]] = {}
    for entry in entries:
        for name in names:
            if name not in entry.results.records:
                said.setdefault(f"{name}: {entry.results.failures[name]}", []).append(entry.label)
    for message, labels in said.items():
        who = "" if len(labels) == len(entries) else f" ({', '.join(labels)})"
        print(f"seg3d: {message}{who}", file=sys.stderr)
    return 2 if said else 0


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _dotted(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
