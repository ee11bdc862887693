"""Images in the size that a network was meant to see, and its answers in theirs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from seg3d_core.errors import InputError
from seg3d_core.labelling.source import FrameToLabel


def rgb_bytes(frame: FrameToLabel, width: int, height: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Colours of a frame, 0..255, resized (bilinear) to ``width`` x ``height`` px; 0 = as they are.

    Raises:
        InputError: the frame has no colour.
    """
    rgb = frame.rgbd.rgb
    if rgb is None:
        raise InputError(f"{frame.name}: the frame has no colour image, which this source looks at")
    image = Image.fromarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
    size = (width or image.width, height or image.height)
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BILINEAR))


def ids_at_size(ids: Int32[np.ndarray, "_ _"], height: int, width: int) -> Int32[np.ndarray, "_ _"]:
    """Ids of an image of another size: each pixel takes the nearest one's."""
    rows, columns = (
        ((np.arange(wanted) + 0.5) * there / wanted).astype(np.intp)
        for wanted, there in zip((height, width), ids.shape, strict=True)
    )
    resized: Int32[np.ndarray, "_ _"] = ids[rows[:, None], columns]
    return resized
