"""What Segment3D would run on here, for ``seg3d doctor``."""

from __future__ import annotations

import torch

from seg3d_core.devices import choose_device, device_text
from seg3d_core.errors import ConfigError, DeviceError
from seg3d_core.sparse.engines.choice import ENGINES, choose_engine


def availability() -> list[str]:
    """Lines of text: the device and engine that would be chosen, then what each engine says about that device."""
    device = choose_device("auto")
    states = {name: _state(name, device) for name in ENGINES}
    chosen = states.pop("auto")
    return [
        f"would run on {device_text(device)}, engine {chosen}",
        *(f"engine {name}: {'ready' if state == name else state}" for name, state in states.items()),
    ]


def _state(name: str, device: torch.device) -> str:
    """Name of the engine that is made when this one is asked for, or why none is."""
    try:
        return choose_engine(name, device).name
    except (ConfigError, DeviceError) as error:
        return f"not here: {error}"
