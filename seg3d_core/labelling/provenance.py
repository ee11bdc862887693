"""What the masks of a folder were made with: masks of different settings are never mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import ConfigError, InputError

SETTINGS_FILE = "settings.yaml"


def settle(folder: Path, identity: dict[str, Any]) -> None:
    """Make ``folder`` for masks of these settings, or find that it is one.

    Args:
        folder: of the masks of one scene.
        identity: everything that decides what they look like.

    Raises:
        ConfigError: it was made with other settings, which the message tells.
        InputError: it cannot be written or read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = (folder / SETTINGS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        with atomic_path(folder / SETTINGS_FILE) as temporary:
            temporary.write_text(yaml.safe_dump(identity, sort_keys=False), encoding="utf-8")
        return
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from error
    _require_same(folder, before, identity)


def _require_same(folder: Path, text: str, identity: dict[str, Any]) -> None:
    try:
        before = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{folder / SETTINGS_FILE} is damaged: remove the folder, or choose another name") from error
    if before == identity:
        return
    known = before if isinstance(before, dict) else {}
    differing = [name for name in {**identity, **known} if identity.get(name) != known.get(name)]
    said = ", ".join(f"{name} was {known.get(name)!r}, is {identity.get(name)!r}" for name in differing)
    raise ConfigError(f"{folder} holds masks of other settings: {said}; choose another name, or remove the folder")
