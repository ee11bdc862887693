"""Networks in safetensors files: tensors, and a card that says what they are.

The card is JSON in the metadata of the file, so that the two cannot be parted, and once more in a file beside it, for
people. Which network a card describes is for its own module to say.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field
from safetensors.torch import save
from torch import Tensor

from seg3d_core.checkpoints.safetensors_files import opened
from seg3d_core.config import Config
from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import CheckpointError, ConfigError, InputError

SUFFIX = ".safetensors"

_CARD = "seg3d"
"""Name of the card among the metadata."""


class Card(Config):
    """What a file of weights is, whichever the network."""

    format: Literal[1] = Field(1, description="Of this card.")
    written_by: str = Field("", description="Program and version.")
    source: str = Field("", description="Name of the file that the weights came from; empty: made here.")
    source_sha256: str = Field("", description="Of that file.")


AnyCard = TypeVar("AnyCard", bound=Card)


def origin(source: str | Path | None) -> dict[str, str]:
    """The entries of a card that say who wrote it, and after which file, if there was one."""
    return {
        "written_by": f"seg3d_ros {_version()}",
        "source": Path(source).name if source else "",
        "source_sha256": _sha256(Path(source)) if source else "",
    }


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


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], card: Card) -> Path:
    """Write tensors and their card; the file beside it that holds the card alone is returned.

    Both files appear complete or not at all.

    Raises:
        InputError: see ``check_network_target``; or a file cannot be written.
    """
    check_network_target(path)
    here = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = card.model_dump_json(indent=2)
    beside = Path(path).with_suffix(".card.json")
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(here, {_CARD: text}))
    with atomic_path(beside) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return beside


def read_card(path: str | Path, kind: type[AnyCard]) -> AnyCard | None:
    """The card of a file; None where it has none, as files of other programs.

    Raises:
        CheckpointError: the file is missing or damaged, or its card is not of this kind.
    """
    if Path(path).suffix != SUFFIX:
        return None
    with opened(path) as file:
        return card_in(file.metadata(), path, kind)


def card_in(metadata: dict[str, str] | None, path: str | Path, kind: type[AnyCard]) -> AnyCard | None:
    """The card among the metadata of the file ``path``; raises as ``read_card``."""
    if not metadata or _CARD not in metadata:
        return None
    try:
        return kind.build(json.loads(metadata[_CARD]))
    except (ConfigError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: its card cannot be read: {error}") from error


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
