"""What a training leaves behind: settings, where it ran, a log, curves, and checkpoints to go on from."""

from __future__ import annotations

import csv
import pickle
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import CheckpointError, ConfigError
from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig
from seg3d_core.point_sam.model import PointSamNetwork

FORMAT = 1
"""Of checkpoints; another one cannot be gone on from."""

_MAY_CHANGE = {"steps", "threads", "workers", "save_every", "device", "validation"}
"""Settings that may differ when a training goes on. Another number of steps is another schedule from there on."""


class RunFolder:
    """The folder of one training.

    Raises:
        ConfigError: it holds a training with other settings.
    """

    def __init__(self, path: Path, config: PointSamTrainingConfig) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path, self._config = path, config
        settings = path / "config.yaml"
        if settings.exists():
            _require_same(PointSamTrainingConfig.from_yaml(settings), config, path)
        _write_text(settings, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        _write_text(path / "environment.txt", _environment())

    @property
    def rooms(self) -> Path:
        """Where views of rooms are kept."""
        return self.path / "rooms"

    def restore(self) -> dict[str, Any] | None:
        """The last checkpoint, or None.

        Raises:
            CheckpointError: it is damaged or of another format.
        """
        path = self.path / "last.pt"
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"cannot go on from {path}: {error}") from error
        if state.get("format") != FORMAT:
            raise CheckpointError(f"cannot go on from {path}: its format is {state.get('format')}, must be {FORMAT}")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the last checkpoint."""
        with atomic_path(self.path / "last.pt") as partial:
            torch.save({**state, "format": FORMAT, "git": _git_hash()}, partial)

    def save_weights(self, name: str, network: PointSamNetwork) -> None:
        """Weights alone, as ``PointSam.from_checkpoint`` reads them."""
        write_weights(self.path / name, network, torch.float32)

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
        _plot(self.path / "curves.png", rows)


def write_weights(path: Path, network: PointSamNetwork, dtype: torch.dtype) -> None:
    """The network's weights as safetensors in that number type."""
    weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in network.state_dict().items()}
    with atomic_path(path) as partial:
        # save_file would make a file that nobody else may read.
        partial.write_bytes(save(weights, {"format": "pt"}))


def _plot(path: Path, rows: list[dict[str, str]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [float(row["step"]) for row in rows]
    for name in rows[0]:
        axes = right if "_iou" in name else left if name.startswith("loss") else None
        if axes is not None:
            axes.plot(steps, [float(row[name]) for row in rows], label=name)
    left.set(xlabel="step", title="training")
    right.set(xlabel="step", ylim=(0, 1), title="validation, IoU after so many clicks")
    left.legend()
    right.legend()
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=110)


def _require_same(before: PointSamTrainingConfig, now: PointSamTrainingConfig, path: Path) -> None:
    old, new = before.model_dump(), now.model_dump()
    changed = [name for name in new if name not in _MAY_CHANGE and old[name] != new[name]]
    if changed:
        said = ", ".join(f"{name} was {old[name]} and is {new[name]}" for name in changed)
        raise ConfigError(f"{path} holds a training with other settings, take another folder: {said}")


def _environment() -> str:
    return f"git {_git_hash()}\npython {platform.python_version()}\ntorch {torch.__version__}\n{platform.platform()}\n"


def _git_hash() -> str:
    try:
        here = Path(__file__).parent
        found = subprocess.run(["git", "describe", "--always"], cwd=here, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
