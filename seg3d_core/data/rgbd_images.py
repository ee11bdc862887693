"""Colour and depth images of RGB-D sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image, UnidentifiedImageError

from seg3d_core.errors import InputError

_INVALID = 65535
"""Some cameras write "too far" as the largest number; 0 is "no return" in every format."""


def read_rgb(path: Path, width: int, height: int) -> Float32[np.ndarray, "H W 3"]:
    """A colour image in 0..1, resized (area average) to ``width`` x ``height`` px where it has another size.

    Raises:
        InputError: the file is missing, truncated or not an image.
    """
    image = _open(path).convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image, np.float32) / np.float32(255)


def read_depth_m(path: Path, units_per_m: float) -> Float32[np.ndarray, "H W"]:
    """A 16-bit depth image in metres; 0 and 65535 become 0 = no return.

    Raises:
        InputError: the file is missing, truncated, or not a 16-bit image with one channel.
    """
    image = _open(path)
    if image.mode not in ("I;16", "I;16B", "I"):
        raise InputError(f"{path}: depth image has mode {image.mode}, expected one channel of 16 bits")
    raw = np.asarray(image)
    if raw.min() < 0 or raw.max() > _INVALID:
        raise InputError(f"{path}: depth values {raw.min()}..{raw.max()} do not fit into 16 bits (0..{_INVALID})")
    depth_m = raw.astype(np.float32) / np.float32(units_per_m)
    depth_m[raw == _INVALID] = 0
    return depth_m


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in px, from the file's header.

    Raises:
        InputError: the file is missing or not an image.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: cannot be read as an image: {error}") from error


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    # PIL raises SyntaxError and ValueError for damaged PNG chunks.
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an image: {error}") from error
