"""Segment3D networks out of checkpoint files: released ones (Lightning), Mask3D's without classes, and our own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from seg3d_core.checkpoints.audit import load_weights, shortened
from seg3d_core.checkpoints.cards import SUFFIX
from seg3d_core.errors import CheckpointError, ConfigError
from seg3d_core.segment3d.archives import read_archive
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d.saving import check_card, read_safetensors
from seg3d_core.segment3d_config import Segment3DConfig

_PREFIX = "model."


def load_network(path: str | Path, config: Segment3DConfig | None = None) -> Segment3DNetwork:
    """The network of a released checkpoint, a plain state dict or a safetensors file, on the CPU, for inference.

    Nothing in the file is executed. Widths and depths are those of ``config``, else of the file's card, else read off
    the tensors; what leaves no trace there (heads, decoders, number of queries, tie rule) is then the default.

    Raises:
        CheckpointError: the file cannot be read, its tensors are not exactly those of the network, or contradict its
            card.
    """
    source = str(path)
    if Path(path).suffix != SUFFIX:
        weights, card = read_weights(path), None
    else:
        weights, card = read_safetensors(path)
    read_off = config or config_of(weights, source, card.network if card else None)
    network = Segment3DNetwork(read_off)
    load_weights(network, weights, source)
    if card is not None:
        check_card(card, read_off, network, source)
    return network.eval()


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, named as in ``Segment3DNetwork``; weights of the loss are left out.

    Raises:
        CheckpointError: the file cannot be read, or holds no state dict.
    """
    saved = read_archive(path)
    state = saved.get("state_dict", saved) if isinstance(saved, dict) else None
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{path} holds no state dict")
    odd = [str(name) for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if odd:
        raise CheckpointError(f"{path} holds no state dict: {shortened(odd)} are no tensors")
    weights = {name: value for name, value in state.items() if not name.startswith("criterion.")}
    if all(name.startswith(_PREFIX) for name in weights):
        weights = {name.removeprefix(_PREFIX): value for name, value in weights.items()}
    return weights


def config_of(
    weights: dict[str, Tensor], source: str = "the state dict", like: Segment3DConfig | None = None
) -> Segment3DConfig:
    """Widths and depths of the network that has these weights; what leaves no trace in them is as in ``like``.

    Raises:
        CheckpointError: they are of no Segment3D network, or of one out of the ranges of ``Segment3DConfig``.
    """
    try:
        stem = weights["backbone.conv0p1s1.kernel"].shape
        values: dict[str, Any] = {
            **(like.model_dump() if like else {}),
            "in_channels": stem[1],
            "stem_channels": stem[2],
            "stage_channels": tuple(weights[f"backbone.block{i}.0.conv1.kernel"].shape[2] for i in range(1, 9)),
            "stage_blocks": tuple(_block_count(weights, i) for i in range(1, 9)),
            "unused_classes": weights["backbone.final.kernel"].shape[1],
            "hidden_dim": weights["decoder_norm.weight"].shape[0],
            "feedforward_dim": weights["ffn_attention.0.0.linear1.weight"].shape[0],
            "classes": weights["class_embed_head.weight"].shape[0],
        }
        return Segment3DConfig.build(values)
    except KeyError as error:
        raise CheckpointError(f"{source} is of no Segment3D network: it lacks {error.args[0]}") from error
    except (IndexError, ConfigError) as error:
        raise CheckpointError(f"{source} is of no Segment3D network: {error}") from error


def _block_count(weights: dict[str, Tensor], stage: int) -> int:
    pattern = re.compile(rf"backbone\.block{stage}\.\d+\.conv1\.kernel")
    return sum(pattern.fullmatch(name) is not None for name in weights)
