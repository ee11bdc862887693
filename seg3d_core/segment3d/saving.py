"""Networks in safetensors files: tensors, and a card that says what they are.

The card is JSON in the metadata of the file, so that the two cannot be parted, and once more in a file beside it, for
people.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Literal

from pydantic import Field
from safetensors.torch import save
from torch import Tensor

from seg3d_core.checkpoints.safetensors_files import opened
from seg3d_core.config import Config, Segment3DConfig, Segment3DSettings
from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import CheckpointError, ConfigError, InputError
from seg3d_core.segment3d.model import Segment3DNetwork

SUFFIX = ".safetensors"

_CARD = "seg3d"
"""Name of the card among the metadata."""


class ModelCard(Config):
    """What a file of weights is."""

    format: Literal[1] = Field(1, description="Of this card.")
    written_by: str = Field("", description="Program and version.")
    source: str = Field("", description="Name of the file that the weights came from; empty: made here.")
    source_sha256: str = Field("", description="Of that file.")
    voxel_size_m: float = Field(gt=0, description="Voxels the network was trained with, m.")
    parameters: int = Field(ge=1, description="Number of trained numbers.")
    network: Segment3DConfig = Field(description="Widths and depths.")


def card_of(
    network: Segment3DNetwork, source: str | Path | None = None, voxel_size_m: float | None = None
) -> ModelCard:
    """The card of a network.

    Args:
        network: as it will be saved.
        source: the file that it came out of, if it did.
        voxel_size_m: what it was trained with; otherwise what the card of ``source`` says, or that of released ones.

    Raises:
        ConfigError: the voxel size is not above 0 m.
        CheckpointError: ``source`` has a card that cannot be read.
    """
    if voxel_size_m is None:
        known = read_card(source) if source else None
        voxel_size_m = known.voxel_size_m if known else Segment3DSettings.build({}).voxel_size_m
    return ModelCard.build(
        {
            "written_by": f"seg3d_ros {_version()}",
            "source": Path(source).name if source else "",
            "source_sha256": _sha256(Path(source)) if source else "",
            "voxel_size_m": voxel_size_m,
            "parameters": _count(network),
            "network": network.config,
        }
    )


def check_network_target(path: str | Path) -> None:
    """See before a long computation whether a network could be written to ``path``.

    Raises:
        InputError: another suffix than .safetensors, ``path`` is a folder, or its own folder does not exist.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: unknown suffix {path.suffix!r}, networks are written as {SUFFIX}")
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist")


def save_network(path: str | Path, network: Segment3DNetwork, card: ModelCard) -> Path:
    """Write the tensors of ``network`` and its card; the file beside it that holds the card alone is returned.

    Both files appear complete or not at all.

    Raises:
        InputError: see ``check_network_target``; or a file cannot be written.
    """
    check_network_target(path)
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    text = card.model_dump_json(indent=2)
    beside = Path(path).with_suffix(".card.json")
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, {_CARD: text}))
    with atomic_path(beside) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return beside


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], ModelCard | None]:
    """The tensors of a file and its card; None where it has no card.

    Raises:
        CheckpointError: the file is missing, damaged, or its card cannot be read.
    """
    with opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        return tensors, _card(file.metadata(), path)


def read_card(path: str | Path) -> ModelCard | None:
    """The card of a file; None where it has none, as files of other programs.

    Raises:
        CheckpointError: see ``read_safetensors``.
    """
    if Path(path).suffix != SUFFIX:
        return None
    with opened(path) as file:
        return _card(file.metadata(), path)


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


def _card(metadata: dict[str, str] | None, path: str | Path) -> ModelCard | None:
    if not metadata or _CARD not in metadata:
        return None
    try:
        return ModelCard.build(json.loads(metadata[_CARD]))
    except (ConfigError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: its card cannot be read: {error}") from error


def _count(network: Segment3DNetwork) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _version() -> str:
    try:
        return importlib.metadata.version("seg3d_ros")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "from a checkout"
