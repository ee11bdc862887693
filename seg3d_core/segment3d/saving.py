"""Segment3D networks in safetensors files with a card."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from torch import Tensor

from seg3d_core.checkpoints import cards
from seg3d_core.checkpoints.precision import Precision, in_precision
from seg3d_core.checkpoints.safetensors_files import opened
from seg3d_core.errors import CheckpointError
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d_config import RELEASED_VOXEL_SIZE_M, Segment3DConfig

_TRAINED_WITH = {"voxel_size_m", "superpoints", "max_voxels"}


class ModelCard(cards.Card):
    """What a file of weights is."""

    voxel_size_m: float = Field(gt=0, description="Voxels the network was trained with, m.")
    superpoints: bool = Field(False, description="Whether it was trained with masks that consist of superpoints.")
    max_voxels: int = Field(0, ge=0, description="It was trained with clouds of at most so many voxels; 0: of any.")
    parameters: int = Field(ge=1, description="Number of trained numbers.")
    precision: Precision = Field("float32", description="Number type of these in the file.")
    network: Segment3DConfig = Field(description="Widths and depths.")


def card_of(
    network: Segment3DNetwork,
    source: str | Path | None = None,
    voxel_size_m: float | None = None,
    superpoints: bool | None = None,
    max_voxels: int | None = None,
    precision: Precision = "float32",
) -> ModelCard:
    """The card of a network.

    Args:
        network: as it will be saved.
        source: the file that it came out of, if it did.
        voxel_size_m: what it was trained with; otherwise what the card of ``source`` says, or that of released ones.
        superpoints: whether its masks consisted of them; otherwise what the card of ``source`` says, or False.
        max_voxels: of the clouds it was trained with; otherwise what the card of ``source`` says, or 0: any.
        precision: number type in the file.

    Raises:
        ConfigError: the voxel size is not above 0 m.
        CheckpointError: ``source`` has a card that cannot be read.
    """
    known = read_card(source) if source else None
    trained = {"voxel_size_m": RELEASED_VOXEL_SIZE_M} if known is None else known.model_dump(include=_TRAINED_WITH)
    said = {"voxel_size_m": voxel_size_m, "superpoints": superpoints, "max_voxels": max_voxels}
    trained |= {name: value for name, value in said.items() if value is not None}
    size = {"parameters": _count(network), "network": network.config, "precision": precision}
    return ModelCard.build({**cards.origin(source), **trained, **size})


def save_network(path: str | Path, network: Segment3DNetwork, card: ModelCard) -> Path:
    """Write the tensors of ``network`` and its card; the file beside it that holds the card alone is returned.

    Both files appear complete or not at all. What is not trained, as the statistics of normalisations, stays exact.

    Raises:
        InputError: see ``check_network_target``; or a file cannot be written.
        CheckpointError: numbers are too large for the precision that the card names.
    """
    trained = {name: in_precision(name, value, card.precision) for name, value in network.named_parameters()}
    return cards.write_tensors(path, {**network.state_dict(), **trained}, card)


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], ModelCard | None]:
    """The tensors of a file and its card; None where it has no card.

    Raises:
        CheckpointError: the file is missing, damaged, or its card cannot be read.
    """
    with opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        return tensors, cards.card_in(file.metadata(), path, ModelCard)


def read_card(path: str | Path) -> ModelCard | None:
    """The card of a file; None where it has none, as files of other programs.

    Raises:
        CheckpointError: see ``read_safetensors``.
    """
    return cards.read_card(path, ModelCard)


def check_card(card: ModelCard, read_off: Segment3DConfig, network: Segment3DNetwork, source: str) -> None:
    """See whether the card and the tensors of a file agree.

    Args:
        card: of the file.
        read_off: what the tensors say, with the card's word for what leaves no trace in them.
        network: made after ``read_off``.
        source: name of the file, for the message.

    Raises:
        CheckpointError: they do not; every contradiction is listed.
    """
    said, found = card.network.model_dump(), read_off.model_dump()
    said["parameters"], found["parameters"] = card.parameters, _count(network)
    wrong = [f"{name} is {said[name]} on the card, {found[name]} in the tensors" for name in said]
    wrong = [text for text, name in zip(wrong, said, strict=True) if said[name] != found[name]]
    if wrong:
        raise CheckpointError(f"{source}: its card contradicts its tensors, nothing was loaded: {'; '.join(wrong)}")


def _count(network: Segment3DNetwork) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
