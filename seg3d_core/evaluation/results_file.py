"""The file that an evaluation grows, scene by scene, and goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.evaluation.records import SceneRecord

FORMAT = "seg3d evaluation 2"


@dataclass
class Results:
    """Records of scenes, all made with the same settings; on disk after every change where there is a ``path``.

    Attributes:
        settings: of the segmenter: dotted names and values.
        path: .json; None keeps the records in memory only.
        records: by name, in the order in which they came.
        failures: message by name, for scenes that could not be evaluated.
        figures: what the last evaluation printed, for other programs.
    """

    settings: dict[str, Any]
    path: Path | None = None
    records: dict[str, SceneRecord] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | None, settings: dict[str, Any]) -> Results:
        """Go on with the file where there is one, begin it otherwise.

        Raises:
            ConfigError: the file is something else, or was made with other settings; or cannot be written.
        """
        results = cls(settings, path)
        if path is None:
            return results
        if path.is_dir() or not path.parent.is_dir():
            raise ConfigError(f"{path}: {'is a folder' if path.is_dir() else 'its folder does not exist'}")
        if path.exists():
            results._read(path)
        return results

    def keep(self, record: SceneRecord) -> None:
        """Add a scene, in place of an older record of it."""
        self.records[record.name] = record
        self.failures.pop(record.name, None)
        self.save()

    def fail(self, name: str, message: str) -> None:
        """Note why a scene has no record."""
        self.records.pop(name, None)
        self.failures[name] = message
        self.save()

    def save(self) -> None:
        """Write the file: complete, or the older one stays.

        Raises:
            InputError: it cannot be written.
        """
        if self.path is None:
            return
        content = {
            "format": FORMAT,
            "settings": self.settings,
            "figures": self.figures,
            "failures": self.failures,
            "scenes": [record.to_json() for record in self.records.values()],
        }
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")

    def _read(self, path: Path) -> None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise InputError(f"its format is not {FORMAT!r}")
            records = [SceneRecord.from_json(entry) for entry in content["scenes"]]
            settings, figures = dict(content["settings"]), dict(content["figures"])
        except (OSError, ValueError, KeyError, TypeError, InputError) as error:
            raise ConfigError(f"{path} holds no evaluation to go on with: {error}; give another name") from error
        difference = _difference(settings, self.settings)
        if difference:
            raise ConfigError(f"{path} was made with {difference}: give another name, or delete it")
        self.records, self.figures = {record.name: record for record in records}, figures


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    return ", ".join(f"{name} = {before.get(name)} (now {now.get(name)})" for name in names)
