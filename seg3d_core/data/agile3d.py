"""One object per file, cut out with its surroundings: the layout of AGILE3D's evaluation of single objects.

Binary PLY with x y z (m), R G B (0..255) and label, above 0 on the object. S3DIS and KITTI-360 are published so, and
Point-SAM's evaluation expects it of every data set. File names begin with the scene and an underscore.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg3d_core.data.ply import parse_vertices
from seg3d_core.data.point_records import PointRecords
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.types import LabelledCloud

AGILE3D_PREFIX = "agile3d:"
OBJECT_ID = 1
_FIELDS = ("x", "y", "z", "R", "G", "B", "label")


def agile3d_files(path: Path) -> list[Path]:
    """The objects under ``path`` (a file, or a folder with or without folders in it), in order.

    Raises:
        ConfigError: nothing is there.
    """
    if path.is_file():
        return [path]
    files = sorted(path.rglob("*.ply"))
    if not files:
        raise ConfigError(f"{AGILE3D_PREFIX}{path}: no .ply files there")
    return files


def agile3d_group(path: Path) -> str:
    """What a file's object counts with in means over scenes: its name up to the first underscore."""
    return path.stem.partition("_")[0]


def read_agile3d(path: Path) -> LabelledCloud:
    """One object, id 1, in its surroundings, which have no id.

    Raises:
        InputError: damaged, not of this layout, or colours outside 0..255.
    """
    try:
        rows = parse_vertices(path.read_bytes())
        missing = [name for name in _FIELDS if name not in (rows.dtype.names or ())]
        if missing:
            raise InputError(f"no {' '.join(missing)} among the fields {', '.join(rows.dtype.names or ())}")
        points = np.stack([rows[name] for name in "xyz"], axis=1)
        on_object = (rows["label"] > 0).astype(np.int32) * OBJECT_ID
        return PointRecords(points, _rgb(rows), instance=on_object, names={OBJECT_ID: "object"}).labelled()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _rgb(rows: NDArray[Any]) -> NDArray[np.float32]:
    """0..1; the layout has 0..255 whatever the type."""
    rgb = np.stack([rows[name] for name in "RGB"], axis=1).astype(np.float32)
    if not (rgb.min(initial=0) >= 0 and rgb.max(initial=0) <= 255):
        raise InputError(f"colours R G B are {rgb.min():g}..{rgb.max():g}, expected 0..255")
    return np.asarray(rgb / np.float32(255), np.float32)
