"""Point-SAM as it is used: a cloud once, then clicks in its own coordinates."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from seg3d_core.devices import choose_device, choose_dtype, device_text
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.point_sam.checkpoint import load_network
from seg3d_core.point_sam.decoder import MaskPrediction
from seg3d_core.point_sam.model import EncodedCloud, PointSamNetwork
from seg3d_core.point_sam.normalisation import Normalisation
from seg3d_core.point_sam.patches import FEWEST_PATCHES
from seg3d_core.point_sam.surfaces import Surfaces
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PointSamConfig, PointSamSettings, patches_for
from seg3d_core.stages import stage
from seg3d_core.types import Cloud, Prompt

_LOGGER = logging.getLogger(__name__)

_STABILITY_MARGIN = 1.0
"""Logits; a mask is stable where its size does not depend on the threshold within this of 0."""


@dataclass(frozen=True, eq=False)
class EncodedScene:
    """A cloud as the network knows it.

    Attributes:
        cloud: in its own frame.
        normalisation: between its frame and the network's.
        encoded: what clicks need of it.
        surfaces: patches that its masks follow, or None.
    """

    cloud: Cloud
    normalisation: Normalisation
    encoded: EncodedCloud
    surfaces: Surfaces | None = None


class PointSam:
    """A network with all that is before and after it; one thread at a time.

    Args:
        network: not copied where it is on the device and in the precision already; it is put into evaluation mode then.
        settings: see ``PointSamSettings``.

    Raises:
        ConfigError, DeviceError: the device is unknown or not there, or the precision is not for it.
    """

    def __init__(self, network: PointSamNetwork, settings: PointSamSettings | None = None) -> None:
        self.settings = settings or PointSamSettings.build({})
        self.device = choose_device(self.settings.device)
        self._network = network.converted(self.device, choose_dtype(self.settings.precision, self.device)).eval()
        self._scene: EncodedScene | None = None
        parameters = sum(parameter.numel() for parameter in network.parameters())
        self.description = f"Point-SAM with {parameters / 1e6:.1f} M parameters on {device_text(self.device)}"
        _LOGGER.info(self.description)

    @classmethod
    def from_checkpoint(cls, path: str | Path, settings: PointSamSettings | None = None) -> PointSam:
        """The network of a safetensors file, as the released one.

        Raises:
            CheckpointError: the file cannot be read, or its tensors are not exactly those of a Point-SAM network.
            ConfigError, DeviceError: see the class.
        """
        return cls(load_network(path), settings)

    @classmethod
    def from_preset(cls, name: str, settings: PointSamSettings | None = None, seed: int = 0) -> PointSam:
        """A network of that size with random weights, drawn from ``seed``: for timing, its masks mean nothing.

        Raises:
            ConfigError: no preset has that name; or see the class.
            DeviceError: see the class.
        """
        if name not in POINT_SAM_PRESETS:
            raise ConfigError(f"preset {name!r} is unknown, known are {', '.join(POINT_SAM_PRESETS)}")
        _LOGGER.warning("Point-SAM %s is untrained: its weights are random, its masks mean nothing", name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = PointSamNetwork(POINT_SAM_PRESETS[name])
        return cls(network, settings)

    @property
    def network(self) -> PointSamNetwork:
        """On its device and in its precision."""
        return self._network

    @property
    def config(self) -> PointSamConfig:
        """Widths and depths of the network."""
        return self._network.config

    def set_cloud(self, cloud: Cloud) -> None:
        """Encode ``cloud``: all that clicks on it have in common. Where it is refused, the one before stays.

        Raises:
            InputError: see ``encode``.
        """
        self._scene = self.encode(cloud)

    def encode(self, cloud: Cloud) -> EncodedScene:
        """``cloud`` for ``answer``; nothing is remembered.

        Raises:
            InputError: fewer than 3 points, all points in one place, or colours outside 0..1.
        """
        require_usable(cloud)
        normalisation = Normalisation.of(cloud.points, self.settings.up)
        rgb = self._rgb(cloud)
        patches, size = patches_for(len(cloud), self.settings, self.config.tokenizer)
        with stage("encode"), torch.inference_mode():
            xyz = self._tensor(normalisation.apply(cloud.points)).clamp_(-1, 1)
            encoded = self._network.encode(xyz[None], self._tensor(rgb)[None], patches, size)
        if self.settings.surface_weight == 0:
            return EncodedScene(cloud, normalisation, encoded)
        with stage("surfaces"):
            return EncodedScene(cloud, normalisation, encoded, Surfaces.of(cloud, normalisation.radius_m))

    def predict(
        self, prompt: Prompt, mask_input: Float32[np.ndarray, " N"] | None = None, multimask: bool | None = None
    ) -> MaskCandidates:
        """The object that all of ``prompt`` means; nothing is remembered from one call to the next but the cloud.

        Args:
            prompt: every click so far, m in the frame of the cloud.
            mask_input: logits of the candidate to refine, a row of ``mask_logits`` of an earlier answer.
            multimask: three candidates instead of one; by default for a single click without ``mask_input``.

        Raises:
            InputError: there is no cloud yet, neither click nor mask, or ``mask_input`` has another length or NaN.
            PromptError: a click lies outside of the cloud.
        """
        if self._scene is None:
            raise InputError("there is no cloud to click on: call set_cloud first")
        return self.answer(self._scene, prompt, mask_input, multimask)

    def answer(
        self,
        scene: EncodedScene,
        prompt: Prompt,
        mask_input: Float32[np.ndarray, " N"] | None = None,
        multimask: bool | None = None,
    ) -> MaskCandidates:
        """``predict`` on a cloud that ``encode`` returned.

        Raises:
            InputError, PromptError: see ``predict``.
        """
        if mask_input is not None and len(mask_input) != len(scene.cloud):
            raise InputError(f"the mask prompt has {len(mask_input)} points, the cloud {len(scene.cloud)}")
        points = self._tensor(scene.normalisation.apply_to_clicks(prompt.points))
        logits = None if mask_input is None else self._tensor(mask_input)[None, None]
        with stage("decode"), torch.inference_mode():
            labels = torch.from_numpy(prompt.is_foreground).to(self.device)
            found = self._network.decode(scene.encoded, points[None, None], labels[None, None], logits, multimask)
        return self._ranked(scene, _array(found.mask_logits[0, 0]), _array(found.iou_predictions[0, 0]))

    def answer_each(self, scene: EncodedScene, points: Float32[np.ndarray, "M 3"]) -> MaskPrediction:
        """Three candidates for each of M clicks on different objects, on the device, as the network orders them.

        Raises:
            PromptError: a click lies outside of the cloud.
        """
        clicks = self._tensor(scene.normalisation.apply_to_clicks(points))
        with stage("decode"), torch.inference_mode():
            labels = torch.ones(1, len(clicks), 1, dtype=torch.bool, device=self.device)
            found: MaskPrediction = self._network.decode(scene.encoded, clicks[None, :, None], labels, multimask=True)
        return found

    def _ranked(
        self, scene: EncodedScene, mask_logits: Float32[np.ndarray, "C N"], ious: Float32[np.ndarray, " C"]
    ) -> MaskCandidates:
        if scene.surfaces is not None:
            mask_logits = scene.surfaces.blend(mask_logits, self.settings.surface_weight)
        stability = _array(stability_of(torch.from_numpy(mask_logits)))
        rank = ious if self.settings.selection == "predicted_iou" else stability
        order = np.argsort(-rank, kind="stable")
        return MaskCandidates(scene.cloud, mask_logits[order], ious[order], stability[order])

    def _rgb(self, cloud: Cloud) -> Float32[np.ndarray, "N 3"]:
        """Colours in -1..1."""
        if cloud.rgb is None:
            return np.full((len(cloud), 3), 2 * self.settings.missing_colour - 1, np.float32)
        scaled: Float32[np.ndarray, "N 3"] = cloud.rgb * np.float32(2) - np.float32(1)
        return scaled

    def _tensor(self, values: Float32[np.ndarray, "*S"]) -> Tensor:
        return torch.tensor(values, device=self.device)


def require_usable(cloud: Cloud) -> None:
    """Look at what can be wrong with a cloud without knowing where its points lie.

    Raises:
        InputError: fewer than 3 points, or colours outside 0..1.
    """
    if len(cloud) < FEWEST_PATCHES:
        raise InputError(f"the cloud has {len(cloud)} points, Point-SAM needs {FEWEST_PATCHES} at least")
    rgb = cloud.rgb
    if rgb is not None and not (rgb.min() >= 0 and rgb.max() <= 1):
        raise InputError(f"colours are from {rgb.min():g} to {rgb.max():g}, must be within 0..1")


def stability_of(mask_logits: Float[Tensor, "*C N"]) -> Float32[Tensor, "*C"]:
    """Size of each mask with a stricter threshold over that with a laxer one, 0..1."""
    strict = (mask_logits > _STABILITY_MARGIN).sum(dim=-1)
    lax = (mask_logits > -_STABILITY_MARGIN).sum(dim=-1)
    return (strict / lax.clamp(min=1)).float()


def _array(values: Tensor) -> Float32[np.ndarray, "*S"]:
    array: Float32[np.ndarray, "*S"] = values.float().cpu().numpy()
    return array
