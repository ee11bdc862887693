"""The colour and depth images of a scene's frames, written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import InputError

JPEG_QUALITY = 92
"""Without colour subsampling: about 1 bit a pixel, and no block that an eye sees."""

FARTHEST_M = 65.534
"""The largest number of millimetres in 16 bits means "too far" in some cameras and is not used."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG"


def write_colour(stem: Path, rgb: Float32[np.ndarray, "H W 3"], encoded: bytes | None = None) -> Path:
    """Write a colour image to ``stem`` with the suffix of its format.

    Args:
        stem: without suffix.
        rgb: 0..1, rounded to 8 bits.
        encoded: the same image as a JPEG or PNG file, kept byte for byte.

    Raises:
        InputError: ``encoded`` is neither, or the file cannot be written.
    """
    if encoded is not None and not encoded.startswith((_JPEG, _PNG)):
        raise InputError(f"{stem}: the colour image is neither JPEG nor PNG")
    path = stem.with_name(stem.name + (".png" if encoded is not None and encoded.startswith(_PNG) else ".jpg"))
    with atomic_path(path) as temporary:
        if encoded is not None:
            temporary.write_bytes(encoded)
        else:
            image = Image.fromarray(np.floor(np.clip(rgb, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8))
            image.save(temporary, quality=JPEG_QUALITY, subsampling=0)
    return path


def write_depth(path: Path, depth_m: Float32[np.ndarray, "H W"]) -> None:
    """Write depth as 16-bit millimetres, 0 = no return, also for what is farther than 65.534 m.

    Raises:
        InputError: the file cannot be written.
    """
    millimetres = np.rint(np.where(depth_m <= FARTHEST_M, depth_m, np.float32(0)) * np.float32(1000)).astype(np.uint16)
    with atomic_path(path) as temporary:
        Image.fromarray(millimetres).save(temporary, compress_level=3)
