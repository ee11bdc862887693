"""The folder of a training of Point-SAM."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save

from seg3d_core.data.atomic import atomic_path
from seg3d_core.learning import run_folder
from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig
from seg3d_core.point_sam.model import PointSamNetwork

_MAY_CHANGE = {"steps", "threads", "workers", "save_every", "device", "validation"}
"""Settings that may differ when a training goes on. Another number of steps is another schedule from there on."""

_PANELS = (
    run_folder.Panel("training", lambda name: name.startswith("loss")),
    run_folder.Panel("validation, IoU after so many clicks", lambda name: "_iou" in name, (0.0, 1.0)),
)


class RunFolder(run_folder.RunFolder[PointSamTrainingConfig]):
    """The folder of one training.

    Raises:
        ConfigError: it holds a training with other settings.
    """

    def __init__(self, path: Path, config: PointSamTrainingConfig) -> None:
        super().__init__(path, config, _MAY_CHANGE, _PANELS)

    @property
    def rooms(self) -> Path:
        """Where views of rooms are kept."""
        return self.path / "rooms"

    def save_weights(self, name: str, network: PointSamNetwork) -> None:
        """Weights alone, as ``PointSam.from_checkpoint`` reads them."""
        write_weights(self.path / name, network, torch.float32)


def write_weights(path: Path, network: PointSamNetwork, dtype: torch.dtype) -> None:
    """The network's weights as safetensors in that number type."""
    weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in network.state_dict().items()}
    with atomic_path(path) as partial:
        # save_file would make a file that nobody else may read.
        partial.write_bytes(save(weights, {"format": "pt"}))
