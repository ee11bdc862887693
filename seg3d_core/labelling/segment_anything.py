"""Masks from segment-anything: its automatic mask generator, with the pools that Segment3D's labels were made from."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int32, UInt8

from seg3d_core.devices import DTYPES, choose_device
from seg3d_core.errors import CheckpointError, ConfigError
from seg3d_core.labelling.image_sizes import ids_at_size, rgb_bytes
from seg3d_core.labelling.merging import best_rated, large_first
from seg3d_core.labelling.regions import renumbered
from seg3d_core.labelling.sam_settings import SegmentAnythingConfig
from seg3d_core.labelling.source import FrameToLabel
from seg3d_core.labelling.torchvision_ops import import_torchvision
from seg3d_core.optional import import_optional

_PACKAGE = "segment-anything"

_MODELS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""Networks by the channels of their image encoders."""

_LARGE = 2
"""The network answers every point with three masks: a part, more of it, the whole thing."""


def open_source(config: SegmentAnythingConfig, local_rank: int) -> SegmentAnythingMasks:
    """The source with the weights of ``config.checkpoint``.

    Raises:
        ConfigError: no checkpoint is named, or segment-anything or torchvision is not installed.
        CheckpointError: the file is missing, damaged, or holds another network.
        DeviceError: the device is not there.
    """
    if not config.checkpoint:
        raise ConfigError(
            "source segment-anything needs weights: --checkpoint FILE, as released (vit_h, vit_l or vit_b)"
        )
    device = mask_device(config.device, local_rank)
    weights = _read(config.checkpoint)
    model = config.model if config.model != "auto" else _model_of(weights, config.checkpoint)
    network = _import("segment_anything").sam_model_registry[model]()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{config.checkpoint} does not hold {model}: {str(error).splitlines()[0]}") from error
    return SegmentAnythingMasks(network, config, device)


def mask_device(name: str, local_rank: int) -> torch.device:
    """The device of that name; "auto" and "cuda" mean the one of this process.

    Raises:
        DeviceError: CUDA is asked for by name and is not there, or has not that many devices.
    """
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        name = f"cuda:{local_rank}"
    return choose_device(name)


def mixed_precision(name: str, device: torch.device) -> AbstractContextManager[Any]:
    """In which networks run in that precision; "auto" is float16 on CUDA and float32 elsewhere.

    Raises:
        ConfigError: 16 bits are asked for on the CPU.
    """
    if name == "float32" or (name == "auto" and device.type == "cpu"):
        return nullcontext()
    if device.type == "cpu":
        raise ConfigError(f"precision {name} needs a CUDA device, the network runs on the CPU: use float32")
    return torch.autocast(device.type, DTYPES["float16" if name == "auto" else name])


@dataclass(frozen=True, eq=False)
class Candidates:
    """Masks of one image that passed the filters.

    Attributes:
        masks: (Q, H, W) bool.
        ratings: (Q,) predicted IoU.
        levels: (Q,) which of the three answers to a point each is: 0 small, 1 medium, 2 large.
    """

    masks: torch.Tensor
    ratings: torch.Tensor
    levels: torch.Tensor

    def take(self, rows: torch.Tensor) -> Candidates:
        """Some of them: rows, or whether to take each."""
        return Candidates(self.masks[rows], self.ratings[rows], self.levels[rows])

    def labels(self) -> Int32[np.ndarray, "H W"]:
        """Each pixel's best rated mask."""
        return best_rated(self.masks.cpu().numpy(), self.ratings.float().cpu().numpy())


class SegmentAnythingMasks:
    """Asks a network at a grid of points, filters its answers as the released generator does, and merges them.

    The image encoder runs on several frames at once and, on CUDA, in mixed precision; masks are decoded in float32,
    because thresholds of predicted IoU are finer than 16 bits can tell.

    Args:
        network: a ``Sam`` of segment-anything.
        config: settings.
        device: where it runs.

    Raises:
        ConfigError: segment-anything or torchvision is not installed, or the precision does not suit the device.
    """

    needs_truth = False

    def __init__(self, network: Any, config: SegmentAnythingConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._amg = _import("segment_anything.utils.amg")
        self._suppress = _import("torchvision.ops.boxes").nms
        self._predictor = _import("segment_anything").SamPredictor(network.eval().to(device))
        mixed_precision(config.precision, device)

    @property
    def batch_size(self) -> int:
        """Frames that are encoded at once."""
        return self._config.frames_per_batch

    @torch.inference_mode()
    def label(self, frames: Sequence[FrameToLabel]) -> list[Int32[np.ndarray, "_ _"]]:
        """Masks of each frame.

        Raises:
            InputError: a frame has no colour.
        """
        images = [rgb_bytes(frame, self._config.width, self._config.height) for frame in frames]
        inputs, features = self._encode(images)
        found = []
        for row, (frame, image) in enumerate(zip(frames, images, strict=True)):
            predictor = self._predictor
            predictor.features, predictor.is_image_set = features[row : row + 1], True
            predictor.input_size, predictor.original_size = tuple(inputs[row].shape[-2:]), image.shape[:2]
            found.append(ids_at_size(self._merge(self._candidates()), *frame.rgbd.depth_m.shape))
        return found

    def _encode(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The images as the network takes them, before padding, and their features."""
        network, resize = self._predictor.model, self._predictor.transform.apply_image
        inputs = [torch.from_numpy(resize(image)).to(self._device).permute(2, 0, 1) for image in images]
        with mixed_precision(self._config.precision, self._device):
            features = network.image_encoder(torch.stack([network.preprocess(image) for image in inputs]))
        return inputs, features.float()

    def _candidates(self) -> Candidates:
        """All good masks of the image that the predictor holds, in the order of the points."""
        height, width = self._predictor.original_size
        points = self._amg.build_point_grid(self._config.points_per_side) * (width, height)
        parts = [self._answers(part) for (part,) in self._amg.batch_iterator(self._config.points_per_batch, points)]
        return Candidates(
            *(torch.cat([getattr(part, name) for part in parts]) for name in ("masks", "ratings", "levels"))
        )

    def _answers(self, points: np.ndarray) -> Candidates:
        """Good masks at some points (P, 2) px."""
        predictor, config = self._predictor, self._config
        places = predictor.transform.apply_coords(points, predictor.original_size)
        coordinates = torch.from_numpy(places).to(self._device, torch.float32)[:, None]
        logits, ratings, _ = predictor.predict_torch(
            coordinates, torch.ones(len(points), 1, dtype=torch.int, device=self._device), return_logits=True
        )
        levels = torch.arange(logits.shape[1], device=self._device).repeat(len(points))
        found = Candidates(logits.flatten(0, 1), ratings.flatten(), levels)
        found = found.take(found.ratings > config.pred_iou)
        threshold = predictor.model.mask_threshold
        stability = self._amg.calculate_stability_score(found.masks, threshold, config.stability_offset)
        found = found.take(stability >= config.stability)
        return Candidates(found.masks > threshold, found.ratings, found.levels)

    def _pool(self, candidates: Candidates) -> Candidates:
        """Best rated first, without those whose boxes a better one overlaps."""
        boxes = self._amg.batched_mask_to_box(candidates.masks).float()
        return candidates.take(self._suppress(boxes, candidates.ratings, self._config.box_iou))

    def _merge(self, candidates: Candidates) -> Int32[np.ndarray, "H W"]:
        """Dense numbers of the masks."""
        everything = self._pool(candidates).labels()
        if self._config.merge == "highest-iou":
            return renumbered(everything)[0]
        return large_first(everything, self._pool(candidates.take(candidates.levels == _LARGE)).labels())


def _import(module: str) -> Any:
    import_torchvision()
    package = "torchvision" if module.startswith("torchvision") else _PACKAGE
    return import_optional(module, f"the mask source {_PACKAGE}", package)


def _read(path: str) -> dict[str, torch.Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"cannot read weights from {path}: {reason}") from error
    if not isinstance(weights, dict):
        raise CheckpointError(f"{path} holds a {type(weights).__name__}, expected weights by name")
    return weights


def _model_of(weights: dict[str, torch.Tensor], path: str) -> str:
    positions = weights.get("image_encoder.pos_embed")
    width = positions.shape[-1] if isinstance(positions, torch.Tensor) else None
    if width not in _MODELS:
        raise CheckpointError(
            f"{path} holds no segment-anything: image_encoder.pos_embed has {width} channels, "
            f"expected one of {', '.join(map(str, _MODELS))}"
        )
    return _MODELS[width]
