"""Segment3D as it is used: clouds in, instances out."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64

from seg3d_core.config import SUPERPOINTS
from seg3d_core.devices import choose_device, choose_dtype, device_text
from seg3d_core.errors import CheckpointError, ConfigError, InputError
from seg3d_core.geometry.superpoints import cloud_superpoints
from seg3d_core.segment3d.checkpoint import load_network
from seg3d_core.segment3d.inference import InferenceNetwork
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d.postprocess import finish, propose
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.saving import ModelCard, read_card
from seg3d_core.segment3d.tiling import segment_in_tiles
from seg3d_core.segment3d.voxel_input import VoxelInput, scaled, voxel_input
from seg3d_core.segment3d_config import (
    POSTPROCESS_RULES,
    RELEASED_VOXEL_SIZE_M,
    SEGMENT3D_PRESETS,
    PostprocessConfig,
    Segment3DSettings,
    TilingConfig,
)
from seg3d_core.sparse.scratch import free_scratch
from seg3d_core.stages import stage
from seg3d_core.types import Cloud, Instances

_LOGGER = logging.getLogger(__name__)

_AGNOSTIC_CLASSES = 2
"""Object, and no object."""

_ALWAYS_SUPERPOINTS = ("released", "ranked")
"""Rules that take every network in segment mode: mask features are averaged over superpoints inside it."""

_LEAST_BUDGET = 100
"""Voxels; the least that ``TilingConfig`` accepts."""

_TILE = 2
"""Voxels of a tile over those of the samples that its network was trained with: less of it is border, and what is twice
as wide is not yet strange. AP50 of the first stage of nano in four rooms was 0.21 with tiles like its samples and 0.32
with such ones."""

_FEWEST_TILE_VOXELS = 10_000
"""Smaller ones are all border, however small the samples were."""


class Segment3D:
    """A network with all that is before and after it; one thread at a time.

    Deterministic on the CPU: same cloud, same result. What order the points have matters as far as it did in the
    original: the first point of a voxel stands for it, the voxel that comes first is the first query, and of equally
    far voxels the order decides which one is the next. Moving the cloud by a multiple of 16 voxels changes roundings.

    Args:
        network: its weights are copied, later training does not show; it stays where it is.
        settings: device, precision, rules; see ``segment3d_config.Segment3DSettings``.

    Raises:
        ConfigError: engine or precision are not for this device.
        DeviceError: the device is not there.
        CheckpointError: the network knows classes of objects.
    """

    def __init__(self, network: Segment3DNetwork, settings: Segment3DSettings | None = None) -> None:
        self.settings = settings or Segment3DSettings.build({})
        if network.config.classes != _AGNOSTIC_CLASSES:
            raise CheckpointError(
                f"the network knows {network.config.classes} classes, Segment3D {_AGNOSTIC_CLASSES}: object and none"
            )
        self.device = choose_device(self.settings.device)
        dtype = choose_dtype(self.settings.precision, self.device)
        self._network = InferenceNetwork(_on_device(network, self.device), self.settings.engine, dtype)
        self._rule = _rule(self.settings)
        self._budget = self.settings.tile_voxels
        self._has_segments = self.settings.masks == "superpoints" or self.settings.postprocess in _ALWAYS_SUPERPOINTS
        self._said_colourless = False
        parameters = sum(parameter.numel() for parameter in network.parameters())
        self.description = (
            f"Segment3D with {parameters / 1e6:.1f} M parameters on {device_text(self.device)}, "
            f"engine {self._network.engine.name}, {self.settings.precision}"
        )
        _LOGGER.info(self.description)

    @classmethod
    def from_checkpoint(cls, path: str | Path, settings: Segment3DSettings | None = None) -> Segment3D:
        """The network of a file: a released Lightning checkpoint, a state dict, or what ``seg3d convert`` wrote.

        Raises:
            CheckpointError: the file cannot be read, or its tensors are not exactly those of a Segment3D network.
            ConfigError, DeviceError: see the class.
        """
        settings = settings or Segment3DSettings.build({})
        card = read_card(path)
        if card is not None:
            settings = _as_trained(settings, card)
            if card.voxel_size_m != settings.voxel_size_m:
                said = "%s was trained with voxels of %g m and is used with %g m"
                _LOGGER.warning(said, path, card.voxel_size_m, settings.voxel_size_m)
        return cls(load_network(path), settings)

    @classmethod
    def from_preset(cls, name: str, settings: Segment3DSettings | None = None, seed: int = 0) -> Segment3D:
        """A network of that size with random weights, drawn from ``seed``: for timing, its instances mean nothing.

        Raises:
            ConfigError: no preset has that name; or see the class.
            DeviceError: see the class.
        """
        if name not in SEGMENT3D_PRESETS:
            raise ConfigError(f"preset {name!r} is unknown, known are {', '.join(SEGMENT3D_PRESETS)}")
        _LOGGER.warning("Segment3D %s is untrained: its weights are random, its instances mean nothing", name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Segment3DNetwork(SEGMENT3D_PRESETS[name])
        return cls(network, settings)

    def segment(self, cloud: Cloud) -> Instances:
        """Instances of ``cloud``, best score first, ids 1..Q; none is a valid result.

        A cloud without colours is taken for one of the mean colour everywhere, which is said once. ``degraded`` of
        the result says when memory allowed only smaller tiles than the settings.

        Raises:
            InputError: fewer than 2 points, coordinates out of reach of voxel numbers, colours outside 0..1, or memory
                that runs out twice.
        """
        with stage("voxelize"):
            voxels = voxel_input(cloud, self.settings)
        if cloud.rgb is None and not self._said_colourless:
            self._said_colourless = True
            _LOGGER.warning("cloud without colours: the mean colour of the training data is assumed everywhere")
        with stage("superpoints"):
            superpoints = self._superpoints(cloud) if self._rule.smooth or self._has_segments else None
        segments = superpoints if self._has_segments else None
        found = self._within_memory(voxels, None if segments is None else segments[voxels.first_point])
        with stage("postprocess"):
            found = finish(found, self._rule, voxels.point_to_voxel, superpoints)
            ids = np.arange(1, len(found) + 1, dtype=np.int32)
            return Instances(cloud, found.masks, found.scores, ids, self._degradation(len(voxels)))

    def _superpoints(self, cloud: Cloud) -> Int32[np.ndarray, " N"]:
        if len(cloud) <= SUPERPOINTS.neighbours:  # Too few for a graph: every point is one of its own.
            return np.arange(len(cloud), dtype=np.int32)
        scale = self.settings.coordinate_scale
        viewpoint = None if cloud.viewpoint is None else cloud.viewpoint / scale
        return cloud_superpoints(replace(cloud, points=scaled(cloud.points, scale), viewpoint=viewpoint), SUPERPOINTS)

    def _within_memory(self, voxels: VoxelInput, segments: Int32[np.ndarray, " V"] | None) -> Proposals:
        """What is found; where memory runs out, with half as many voxels at once, and ever after if that went well."""
        found = self._proposals(voxels, segments, self._budget)
        if found is not None:
            return found
        failed = min(self._budget, len(voxels))
        smaller = max(failed // 2, _LEAST_BUDGET)
        _LOGGER.warning("memory of %s ran out with %d voxels: trying tiles of at most %d", self.device, failed, smaller)
        found = self._proposals(voxels, segments, smaller)
        if found is None:
            raise InputError(
                f"memory of {self.device} ran out with {failed} voxels, and again in tiles of {smaller}: "
                "lower max_voxels or num_queries"
            )
        self._budget = smaller
        return found

    def _proposals(self, voxels: VoxelInput, segments: Int32[np.ndarray, " V"] | None, budget: int) -> Proposals | None:
        """What is found on the voxels, ``budget`` of them at once, or None if memory of the device runs out."""
        tiling = TilingConfig.build({"max_voxels": budget, "overlap_m": self.settings.overlap_m})
        try:
            return segment_in_tiles(voxels.xyz, lambda rows: self._tile(voxels, segments, rows), tiling)
        except torch.OutOfMemoryError:
            pass
        # Only here, without the exception and the calls that it keeps alive, is their memory free.
        free_scratch()
        return None

    def _tile(
        self, voxels: VoxelInput, segments: Int32[np.ndarray, " V"] | None, rows: Int64[np.ndarray, " M"]
    ) -> Proposals:
        xyz = voxels.xyz[rows]
        on_segments = dense = None
        if segments is not None:
            _, dense = np.unique(segments[rows], return_inverse=True)
            on_segments = torch.from_numpy(dense).to(self.device)
        output = self._network(
            voxels.tensor(rows, self.device),
            torch.from_numpy(xyz).to(self.device),
            on_segments,
            self.settings.num_queries or None,
        )
        class_logits = _array(output.prediction.class_logits[0])
        mask_logits = _array(output.prediction.mask_logits[0])
        with stage("postprocess"):
            return propose(class_logits, mask_logits, xyz, self._rule, dense)

    def _degradation(self, voxels: int) -> str:
        if self._budget == self.settings.tile_voxels or voxels <= self._budget:
            return ""
        return f"memory of {self.device} is short: tiles of at most {self._budget} voxels"


def _on_device(network: Segment3DNetwork, device: torch.device) -> Segment3DNetwork:
    if next(network.parameters()).device == device:
        return network
    return copy.deepcopy(network).to(device)


def _rule(settings: Segment3DSettings) -> PostprocessConfig:
    rule = POSTPROCESS_RULES[settings.postprocess]
    # The rules are for voxels of that size: what is a neighbour grows with them.
    eps_m = rule.eps_m * settings.voxel_edge_m / RELEASED_VOXEL_SIZE_M
    return rule.model_copy(update={"min_score": settings.score_threshold or rule.min_score, "eps_m": eps_m})


def _as_trained(settings: Segment3DSettings, card: ModelCard) -> Segment3DSettings:
    """``settings`` with what they leave to the network."""
    changes: dict[str, object] = {"voxel_size_m": settings.voxel_size_m or card.voxel_size_m}
    if not settings.max_voxels and card.max_voxels:
        changes["max_voxels"] = max(_TILE * card.max_voxels, _FEWEST_TILE_VOXELS)
    if settings.masks == "auto":
        changes["masks"] = "superpoints" if card.superpoints else "voxels"
    return settings.model_copy(update=changes)


def _array(values: torch.Tensor) -> Float32[np.ndarray, "Q _"]:
    array: Float32[np.ndarray, "Q _"] = values.float().cpu().numpy()
    return array
