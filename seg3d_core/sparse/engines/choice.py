"""Engines by name."""

from __future__ import annotations

import importlib
import logging

import torch

from seg3d_core.errors import ConfigError, DeviceError
from seg3d_core.sparse.engines.interface import Engine

_LOGGER = logging.getLogger(__name__)

_CLASSES = {
    "torch": "TorchEngine",
    "triton": "TritonEngine",
    "minkowski": "MinkowskiEngine",
    "spconv": "SpconvEngine",
}

_INSTALL = {
    "triton": "pip install triton (CUDA builds of PyTorch bring it along)",
    "minkowski": "build MinkowskiEngine 0.5.4 from source: it has no wheels",
    "spconv": "pip install spconv-cu126, or the one for your CUDA release",
}

ENGINES = ("auto", *_CLASSES)
"""Names that ``choose_engine`` knows."""


def choose_engine(name: str, device: torch.device) -> Engine:
    """The engine of that name for ``device``; ``auto`` is triton on CUDA where it imports, torch otherwise.

    Raises:
        ConfigError: the name is unknown, or the engine's library is not installed or not for this device.
        DeviceError: ``device`` is on CUDA and there is none, or not as many.
    """
    _check_device(device)
    if name == "auto":
        name = "triton" if device.type == "cuda" and _is_importable("triton") else "torch"
        _LOGGER.info("sparse convolutions on %s by the engine %s", device, name)
    if name not in _CLASSES:
        raise ConfigError(f"engine {name!r} is unknown; known are {', '.join(ENGINES)}")
    try:
        module = importlib.import_module(f"seg3d_core.sparse.engines.{name}_engine")
    except ImportError as error:
        raise ConfigError(f"engine {name!r} is not available ({error}): {_INSTALL.get(name, '')}") from error
    engine: Engine = getattr(module, _CLASSES[name])(device)
    return engine


def _check_device(device: torch.device) -> None:
    if device.type != "cuda":
        return
    if not torch.cuda.is_available():
        raise DeviceError(f"{device} was asked for, PyTorch {torch.__version__} finds no CUDA device")
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise DeviceError(f"{device} was asked for, there are {torch.cuda.device_count()} CUDA devices")


def _is_importable(library: str) -> bool:
    try:
        importlib.import_module(library)
    except ImportError:
        return False
    return True
