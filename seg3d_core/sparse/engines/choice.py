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

TRITON_CAPABILITY = (8, 0)
"""Least compute capability whose tensor cores Triton uses: Ampere, and Orin among the Jetsons."""

ENGINES = ("auto", *_CLASSES)
"""Names that ``choose_engine`` knows."""


def choose_engine(name: str, device: torch.device) -> Engine:
    """The engine of that name for ``device``; ``auto`` is triton on CUDA where it runs, torch otherwise.

    Raises:
        ConfigError: the name is unknown, or the engine's library is not installed or not for this device.
        DeviceError: ``device`` is on CUDA and there is none, or not as many.
    """
    _check_device(device)
    if name == "auto":
        name = "triton" if _runs_triton(device) else "torch"
        _LOGGER.info("sparse convolutions on %s by the engine %s", device, name)
    if name not in _CLASSES:
        raise ConfigError(f"engine {name!r} is unknown; known are {', '.join(ENGINES)}")
    module = importlib.import_module(f"seg3d_core.sparse.engines.{name}_engine")
    engine: Engine = getattr(module, _CLASSES[name])(device)
    return engine


def _check_device(device: torch.device) -> None:
    if device.type != "cuda":
        return
    if not torch.cuda.is_available():
        raise DeviceError(f"{device} was asked for, PyTorch {torch.__version__} finds no CUDA device")
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise DeviceError(f"{device} was asked for, there are {torch.cuda.device_count()} CUDA devices")


def _runs_triton(device: torch.device) -> bool:
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < TRITON_CAPABILITY:
        return False
    try:
        importlib.import_module("triton")
    except ImportError:
        return False
    return True
