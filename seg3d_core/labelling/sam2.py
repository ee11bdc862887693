"""Masks from SAM 2's automatic mask generator, where it is installed."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int32

from seg3d_core.errors import CheckpointError, ConfigError
from seg3d_core.labelling.image_sizes import ids_at_size, rgb_bytes
from seg3d_core.labelling.merging import best_rated
from seg3d_core.labelling.regions import renumbered
from seg3d_core.labelling.sam_settings import Sam2Config
from seg3d_core.labelling.segment_anything import mask_device, mixed_precision
from seg3d_core.labelling.source import FrameToLabel
from seg3d_core.labelling.torchvision_ops import import_torchvision
from seg3d_core.optional import import_optional
from seg3d_core.types import IGNORE


def open_source(config: Sam2Config, local_rank: int) -> Sam2Masks:
    """The source with the weights of ``config.checkpoint``.

    Raises:
        ConfigError: no checkpoint is named, SAM 2 is not installed, or it does not know the model.
        CheckpointError: the file is missing, damaged, or holds another network.
        DeviceError: the device is not there.
    """
    building = _import("sam2.build_sam")
    if not config.checkpoint:
        raise ConfigError("source sam2 needs weights: --checkpoint FILE, as released")
    if not Path(config.checkpoint).is_file():
        raise CheckpointError(f"cannot read weights from {config.checkpoint}: no such file")
    device = mask_device(config.device, local_rank)
    try:
        network = building.build_sam2(config.model, config.checkpoint, device=str(device))
    except (RuntimeError, KeyError, OSError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{config.checkpoint} does not hold {config.model}: {reason}") from error
    return Sam2Masks(network, config, device)


class Sam2Masks:
    """Its masks merged by the paper's rule: a pixel belongs to the mask that the network rates highest.

    Args:
        network: a ``SAM2Base`` of SAM 2.
        config: settings.
        device: where it runs.

    Raises:
        ConfigError: SAM 2 is not installed, or the precision does not suit the device.
    """

    needs_truth = False
    batch_size = 1

    def __init__(self, network: Any, config: Sam2Config, device: torch.device) -> None:
        self._config, self._device = config, device
        self._generator = _import("sam2.automatic_mask_generator").SAM2AutomaticMaskGenerator(
            network,
            points_per_side=config.points_per_side,
            points_per_batch=config.points_per_batch,
            pred_iou_thresh=config.pred_iou,
            stability_score_thresh=config.stability,
            box_nms_thresh=config.box_iou,
        )
        mixed_precision(config.precision, device)

    @torch.inference_mode()
    def label(self, frames: Sequence[FrameToLabel]) -> list[Int32[np.ndarray, "_ _"]]:
        """Masks of each frame.

        Raises:
            InputError: a frame has no colour.
        """
        return [self._label(frame) for frame in frames]

    def _label(self, frame: FrameToLabel) -> Int32[np.ndarray, "H W"]:
        image = rgb_bytes(frame, self._config.width, self._config.height)
        with mixed_precision(self._config.precision, self._device):
            found = self._generator.generate(image)
        size = frame.rgbd.depth_m.shape
        if not found:
            return np.full(size, IGNORE, np.int32)
        masks = np.stack([mask["segmentation"] for mask in found])
        labels = best_rated(masks, np.array([mask["predicted_iou"] for mask in found], np.float32))
        return ids_at_size(renumbered(labels)[0], *size)


def _import(module: str) -> Any:
    import_torchvision()
    return import_optional(module, "the mask source sam2", "sam2")
