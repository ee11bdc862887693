"""seg3d: fine-grained 3-D instances of anything, without classes and without manual labels.

from seg3d_core import Cloud, Segment3D, SegmentConfig, make_segmenter

cloud = Cloud.from_file("room.ply")
instances = Segment3D.from_checkpoint("segment3d.safetensors").segment(cloud)
instances = make_segmenter(SegmentConfig(model="graph")).segment(cloud)  # needs neither PyTorch nor weights
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seg3d_core.errors import CheckpointError, ConfigError, DeviceError, InputError, PromptError, Seg3dError
from seg3d_core.optional import import_with_torch

if TYPE_CHECKING:
    from seg3d_core.config import FusionConfig, GraphConfig, SegmentConfig, TrackingConfig
    from seg3d_core.geometry.camera import Camera
    from seg3d_core.point_sam.predictor import PointSam
    from seg3d_core.point_sam_config import PointSamSettings
    from seg3d_core.segment3d.predictor import Segment3D
    from seg3d_core.segment3d_config import Segment3DSettings
    from seg3d_core.segmenter import Segmenter, make_segmenter
    from seg3d_core.types import IGNORE, Cloud, Instances, LabelledCloud, Prompt, RgbdFrame

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
    "PointSam",
    "PointSamSettings",
    "Prompt",
    "PromptError",
    "RgbdFrame",
    "Seg3dError",
    "Segment3D",
    "Segment3DSettings",
    "SegmentConfig",
    "Segmenter",
    "TrackingConfig",
    "make_segmenter",
]

# Imported when first used: numba, scipy and pydantic take most of a second, which `seg3d --help` need not pay.
_HOMES = {
    "seg3d_core.config": ("FusionConfig", "GraphConfig", "Segment3DSettings", "SegmentConfig", "TrackingConfig"),
    "seg3d_core.geometry.camera": ("Camera",),
    "seg3d_core.point_sam.predictor": ("PointSam",),
    "seg3d_core.point_sam_config": ("PointSamSettings",),
    "seg3d_core.segment3d.predictor": ("Segment3D",),
    "seg3d_core.segmenter": ("Segmenter", "make_segmenter"),
    "seg3d_core.types": ("IGNORE", "Cloud", "Instances", "LabelledCloud", "Prompt", "RgbdFrame"),
}


def __getattr__(name: str) -> Any:
    """The promised names; ``PointSam`` and ``Segment3D`` raise ConfigError where PyTorch is not installed."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_with_torch(module, name), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
