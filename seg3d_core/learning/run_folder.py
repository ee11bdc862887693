"""What a training leaves behind: settings, where it ran, a log, curves, and checkpoints to go on from."""

from __future__ import annotations

import csv
import pickle
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
import yaml

from seg3d_core.config import Config
from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import CheckpointError, ConfigError

FORMAT = 1
"""Of checkpoints; another one cannot be gone on from."""

AnyConfig = TypeVar("AnyConfig", bound=Config)


@dataclass(frozen=True, eq=False)
class Panel:
    """A part of the picture of curves.

    Attributes:
        title: over it.
        shows: whether it shows the column of that name.
        limits: of its values; None: as they come.
    """

    title: str
    shows: Callable[[str], bool]
    limits: tuple[float, float] | None = None


class RunFolder(Generic[AnyConfig]):
    """The folder of one training; of several processes only one may have it.

    Args:
        path: of the folder; is made where it is not there.
        config: of the training; says its ``seed``.
        may_change: dotted names of settings, and of groups of them, that may differ when a training goes on.
        panels: what is drawn of the log.

    Raises:
        ConfigError: it holds a training with other settings.
    """

    def __init__(self, path: Path, config: AnyConfig, may_change: set[str], panels: Sequence[Panel]) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path, self._config, self._panels = path, config, panels
        settings = path / "config.yaml"
        if settings.exists():
            _require_same(type(config).from_yaml(settings), config, may_change, path)
        _write_text(settings, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        _write_text(path / "environment.txt", _environment(config))

    def restore(self) -> dict[str, Any] | None:
        """The last checkpoint, or None.

        Raises:
            CheckpointError: it is damaged or of another format.
        """
        return read_state(self.path)

    def save(self, state: dict[str, Any]) -> None:
        """Replace the last checkpoint."""
        with atomic_path(self.path / "last.pt") as partial:
            torch.save({**state, "format": FORMAT, "git": git_hash()}, partial)

    def log(self, row: dict[str, float]) -> None:
        """One more line of log.csv; lines of steps that are run again are replaced."""
        path, rows = self.path / "log.csv", []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [line for line in csv.DictReader(file) if float(line["step"]) < row["step"]]
        rows.append({name: f"{value:.6g}" for name, value in row.items()})
        with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(rows)
        _plot(self.path / "curves.png", rows, self._panels)


def read_state(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint in the folder of a training, or None.

    Raises:
        CheckpointError: it is damaged or of another format.
    """
    path = folder / "last.pt"
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot go on from {path}: {error}") from error
    if state.get("format") != FORMAT:
        raise CheckpointError(f"cannot go on from {path}: its format is {state.get('format')}, must be {FORMAT}")
    return state


def git_hash() -> str:
    """Of this program where it is a checkout, else "unknown"."""
    try:
        here = Path(__file__).parent
        found = subprocess.run(["git", "describe", "--always"], cwd=here, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"


def _plot(path: Path, rows: list[dict[str, str]], panels: Sequence[Panel]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * len(panels), 4), layout="constrained")
    steps = [float(row["step"]) for row in rows]
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        for name in filter(panel.shows, rows[0]):
            axes.plot(steps, [float(row[name]) for row in rows], label=name)
        axes.set(xlabel="step", title=panel.title)
        if panel.limits:
            axes.set_ylim(*panel.limits)
        axes.legend()
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=110)


def _require_same(before: Config, now: Config, may_change: set[str], path: Path) -> None:
    old, new = _flat(before.model_dump()), _flat(now.model_dump())
    changed = [name for name in new if old[name] != new[name] and not _covered(name, may_change)]
    if changed:
        said = ", ".join(f"{name} was {old[name]} and is {new[name]}" for name in changed)
        raise ConfigError(f"{path} holds a training with other settings, take another folder: {said}")


def _covered(name: str, names: set[str]) -> bool:
    """Whether ``name`` is one of them, or in a group that is."""
    parts = name.split(".")
    return any(".".join(parts[: i + 1]) in names for i in range(len(parts)))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of groups by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _environment(config: Config) -> str:
    seed = getattr(config, "seed", "none")
    return (
        f"git {git_hash()}\nseed {seed}\npython {platform.python_version()}\ntorch {torch.__version__}\n"
        f"{platform.platform()}\n"
    )


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
