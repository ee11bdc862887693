"""Point-SAM networks out of safetensors files, as the authors released theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seg3d_core.checkpoints.audit import load_weights
from seg3d_core.checkpoints.cards import read_card
from seg3d_core.checkpoints.safetensors_files import opened
from seg3d_core.errors import CheckpointError, ConfigError
from seg3d_core.point_sam.card import PointSamCard
from seg3d_core.point_sam.model import PointSamNetwork
from seg3d_core.point_sam_config import PointSamConfig

UNUSED = (
    "pc_encoder.transformer.cls_token",
    "pc_encoder.transformer.pos_embed",
    "pc_encoder.transformer.patch_embed.proj.weight",
    "pc_encoder.transformer.patch_embed.proj.bias",
    "pc_encoder.transformer.head.weight",
    "pc_encoder.transformer.head.bias",
)
"""Tensors of the image transformer that the encoder is made of; nothing computes with them. Only they are dropped."""

_HEAD_CHANNELS = {"gated": 64, "plain": 88}
"""Of the attention heads in EVA02 and in EVA-giant; the number of heads leaves no trace in the tensors."""

_PATCHES = "pc_encoder.patch_embed.patch_encoder."
_BLOCKS = "pc_encoder.transformer.blocks."
_CELLS, _CELLS_IN_TRAINING = "pc_encoder.patch_embed.in_proj.weight", 1024


def load_network(path: str | Path, config: PointSamConfig | None = None) -> PointSamNetwork:
    """The network of a safetensors file in float32, on the CPU, for inference.

    Widths and depths are those of ``config``, else of the file's card, else read off the tensors; what leaves no trace
    there is then as in ``config_of``.

    Raises:
        CheckpointError: the file or its card cannot be read, or its tensors are not exactly those of the network.
    """
    weights, card = read_weights(path), read_card(path, PointSamCard)
    config = config or (card.network if card else config_of(weights, str(path)))
    with torch.device("meta"):  # neither memory nor random numbers for weights that are replaced
        network = PointSamNetwork(config)
    load_weights(network, weights, str(path))
    return network.eval()


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file in float32, named as in ``PointSamNetwork``; those that are ``UNUSED`` are not read.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    with opened(path) as file:
        return {name: file.get_tensor(name).float() for name in file.keys() if name not in UNUSED}  # noqa: SIM118


def config_of(weights: dict[str, Tensor], source: str = "the state dict") -> PointSamConfig:
    """Widths and depths of the network that has these weights.

    What leaves no trace in them is as in released networks: heads of 64 channels (gated blocks) or 88 (plain ones), 8
    heads in the decoder, and the defaults of what is free to change.

    Raises:
        CheckpointError: they are of no Point-SAM network, or of one out of the ranges of ``PointSamConfig``.
    """
    blocks = "plain" if f"{_BLOCKS}0.attn.qkv.weight" in weights else "gated"
    widen = "mlp.fc1" if blocks == "plain" else "mlp.fc1_x"
    try:
        hidden_dim, encoder_dim = weights["pc_encoder.out_proj.weight"].shape
        values: dict[str, Any] = {
            "blocks": blocks,
            **_tokenizer_of(weights),
            "patch_channels": weights["pc_encoder.patch_proj.weight"].shape[1],
            "encoder_dim": encoder_dim,
            "encoder_depth": _count(weights, rf"{re.escape(_BLOCKS)}\d+\.norm1\.weight"),
            "encoder_heads": max(1, encoder_dim // _HEAD_CHANNELS[blocks]),
            "encoder_feedforward_dim": weights[f"{_BLOCKS}0.{widen}.weight"].shape[0],
            "hidden_dim": hidden_dim,
            "decoder_depth": _count(weights, r"mask_decoder\.transformer\.layers\.\d+\.norm1\.weight"),
            "decoder_feedforward_dim": weights["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
            "iou_hidden_dim": weights["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        }
        return PointSamConfig.build(values)
    except KeyError as error:
        raise CheckpointError(f"{source} is of no Point-SAM network: it lacks {error.args[0]}") from error
    except (IndexError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{source} is of no Point-SAM network: {error}") from error


def _tokenizer_of(weights: dict[str, Tensor]) -> dict[str, Any]:
    if _CELLS in weights:
        return {
            "tokenizer": "voronoi",
            "patches": _CELLS_IN_TRAINING,
            "cell_channels": weights[_CELLS].shape[0],
            "cell_mask_channels": weights["mask_encoder.first_nn.weight"].shape[0],
        }
    channels = tuple(weights[f"{_PATCHES}{layer}.0.weight"].shape[0] for layer in ("conv1", "conv2"))
    return {"patch_hidden_channels": channels}


def _count(weights: dict[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in weights)
