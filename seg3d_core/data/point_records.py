"""Between file columns and clouds: the one place that knows what columns are called and what their types mean.

Colour range is decided by the column's type alone: uint8 is 0..255, float is 0..1. Instance numbers in files are
positive; 0 and -1 are unlabelled.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE, Cloud, LabelledCloud

logger = logging.getLogger(__name__)

_COLOURS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
_PACKED = ("rgb", "rgba")
_INSTANCES = ("instance_id", "instance", "object_id")
_UNIT_TOLERANCE = 1e-3
_ROUNDING_LIMIT_M = 1e-3


@dataclass(frozen=True)
class PointRecords:
    """Columns of a cloud file as found, before anything is converted or dropped.

    Attributes:
        points: (N, 3) of any float type.
        rgb: (N, 3) uint8 or float, or None.
        normals: (N, 3) float, or None.
        instance: (N,) integers, or None.
        names: what each instance number is.
        is_organised: rows are the pixels of an image, so that their position means something.
    """

    points: NDArray[Any]
    rgb: NDArray[Any] | None = None
    normals: NDArray[Any] | None = None
    instance: NDArray[Any] | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    frame_id: str = ""
    stamp_ns: int = 0
    is_organised: bool = False

    @classmethod
    def from_rows(cls, rows: NDArray[Any], is_organised: bool = False) -> PointRecords:
        """Pick the columns by name from a structured array.

        Raises:
            InputError: x, y or z is missing, or not one number per point.
        """
        points = _columns(rows, [("x", "y", "z")])
        if points is None:
            raise InputError(f"no x y z among the fields {', '.join(rows.dtype.names or ())}")
        rgb = _columns(rows, _COLOURS)
        instance = next((rows[name] for name in _INSTANCES if name in (rows.dtype.names or ())), None)
        return cls(
            points,
            _unpacked(rows) if rgb is None else rgb,
            _columns(rows, _NORMALS),
            instance,
            is_organised=is_organised,
        )

    def cloud(self) -> Cloud:
        """The cloud; points with NaN or infinite coordinates are dropped, and their number is logged.

        ``source_index`` is set where points were dropped or the file is organised.

        Raises:
            InputError: no points, none of them finite, or colours of a type or range that has no meaning.
        """
        if len(self.points) == 0:
            raise InputError("the file holds no points")
        points, finite = _finite_points(self.points)
        keep = slice(None) if finite.all() else finite
        has_source = self.is_organised or not finite.all()
        return Cloud(
            points[keep],
            None if self.rgb is None else _unit_range(self.rgb[keep]),
            None if self.normals is None else _unit_length(self.normals[keep]),
            self.frame_id,
            self.stamp_ns,
            np.flatnonzero(finite).astype(np.int64) if has_source else None,
        )

    def labelled(self) -> LabelledCloud:
        """The cloud with its instance numbers.

        Raises:
            InputError: as ``cloud``, or there are no integer instance numbers.
        """
        if self.instance is None:
            raise InputError(f"no instance numbers: none of the fields {', '.join(_INSTANCES)}")
        numbers = np.asarray(self.instance)
        if numbers.dtype.kind not in "iu" or numbers.max(initial=0) > np.iinfo(np.int32).max:
            raise InputError(f"instance numbers are {numbers.dtype}, expected integers up to {np.iinfo(np.int32).max}")
        cloud = self.cloud()
        if cloud.source_index is not None:
            numbers = numbers[cloud.source_index]
        return LabelledCloud(cloud, np.where(numbers > 0, numbers, IGNORE).astype(np.int32), dict(self.names))


def _columns(rows: NDArray[Any], choices: Sequence[Sequence[str]]) -> NDArray[Any] | None:
    names = rows.dtype.names or ()
    for choice in choices:
        if all(name in names for name in choice):
            if any(rows.dtype[name].shape for name in choice):
                raise InputError(f"the fields {' '.join(choice)} hold more than one number per point")
            return np.stack([rows[name] for name in choice], axis=1)
    return None


def _unpacked(rows: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Colours of PCL's packed field: 0x00RRGGBB in the bits of a float32 or a 32-bit integer."""
    for name in _PACKED:
        if name in (rows.dtype.names or ()):
            if rows.dtype[name].itemsize != 4 or rows.dtype[name].shape:
                raise InputError(f"field {name} is {rows.dtype[name]}, expected a packed colour of 4 bytes")
            bits = np.ascontiguousarray(rows[name]).view(np.uint32)
            return np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=1).astype(np.uint8)
    return None


def _finite_points(points: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if points.dtype.kind != "f":
        points = points.astype(np.float64)
    with np.errstate(over="ignore"):
        single = points.astype(np.float32)
    finite = np.asarray(np.isfinite(single).all(axis=1))
    if not finite.any():
        raise InputError(f"all {len(points)} points have NaN or infinite coordinates")
    if not finite.all():
        logger.warning("dropped %d of %d points with NaN or infinite coordinates", (~finite).sum(), len(points))
    if points.dtype.itemsize > 4:
        rounding = np.abs(points[finite] - single[finite]).max()
        if rounding > _ROUNDING_LIMIT_M:
            logger.warning("coordinates are so large that single precision moves points by up to %.3g m", rounding)
    return single, finite


def _unit_range(rgb: NDArray[Any]) -> NDArray[np.float32]:
    if rgb.dtype == np.uint8:
        return rgb.astype(np.float32) / np.float32(255)
    if rgb.dtype.kind != "f":
        raise InputError(f"colours are {rgb.dtype}, expected uint8 (0..255) or float (0..1)")
    lowest, highest = rgb.min(), rgb.max()
    if not (lowest >= 0 and highest <= 1):
        hint = "; colours 0..255 must be stored as uint8 (uchar), or divided by 255" if highest > 1 else ""
        raise InputError(f"float colours are {lowest:g}..{highest:g}, expected 0..1{hint}")
    return rgb.astype(np.float32)


def _unit_length(normals: NDArray[Any]) -> NDArray[np.float32]:
    """Normals scaled to length 1 where they are not; zero where the file has none (its NaN and zeros), logged."""
    lengths = np.sqrt(np.einsum("ij,ij->i", normals, normals, dtype=np.float64))[:, None]
    unknown = ~(np.isfinite(lengths) & (lengths > 0))
    if unknown.any():
        logger.warning("%d of %d normals are zero or NaN and stay zero: unknown", unknown.sum(), len(normals))
    if not unknown.any() and (np.abs(lengths - 1) < _UNIT_TOLERANCE).all():
        return normals.astype(np.float32)
    known = np.where(unknown, 0.0, normals)
    return (known / np.where(unknown, 1.0, lengths)).astype(np.float32)
