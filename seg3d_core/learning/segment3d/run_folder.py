"""The folder of a training of Segment3D."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seg3d_core.learning import run_folder
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d.saving import card_of, save_network

_MAY_CHANGE = {
    "steps",
    "threads",
    "device",
    "save_every",
    "validation",
    "held_out",
    "data.workers",
    "data.ahead",
    "data.cache_mb",
}
"""Settings that may differ when a training goes on. Another number of steps is another schedule from there on."""

_PANELS = (
    run_folder.Panel("training", lambda name: name.startswith("loss")),
    run_folder.Panel("validation", lambda name: name.startswith("ap"), (0.0, 1.0)),
)


class RunFolder(run_folder.RunFolder[Segment3DTrainingConfig]):
    """The folder of one training.

    Raises:
        ConfigError: it holds a training with other settings.
    """

    def __init__(self, path: Path, config: Segment3DTrainingConfig) -> None:
        super().__init__(path, config, _MAY_CHANGE, _PANELS)
        self._events: Any = None

    def log(self, row: dict[str, float]) -> None:
        """One more line of log.csv, and of TensorBoard's events where that is installed."""
        super().log(row)
        if find_spec("tensorboard") is None:
            return
        step = int(row["step"])
        if self._events is None:
            summary: Any = importlib.import_module("torch.utils.tensorboard")
            self._events = summary.SummaryWriter(str(self.path / "tensorboard"), purge_step=step)
        for name, value in row.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()

    def save_weights(self, name: str, network: Segment3DNetwork) -> None:
        """Weights alone with their card, as ``Segment3D.from_checkpoint`` reads them."""
        data = self._config.data
        card = card_of(
            network, voxel_size_m=data.voxel_size_m, superpoints=data.superpoints, max_voxels=data.max_voxels
        )
        save_network(self.path / name, network, card)

    def pictures(self, step: int) -> Path:
        """Where pictures of validation scenes land after so many steps."""
        folder = self.path / "pictures" / f"{step:07d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
