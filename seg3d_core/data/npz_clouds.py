"""Clouds as NumPy archives: the one format here that keeps everything, frame and stamp included."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg3d_core.data.point_records import PointRecords
from seg3d_core.errors import InputError

_POINTS = ("points", "xyz", "positions")
_COLOURS = ("rgb", "colors")
_INSTANCES = ("instance_id", "instance")

_DAMAGE = (
    ValueError, EOFError, KeyError, AttributeError, TypeError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What numpy and zipfile stumble over: flipped bytes, encryption, sizes beyond memory, one array under this suffix."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of an archive.

    Raises:
        InputError: not an archive, or damaged. Nothing is unpickled.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        raise InputError(f"not a readable NumPy archive: {error}") from error


def read_npz(path: Path) -> PointRecords:
    """Read points (``points``, ``xyz`` or ``positions``), ``rgb``, ``normals``, ``instance_id`` and their names.

    Raises:
        InputError: not an archive, damaged, points are missing or a shape does not fit. Nothing is unpickled.
    """
    arrays = read_arrays(path)
    points = _first(arrays, _POINTS)
    if points is None or points.shape[-1:] != (3,) or points.dtype.kind not in "fiu":
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"no (N, 3) array called {', '.join(_POINTS)}; the archive holds {shapes or 'nothing'}")
    return PointRecords(
        points.reshape(-1, 3),
        _rows(arrays, _COLOURS, points.size // 3, 3),
        _rows(arrays, ("normals",), points.size // 3, 3),
        _rows(arrays, _INSTANCES, points.size // 3, 1),
        _names(arrays),
        str(arrays.get("frame_id", "")),
        _stamp(arrays),
        points.ndim > 2,
    )


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write the arrays that are not None."""
    present = {name: array for name, array in arrays.items() if array is not None}
    with path.open("wb") as file:
        np.savez(file, **present)


def _first(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> NDArray[Any] | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _rows(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...], count: int, width: int) -> NDArray[Any] | None:
    array = _first(arrays, names)
    if array is None:
        return None
    if array.size != count * width or array.dtype.kind not in "fiu":
        raise InputError(f"{names[0]} is {array.dtype} {array.shape}, expected {width} numbers for {count} points")
    return array.reshape(count, width) if width > 1 else array.reshape(count)


def _names(arrays: Mapping[str, NDArray[Any]]) -> dict[int, str]:
    """What each instance is: ``instance_ids`` (Q,) integers and ``instance_names`` (Q,) strings."""
    if "instance_ids" not in arrays or "instance_names" not in arrays:
        return {}
    ids, names = arrays["instance_ids"], arrays["instance_names"]
    if ids.shape != names.shape or ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise InputError(f"instance_ids {ids.dtype} {ids.shape} do not match instance_names {names.shape}")
    return {int(number): str(name) for number, name in zip(ids, names, strict=True)}


def _stamp(arrays: Mapping[str, NDArray[Any]]) -> int:
    stamp = arrays.get("stamp_ns")
    if stamp is None:
        return 0
    if stamp.shape != () or stamp.dtype.kind not in "iu":
        raise InputError(f"stamp_ns is {stamp.dtype} {stamp.shape}, expected one integer, ns")
    return int(stamp)
