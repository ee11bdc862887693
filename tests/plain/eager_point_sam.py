"""Point-SAM as one writes it down first: plain modules, everything at once, the cloud encoded again for every click.

A peer to measure against. Parameters are named as in ``PointSamNetwork``, so that both have the same weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.point_sam.decoder import MASK_TOKENS
from seg3d_core.point_sam.model import PointSamNetwork


class PatchPointNet(nn.Module):
    def __init__(self, channels: int, hidden: tuple[int, int], out: int) -> None:
        super().__init__()
        self.conv1 = two_layers(channels, hidden[0], hidden[0])
        self.conv2 = two_layers(2 * hidden[0], hidden[1], out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        whole = x.amax(dim=-2, keepdim=True).expand_as(x)
        return self.conv2(torch.cat([whole, x], dim=-1)).amax(dim=-2)


def two_layers(channels: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, out))


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, dim, bias=i != 1) for i in range(3))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class SwiGlu(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1_g, self.fc1_x, self.fc2 = nn.Linear(dim, hidden), nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(hidden, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.norm(functional.silu(self.fc1_g(x)) * self.fc1_x(x)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = Attention(dim, heads), SwiGlu(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self, config) -> None:
        super().__init__()
        dim, heads, hidden = config.encoder_dim, config.encoder_heads, config.encoder_feedforward_dim
        self.patch_embed = nn.Module()
        self.patch_embed.patch_encoder = PatchPointNet(6, config.patch_hidden_channels, config.patch_channels)
        self.patch_proj = nn.Linear(config.patch_channels, dim)
        self.pos_embed = nn.Sequential(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, dim))
        self.transformer = nn.Module()
        self.transformer.blocks = nn.Sequential(*(Block(dim, heads, hidden) for _ in range(config.encoder_depth)))
        self.transformer.fc_norm = nn.LayerNorm(dim, eps=1e-6)
        self.out_proj = nn.Linear(dim, config.hidden_dim)

    def forward(self, centres: Tensor, features: Tensor) -> Tensor:
        x = self.patch_proj(self.patch_embed.patch_encoder(features)) + self.pos_embed(centres)
        return self.out_proj(self.transformer.fc_norm(self.transformer.blocks(x)))


class EagerPointSam:
    """Clicks on one cloud by the modules above, and by those parts of ``network`` that are plain already."""

    def __init__(self, network: PointSamNetwork) -> None:
        config = network.config
        self.network = network
        self.encoder = Encoder(config).eval()
        self.encoder.load_state_dict(network.pc_encoder.state_dict())
        self.mask_encoder = PatchPointNet(4, config.patch_hidden_channels, config.hidden_dim).eval()
        self.mask_encoder.load_state_dict(network.mask_encoder.patch_encoder.state_dict())

    def group(self, xyz: Tensor, rgb: Tensor, patches: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Centres, rows of members, features of members."""
        centres = xyz[farthest(xyz, patches)]
        rows = torch.cdist(centres, xyz).topk(size, largest=False, sorted=False).indices
        return centres, rows, torch.cat([xyz[rows] - centres[:, None], rgb[rows]], dim=-1)

    def click(
        self, xyz: Tensor, rgb: Tensor, patches: int, size: int, clicks: Tensor, labels: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mask logits (T, N) and predicted overlaps (T,): three of a click alone, one with a mask prompt."""
        centres, rows, features = self.group(xyz, rgb, patches, size)
        embedded = self.encoder(centres[None], features[None])
        if mask is None:
            embedded = embedded + self.network.mask_encoder.no_mask_embed.weight[0]
        else:
            embedded = embedded + self.mask_encoder(
                torch.cat([features[None, ..., :3], mask[rows][None, ..., None]], -1)
            )
        prompts = self.network.point_encoder(clicks[None], labels[None])
        return self.decode(xyz, centres, embedded, prompts, mask is None)

    def decode(
        self, xyz: Tensor, centres: Tensor, embedded: Tensor, prompts: Tensor, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        decoder, places = self.network.mask_decoder, self.network.point_encoder.encode_places(centres[None])
        tokens = torch.cat([torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None], prompts], dim=1)
        tokens, seen = decoder.transformer(tokens, embedded, places)
        distances, near = torch.cdist(xyz, centres).topk(3, largest=False)
        weights = 1 / distances.square().clamp_min(1e-8)
        features = (seen[0][near] * (weights / weights.sum(-1, keepdim=True))[..., None]).sum(1)
        for layer in decoder.output_upscaling:
            plain = isinstance(layer, nn.Linear)
            features = functional.linear(features, layer.weight, layer.bias) if plain else layer(features)
        chosen = range(1, MASK_TOKENS) if multimask else range(1)
        hyper = torch.stack([decoder.output_hypernetworks_mlps[i](tokens[0, 1 + i]) for i in chosen])
        return hyper @ features.T, decoder.iou_prediction_head(tokens[0, 0])[chosen.start : chosen.stop]


def farthest(xyz: Tensor, count: int) -> Tensor:
    squared = torch.full((len(xyz),), torch.inf)
    chosen = torch.zeros(count, dtype=torch.int64)
    for i in range(1, count):
        squared = torch.minimum(squared, ((xyz - xyz[chosen[i - 1]]) ** 2).sum(-1))
        chosen[i] = squared.argmax()
    return chosen
