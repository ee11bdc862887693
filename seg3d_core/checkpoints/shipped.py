"""Weights that come with the package."""

from __future__ import annotations

from pathlib import Path

from seg3d_core.errors import ConfigError

_FOLDER = Path(__file__).resolve().parents[1] / "weights"


def shipped(name: str) -> Path:
    """The safetensors file of the weights ``name``; what they are is told beside it, in a .md file.

    Raises:
        ConfigError: there are none of that name; the message lists those there are.
    """
    known = sorted(path.stem for path in _FOLDER.glob("*.safetensors"))
    if name not in known:
        there = ", ".join(known) or "none at all"
        raise ConfigError(f"no weights named {name!r} come with this package, there are {there} (in {_FOLDER})")
    return _FOLDER / f"{name}.safetensors"
