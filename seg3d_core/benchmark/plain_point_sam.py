"""Point-SAM as one writes it down first: plain modules, everything at once, the cloud encoded again for every click."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.benchmark.plain_encoder import PlainEncoder, PlainPointNet
from seg3d_core.benchmark.plain_points import farthest_plainly
from seg3d_core.point_sam.decoder import MASK_TOKENS
from seg3d_core.point_sam.model import PointSamNetwork


class PlainPointSam:
    """Clicks on one cloud by plain modules, and by those parts of ``network`` that are plain already. No gradients.

    Args:
        network: on the CPU, with patches of nearest neighbours; its parameters are used, not copied.
    """

    def __init__(self, network: PointSamNetwork) -> None:
        config = network.config
        self.network = network
        with torch.device("meta"):
            self.encoder = PlainEncoder(config).eval()
            self.mask_encoder = PlainPointNet(4, config.patch_hidden_channels, config.hidden_dim).eval()
        _share(network.pc_encoder, self.encoder)
        _share(network.mask_encoder.get_submodule("patch_encoder"), self.mask_encoder)

    def group(
        self, xyz: Float32[Tensor, "N 3"], rgb: Float32[Tensor, "N 3"], patches: int, size: int
    ) -> tuple[Float32[Tensor, "L 3"], Int64[Tensor, "L K"], Float32[Tensor, "L K 6"]]:
        """Centres, rows of members, features of members."""
        centres = xyz[farthest_plainly(xyz, patches)]
        rows = torch.cdist(centres, xyz).topk(size, largest=False, sorted=False).indices
        return centres, rows, torch.cat([xyz[rows] - centres[:, None], rgb[rows]], dim=-1)

    def click(
        self,
        xyz: Float32[Tensor, "N 3"],
        rgb: Float32[Tensor, "N 3"],
        patches: int,
        size: int,
        clicks: Float32[Tensor, "P 3"],
        is_foreground: Bool[Tensor, " P"],
        mask: Float32[Tensor, " N"] | None,
    ) -> tuple[Float[Tensor, "T N"], Float[Tensor, " T"]]:
        """Mask logits and predicted overlaps: three of clicks alone, one with a mask prompt (logits)."""
        centres, rows, features = self.group(xyz, rgb, patches, size)
        embedded = self.encoder(centres[None], features[None])
        if mask is None:
            embedded = embedded + self.network.mask_encoder.without_mask()
        else:
            members = torch.cat([features[None, ..., :3], mask[rows][None, ..., None]], dim=-1)
            embedded = embedded + self.mask_encoder(members)
        prompts = self.network.point_encoder(clicks[None], is_foreground[None])
        return self._decode(xyz, centres, embedded, prompts, range(1, MASK_TOKENS) if mask is None else range(1))

    def _decode(
        self, xyz: Tensor, centres: Tensor, embedded: Tensor, prompts: Tensor, masks: range
    ) -> tuple[Tensor, Tensor]:
        decoder, places = self.network.mask_decoder, self.network.point_encoder.encode_places(centres[None])
        tokens = torch.cat([torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None], prompts], dim=1)
        tokens, seen = decoder.transformer(tokens, embedded, places)
        distances, near = torch.cdist(xyz, centres).topk(3, largest=False)
        weights = 1 / distances.square().clamp_min(1e-8)
        features = (seen[0][near] * (weights / weights.sum(-1, keepdim=True))[..., None]).sum(1)
        for layer in decoder.output_upscaling:
            # Ours may be a faster kind of layer than the plain one.
            if isinstance(layer, nn.Linear):
                features = functional.linear(features, layer.weight, layer.bias)
            else:
                features = layer(features)
        hyper = torch.stack([decoder.output_hypernetworks_mlps[i](tokens[0, 1 + i]) for i in masks])
        return hyper @ features.T, decoder.iou_prediction_head(tokens[0, 0])[masks.start : masks.stop]


def _share(ours: nn.Module, plain: nn.Module) -> None:
    """Let ``plain``, which has no storage of its own, have the parameters of ``ours``."""
    plain.load_state_dict(ours.state_dict(), assign=True)
