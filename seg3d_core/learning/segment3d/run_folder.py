"""The folder of a training of Segment3D."""

from __future__ import annotations

from pathlib import Path

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

    def save_weights(self, name: str, network: Segment3DNetwork) -> None:
        """Weights alone with their card, as ``Segment3D.from_checkpoint`` reads them."""
        card = card_of(network, voxel_size_m=self._config.data.voxel_size_m)
        save_network(self.path / name, network, card)

    def pictures(self, step: int) -> Path:
        """Where pictures of validation scenes land after so many steps."""
        folder = self.path / "pictures" / f"{step:07d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
