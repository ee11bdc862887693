"""Point-SAM networks in safetensors files with a card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from seg3d_core.checkpoints import cards
from seg3d_core.checkpoints.precision import Precision, in_precision
from seg3d_core.checkpoints.safetensors_files import opened
from seg3d_core.point_sam.card import PointSamCard
from seg3d_core.point_sam.checkpoint import UNUSED, load_network
from seg3d_core.point_sam.model import PointSamNetwork

KEPT_EXACT = "point_encoder.pe_layer.positional_encoding_gaussian_matrix"
"""Multiplied by coordinates and 2π before a sine: rounding it to half precision would move every position."""

FAMILY = "pc_encoder."
"""What names of tensors begin with in files of this network and no other."""


@dataclass(frozen=True)
class SourceAudit:
    """What of a file is used.

    Attributes:
        used: tensors that the network has a place for.
        dropped: names of those of the image transformer that nothing computes with.
        dropped_numbers: how many numbers these hold.
    """

    used: int
    dropped: tuple[str, ...]
    dropped_numbers: int

    def __str__(self) -> str:
        text = f"{self.used + len(self.dropped)} tensors: {self.used} used, none missing, none unexpected"
        if not self.dropped:
            return text
        return (
            f"{text}; {len(self.dropped)} of the image transformer that nothing computes with dropped "
            f"({self.dropped_numbers:,} numbers): {', '.join(self.dropped)}"
        )


def is_point_sam(path: str | Path) -> bool:
    """Whether a safetensors file holds a network of this family, whole or not.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    with opened(path) as file:
        return any(name.startswith(FAMILY) for name in file.keys())  # noqa: SIM118  (no mapping)


def convert(source: str | Path, target: str | Path, precision: Precision) -> tuple[SourceAudit, PointSamCard, Path]:
    """Write the network of a file anew: what is used of it, in that number type, with a card.

    Returns:
        What of ``source`` is used, the card, and the file beside ``target`` that holds it alone.

    Raises:
        CheckpointError: ``source`` cannot be read, does not fit the network, or has numbers too large for float16.
        InputError: ``target`` cannot be written.
    """
    cards.check_network_target(target)
    network = load_network(source)
    found = _audit(source, network)
    tensors = {
        name: value if name == KEPT_EXACT else in_precision(name, value, precision)
        for name, value in network.state_dict().items()
    }
    parameters = sum(parameter.numel() for parameter in network.parameters())
    values = {"precision": precision, "parameters": parameters, "network": network.config}
    card = PointSamCard.build({**cards.origin(source), **values})
    return found, card, cards.write_tensors(target, tensors, card)


def _audit(source: str | Path, network: PointSamNetwork) -> SourceAudit:
    with opened(source) as file:
        shapes = {name: file.get_slice(name).get_shape() for name in UNUSED if name in set(file.keys())}
    numbers = sum(int(torch.Size(shape).numel()) for shape in shapes.values())
    return SourceAudit(len(network.state_dict()), tuple(shapes), numbers)
