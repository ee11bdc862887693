"""Modules of ours that need PyTorch, which not every installation has."""

from __future__ import annotations

import importlib
from typing import Any

from seg3d_core.errors import ConfigError

INSTALL_TORCH = "python -m pip install 'torch>=2.6'"


def import_with_torch(module: str, what: str) -> Any:
    """Import ``module``.

    Args:
        module: full name, of a module of ours.
        what: that cannot be had without it, for the message.

    Raises:
        ConfigError: PyTorch is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ConfigError(f"{what} needs PyTorch, which is not installed: {INSTALL_TORCH}") from error
