"""Libraries that not every installation has: PyTorch, and those that only some commands need."""

from __future__ import annotations

import importlib
from typing import Any

from seg3d_core.errors import ConfigError

INSTALL_TORCH = "python -m pip install 'torch>=2.6'"


def import_with_torch(module: str, what: str, otherwise: str = "") -> Any:
    """Import ``module``.

    Args:
        module: full name, of a module of ours.
        what: that cannot be had without it, for the message.
        otherwise: what can be had, for the message.

    Raises:
        ConfigError: PyTorch is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        hint = f" ({otherwise})" if otherwise else ""
        raise ConfigError(f"{what} needs PyTorch{hint}, which is not installed: {INSTALL_TORCH}") from error


def import_optional(module: str, what: str, package: str) -> Any:
    """Import ``module`` of somebody else.

    Args:
        module: full name.
        what: that cannot be had without it, for the message.
        package: as pip installs it.

    Raises:
        ConfigError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise ConfigError(f"{what} needs {package}, which is not installed: python -m pip install {package}") from error
