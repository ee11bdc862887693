"""16-bit PNG images of ids, one per pixel of the colour image.

Truth (instance/, part/) holds positive ids and 0 for none; masks hold dense ids from 0 and 65535 for none. In memory
none is ``IGNORE`` in both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE

TRUTH_NONE, MASK_NONE = 0, 65535
LARGEST_ID = 65534


def read_id_image(path: Path, none: int) -> Int32[np.ndarray, "H W"]:
    """Ids of an image, ``none`` becoming ``IGNORE``.

    Raises:
        InputError: missing, damaged, or not one channel of 16 bits.
    """
    try:
        with Image.open(path) as image:
            image.load()
            mode, raw = image.mode, np.asarray(image)
    # PIL raises SyntaxError and ValueError for damaged PNG chunks.
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an image: {error}") from error
    if mode not in ("I;16", "I;16B", "I") or raw.ndim != 2:
        raise InputError(f"{path}: image of ids has mode {mode}, expected one channel of 16 bits")
    ids = raw.astype(np.int32)
    ids[ids == none] = IGNORE
    return ids


def write_id_image(path: Path, ids: Int32[np.ndarray, "H W"], none: int) -> None:
    """Write ids, ``IGNORE`` becoming ``none``; complete or not at all.

    Raises:
        InputError: an id does not fit, or the file cannot be written.
    """
    least = 1 if none == TRUTH_NONE else 0
    used = ids[ids != IGNORE]
    if used.size and (used.min() < least or used.max() > LARGEST_ID):
        raise InputError(f"{path}: ids {used.min()}..{used.max()} do not fit, {least}..{LARGEST_ID} are possible")
    raw = np.where(ids == IGNORE, none, ids).astype(np.uint16)
    with atomic_path(path) as temporary:
        Image.fromarray(raw).save(temporary, compress_level=4)
