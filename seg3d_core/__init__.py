"""seg3d: fine-grained 3-D instances of anything, without classes and without manual labels.

from seg3d_core import Cloud, GraphConfig, make_segmenter

cloud = Cloud.from_file("room.ply")
instances = make_segmenter("graph", GraphConfig()).segment(cloud)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seg3d_core.errors import CheckpointError, ConfigError, DeviceError, InputError, PromptError, Seg3dError

if TYPE_CHECKING:
    from seg3d_core.config import FusionConfig, GraphConfig, TrackingConfig
    from seg3d_core.geometry.camera import Camera
    from seg3d_core.segmenter import Segmenter, make_segmenter
    from seg3d_core.types import IGNORE, Cloud, Instances, LabelledCloud, RgbdFrame

__all__ = [
    "IGNORE",
    "Camera",
    "CheckpointError",
    "Cloud",
    "ConfigError",
    "DeviceError",
    "FusionConfig",
    "GraphConfig",
    "InputError",
    "Instances",
    "LabelledCloud",
    "PromptError",
    "RgbdFrame",
    "Seg3dError",
    "Segmenter",
    "TrackingConfig",
    "make_segmenter",
]

# Imported when first used: numba, scipy and pydantic take most of a second, which `seg3d --help` need not pay.
_HOMES = {
    "seg3d_core.config": ("FusionConfig", "GraphConfig", "TrackingConfig"),
    "seg3d_core.geometry.camera": ("Camera",),
    "seg3d_core.segmenter": ("Segmenter", "make_segmenter"),
    "seg3d_core.types": ("IGNORE", "Cloud", "Instances", "LabelledCloud", "RgbdFrame"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
