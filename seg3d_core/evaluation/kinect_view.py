"""The one image that an organised view of a Kinect was, put together again from its points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from seg3d_core.baselines.sam3d import MaskedFrame
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.labelling.settings import LabelFramesConfig
from seg3d_core.labelling.source import FrameToLabel
from seg3d_core.labelling.sources import make_source
from seg3d_core.types import Cloud, LabelledCloud, RgbdFrame

KINECT = Camera(640, 480, np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]]))
"""What drivers of the first Kinect take for its intrinsics; clouds that they made project back onto whole pixels."""

_OFF_PIXEL = 0.01


@dataclass(frozen=True, eq=False)
class KinectView:
    """One labelled view in the camera's frame, whose 2-D masks are made when they are asked for.

    Attributes:
        path: of the cloud.
        read: reads it.
    """

    path: Path
    read: Callable[[Path], LabelledCloud]

    def masked(self, source: str) -> Iterator[MaskedFrame]:
        """See ``Views``; ``source`` is one that ``seg3d label frames`` knows, with its default settings."""
        labelled = self.read(self.path)
        pixels = pixels_of(labelled.cloud)
        frame = _frame(labelled.cloud, pixels)
        true = np.zeros(KINECT.height * KINECT.width, np.int32)
        true[pixels] = np.maximum(labelled.instance_id, 0)
        shown = FrameToLabel(self.path.stem, frame, true.reshape(frame.depth_m.shape))
        try:
            (mask_ids,) = make_source(LabelFramesConfig.build({"source": source})).label([shown])
        except ConfigError as error:
            raise InputError(f"its 2-D masks cannot be made: {error}") from error
        return iter([MaskedFrame(frame, mask_ids)])

    def fingerprint(self, source: str) -> str:
        """See ``Views``."""
        try:
            return str(LabelFramesConfig.build({"source": source}).identity())
        except ConfigError:  # said when masks are asked for
            return source


def pixels_of(cloud: Cloud) -> Int64[np.ndarray, " N"]:
    """Row-major pixel of each point in the image of ``KINECT``.

    Raises:
        InputError: the points are not one each of pixels of this camera.
    """
    uv = KINECT.project(cloud.points.astype(np.float64))
    if np.isnan(uv).any():
        raise InputError("points behind the camera: not the view of one camera in its own frame")
    whole = np.rint(uv).astype(np.int64)
    off = float(np.abs(uv - whole).max(initial=0))
    if off > _OFF_PIXEL or (whole < 0).any() or (whole >= (KINECT.width, KINECT.height)).any():
        raise InputError(f"points are up to {off:.2f} px off the pixels of a Kinect, or out of its image")
    pixels = whole[:, 1] * KINECT.width + whole[:, 0]
    if len(np.unique(pixels)) < len(pixels):
        raise InputError("several points of one pixel: not the view of one camera")
    return np.asarray(pixels)


def _frame(cloud: Cloud, pixels: Int64[np.ndarray, " N"]) -> RgbdFrame:
    depth_m = np.zeros(KINECT.height * KINECT.width, np.float32)
    depth_m[pixels] = cloud.points[:, 2]
    shape = (KINECT.height, KINECT.width)
    rgb = None
    if cloud.rgb is not None:
        flat = np.zeros((len(depth_m), 3), np.float32)
        flat[pixels] = cloud.rgb
        rgb = flat.reshape(*shape, 3)
    return RgbdFrame(depth_m.reshape(shape), KINECT, rgb, np.eye(4))
