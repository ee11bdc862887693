"""Accepted instances in a file: a NumPy archive, rows of all instances one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer
from numpy.typing import NDArray

from seg3d_core.data.atomic import atomic_path
from seg3d_core.data.npz_clouds import read_arrays
from seg3d_core.errors import InputError
from seg3d_core.interaction.accepted_instance import AcceptedInstance
from seg3d_core.tracking.ids import ACCEPTED_IDS
from seg3d_core.types import Prompt

VERSION = 1
_MARK = "seg3d_accepted_instances"
"""Array that holds the version, and by which a file is known."""

_COLUMNS = {
    "instance_id": "i4",
    "source": "U",
    "candidate": "i4",
    "iou_prediction": "f4",
    "stability": "f4",
    "model": "U",
    "stamp_ns": "i8",
    "name": "U",
    "point_count": "i8",
    "surrounding_count": "i8",
    "click_count": "i8",
}
"""One value for each instance."""

_ROWS = {"points": "point_count", "surroundings": "surrounding_count", "clicks": "click_count"}
"""x, y, z rows of all instances, and which column says how many of them belong to each."""


@dataclass(frozen=True)
class AcceptedFile:
    """What a file holds.

    Attributes:
        instances: by id.
        next_id: above every id that was ever given where the file was made.
    """

    instances: tuple[AcceptedInstance, ...]
    next_id: int


def write_accepted(path: Path, content: AcceptedFile) -> None:
    """Write a .npz file: complete, or an older one stays.

    Raises:
        InputError: it is not called .npz, or cannot be written.
    """
    if path.suffix != ".npz":
        raise InputError(f"cannot write {path}: accepted instances are kept in .npz files")
    instances = content.instances
    arrays: dict[str, Any] = {
        _MARK: np.array(VERSION),
        "next_id": np.array(content.next_id),
        "frame_id": np.array(instances[0].frame_id if instances else ""),
        "points": _stack([instance.points for instance in instances]),
        "surroundings": _stack([instance.surroundings for instance in instances]),
        "clicks": _stack([instance.prompt.points for instance in instances]),
        "is_foreground": np.concatenate(
            [np.empty(0, bool), *(instance.prompt.is_foreground for instance in instances)]
        ),
        "point_count": np.array([len(instance.points) for instance in instances], "i8"),
        "surrounding_count": np.array([len(instance.surroundings) for instance in instances], "i8"),
        "click_count": np.array([len(instance.prompt.points) for instance in instances], "i8"),
    }
    for name, kind in _COLUMNS.items():
        if name not in arrays:
            arrays[name] = np.array([getattr(instance, name) for instance in instances], kind)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_accepted(path: Path) -> AcceptedFile:
    """Read what ``write_accepted`` wrote.

    Raises:
        InputError: the file is missing, damaged, of another kind or version, or contradicts itself.
    """
    try:
        arrays = read_arrays(path)
        _check(arrays)
        return AcceptedFile(_instances(arrays), int(arrays["next_id"]))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error


def _check(arrays: dict[str, NDArray[Any]]) -> None:
    if _MARK not in arrays:
        raise InputError(f"it holds no accepted instances, but {', '.join(arrays) or 'nothing'}")
    if arrays[_MARK].shape != () or arrays[_MARK].tolist() != VERSION:
        raise InputError(f"its format is {arrays[_MARK].tolist()}, only {VERSION} is known")
    _check_shapes(arrays)
    ids, next_id = arrays["instance_id"], arrays["next_id"].tolist()
    start, stop = ACCEPTED_IDS.start, ACCEPTED_IDS.stop
    if not ids.max(initial=start - 1) < next_id <= stop or (ids < start).any() or len(np.unique(ids)) != len(ids):
        raise InputError(
            f"its ids are {ids.tolist()} and then {next_id}, must be distinct and from {start} to {stop - 1}"
        )
    for name, count in _ROWS.items():
        counts = arrays[count]
        if (counts < 0).any() or sum(counts.tolist()) != len(arrays[name]):
            raise InputError(f"it has {len(arrays[name])} rows of {name}, but {count} is {counts.tolist()}")
    if (arrays["point_count"] == 0).any():
        raise InputError("it has an instance without points")


def _check_shapes(arrays: dict[str, NDArray[Any]]) -> None:
    instances = arrays["instance_id"].shape if "instance_id" in arrays else (0,)
    clicks = arrays["clicks"].shape[:1] if "clicks" in arrays else (0,)
    expected: dict[str, tuple[str, tuple[int, ...] | None]] = {
        "next_id": ("i", ()),
        "frame_id": ("U", ()),
        "is_foreground": ("b", clicks),
        **{name: (np.dtype(kind).kind, instances[:1]) for name, kind in _COLUMNS.items()},
        **dict.fromkeys(_ROWS, ("f", None)),
    }
    for name, (kind, shape) in expected.items():
        array = arrays.get(name)
        if array is None:
            raise InputError(f"it has no {name}")
        right = array.ndim == 2 and array.shape[1] == 3 if shape is None else array.shape == shape
        if array.dtype.kind != kind or not right or (kind == "f" and not np.isfinite(array).all()):
            raise InputError(f"its {name} is {array.dtype} {array.shape}, or not finite")


def _instances(arrays: dict[str, NDArray[Any]]) -> tuple[AcceptedInstance, ...]:
    points, surroundings, clicks = (_parts(arrays[name], arrays[count]) for name, count in _ROWS.items())
    foreground = _parts(arrays["is_foreground"], arrays["click_count"])
    frame_id = str(arrays["frame_id"])
    return tuple(
        AcceptedInstance(
            instance_id=int(arrays["instance_id"][row]),
            points=points[row],
            surroundings=surroundings[row],
            prompt=Prompt(clicks[row], foreground[row]),
            source=str(arrays["source"][row]),
            candidate=int(arrays["candidate"][row]),
            iou_prediction=float(arrays["iou_prediction"][row]),
            stability=float(arrays["stability"][row]),
            model=str(arrays["model"][row]),
            frame_id=frame_id,
            stamp_ns=int(arrays["stamp_ns"][row]),
            name=str(arrays["name"][row]),
        )
        for row in np.argsort(arrays["instance_id"])
    )


def _stack(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([np.empty((0, 3), np.float32), *parts])


def _parts(rows: NDArray[Any], counts: Integer[NDArray[Any], " Q"]) -> list[NDArray[Any]]:
    """The rows of each instance."""
    return np.split(rows.astype(np.float32) if rows.dtype.kind == "f" else rows, np.cumsum(counts)[:-1])
