"""Networks whose weights are made from the names of their parameters, as those of the recorded originals were."""

from __future__ import annotations

import importlib.util
import math
import zlib
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("torch"):
    import torch

    # These networks are too small to share among threads.
    torch.set_num_threads(1)

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def recipe(name, shape):
    """The tensor of that name; the rule is written in every recorded file."""
    seed = zlib.crc32(name.encode())
    z = np.random.RandomState(seed).standard_normal(shape)
    if name.endswith("positional_encoding_gaussian_matrix"):
        return z
    if any(part in name for part in ("point_embeddings", "no_mask_embed", "iou_token", "mask_tokens")):
        return 0.5 * z
    if len(shape) == 1 and name.endswith(".weight"):
        return 1 + 0.1 * z
    if len(shape) in (1, 3):
        return 0.02 * z
    return _gain(name) * z / math.sqrt(math.prod(shape[1:]))


def _gain(name):
    if "q_proj" in name or "k_proj" in name:
        return 2.5
    if "attn.qkv.weight" in name:
        return 1.5
    if "image_to_token.out_proj" in name:
        return 0.1
    if "conv1.0." in name:
        return 8
    return 6 if name.endswith("pos_embed.0.weight") else 1


def make_network(config, dtype="float32"):
    from seg3d_core.point_sam.model import PointSamNetwork

    network = PointSamNetwork(config)
    weights = {name: recipe(name, tuple(value.shape)) for name, value in network.state_dict().items()}
    network.load_state_dict({name: torch.from_numpy(value).float() for name, value in weights.items()})
    return network.to(getattr(torch, dtype)).eval()


def recorded_config(recorded):
    """Our settings of the network that the recording describes."""
    from seg3d_core.point_sam_config import PointSamConfig

    encoder, decoder = recorded["config"]["pc_encoder"], recorded["config"]["mask_decoder"]
    vit, patches = encoder["transformer"], encoder["patch_embed"]
    plain = "giant" in vit["model_name"]
    dim = vit["embed_dim"]
    return PointSamConfig.build(
        {
            "patches": patches["num_patches"],
            "patch_size": patches["patch_size"],
            "patch_channels": patches["out_channels"],
            "blocks": "plain" if plain else "gated",
            "encoder_dim": dim,
            "encoder_depth": vit["depth"],
            "encoder_heads": vit["num_heads"],
            "encoder_feedforward_dim": dim * 6144 // 1408 if plain else dim * 8 // 3,
            "hidden_dim": encoder["embed_dim"],
            "decoder_depth": decoder["transformer"]["depth"],
            "decoder_heads": decoder["transformer"]["num_heads"],
            "decoder_feedforward_dim": decoder["transformer"]["mlp_dim"],
            "iou_hidden_dim": decoder.get("iou_head_hidden_dim", 256),
        }
    )


@pytest.fixture(scope="package", params=["micro", "tiny_giant"])
def recorded(request):
    """What the original computed; ``micro`` has gated blocks, ``tiny_giant`` plain ones."""
    return torch.load(GOLDEN / f"point_sam_reference_{request.param}.pt", weights_only=True)


@pytest.fixture(scope="package")
def networks(recorded):
    """The recorded network in single and double precision."""
    config = recorded_config(recorded)
    return {dtype: make_network(config, dtype) for dtype in ("float32", "float64")}
