"""Clouds from and to files: PLY, PCD and NPZ, chosen by the suffix.

Files hold metres in whatever frame they were made in. PLY and PCD keep colours in 8 bits and no frame or stamp; NPZ
keeps everything exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32
from numpy.typing import NDArray

from seg3d_core.data.atomic import atomic_path
from seg3d_core.data.npz_clouds import read_npz, write_npz
from seg3d_core.data.pcd import parse_pcd, write_pcd
from seg3d_core.data.ply import parse_vertices, write_vertices
from seg3d_core.data.point_records import PointRecords
from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE, Cloud, Instances, LabelledCloud

SUFFIXES = (".ply", ".pcd", ".npz")


def read_cloud(path: str | Path) -> Cloud:
    """Read a cloud; points with NaN coordinates are dropped and counted in the log.

    Raises:
        InputError: no such file, a folder, an unknown suffix, truncated or damaged, without points or x y z, or with
            float colours outside 0..1. The message begins with the path.
    """
    try:
        return _read(Path(path)).cloud()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_labelled(path: str | Path) -> LabelledCloud:
    """Read a cloud with one instance number per point (``instance_id`` or ``instance``; 0 and -1: none).

    Raises:
        InputError: as ``read_cloud``, or the file has no instance numbers.
    """
    try:
        return _read(Path(path)).labelled()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_cloud(path: str | Path, cloud: Cloud, instances: Instances | None = None) -> None:
    """Write a cloud and, where given, the winning instance id (0: none) and score of each point.

    The file appears complete or not at all.

    Raises:
        InputError: unknown suffix, an empty cloud, instances of another cloud, or the file cannot be written.
    """
    if instances is None:
        _write(Path(path), cloud, None, None)
    elif len(instances.cloud) != len(cloud):
        raise InputError(f"{path}: instances of {len(instances.cloud)} points for a cloud of {len(cloud)}")
    else:
        _write(Path(path), cloud, instances.point_ids, instances.point_scores)


def check_target(path: str | Path) -> None:
    """See before a long computation whether its result could be written to ``path``.

    Raises:
        InputError: unknown suffix, ``path`` is a folder, or its own folder does not exist.
    """
    path = Path(path)
    _checked_suffix(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist")


def write_labelled(path: str | Path, labelled: LabelledCloud) -> None:
    """Write a cloud with its known instance ids (0: none); names only into NPZ.

    Raises:
        InputError: as ``write_cloud``.
    """
    ids = np.where(labelled.instance_id == IGNORE, 0, labelled.instance_id).astype(np.int32)
    _write(Path(path), labelled.cloud, ids, None, labelled.names)


def _read(path: Path) -> PointRecords:
    suffix = _suffix(path)
    if path.is_dir():
        raise InputError("this is a folder, not a cloud file")
    try:
        if path.stat().st_size == 0:
            raise InputError("the file is empty (0 bytes)")
        if suffix == ".npz":
            return read_npz(path)
        data = path.read_bytes()
    except OSError as error:
        raise InputError(error.strerror or str(error)) from error
    if suffix == ".ply":
        return PointRecords.from_rows(parse_vertices(data))
    table = parse_pcd(data)
    return PointRecords.from_rows(table.rows, table.is_organised)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"unknown suffix {path.suffix!r}, expected one of {', '.join(SUFFIXES)}")
    return suffix


def _checked_suffix(path: Path) -> str:
    try:
        return _suffix(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _write(
    path: Path,
    cloud: Cloud,
    ids: Int32[np.ndarray, " N"] | None,
    scores: Float32[np.ndarray, " N"] | None,
    names: dict[int, str] | None = None,
) -> None:
    suffix = _checked_suffix(path)
    if len(cloud) == 0:
        raise InputError(f"{path}: an empty cloud is not written")
    with atomic_path(path) as temporary:
        if suffix == ".ply":
            write_vertices(temporary, _rows(cloud, ids, scores, _ply_colours(cloud), "n{}"))
        elif suffix == ".pcd":
            write_pcd(temporary, _rows(cloud, ids, scores, _pcd_colours(cloud), "normal_{}"))
        else:
            write_npz(temporary, _arrays(cloud, ids, scores, names))


def _rows(
    cloud: Cloud,
    ids: NDArray[Any] | None,
    scores: NDArray[Any] | None,
    colours: dict[str, NDArray[Any]],
    normal_name: str,
) -> NDArray[Any]:
    columns: dict[str, NDArray[Any]] = {name: cloud.points[:, axis] for axis, name in enumerate("xyz")}
    columns |= colours
    if cloud.normals is not None:
        columns |= {normal_name.format(name): cloud.normals[:, axis] for axis, name in enumerate("xyz")}
    if ids is not None:
        columns["instance_id"] = ids
    if scores is not None:
        columns["score"] = scores
    rows = np.empty(len(cloud), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    return rows


def _bytes(cloud: Cloud) -> NDArray[np.uint8] | None:
    if cloud.rgb is None:
        return None
    rgb: NDArray[np.uint8] = np.rint(np.clip(cloud.rgb, 0, 1) * 255).astype(np.uint8)
    return rgb


def _ply_colours(cloud: Cloud) -> dict[str, NDArray[Any]]:
    rgb = _bytes(cloud)
    return {} if rgb is None else {name: rgb[:, axis] for axis, name in enumerate(("red", "green", "blue"))}


def _pcd_colours(cloud: Cloud) -> dict[str, NDArray[Any]]:
    """PCL's packed colour: 0x00RRGGBB in the bits of a float32."""
    rgb = _bytes(cloud)
    if rgb is None:
        return {}
    wide = rgb.astype(np.uint32)
    return {"rgb": (wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]).view(np.float32)}


def _arrays(
    cloud: Cloud, ids: NDArray[Any] | None, scores: NDArray[Any] | None, names: dict[int, str] | None
) -> dict[str, Any]:
    return {
        "points": cloud.points,
        "rgb": cloud.rgb,
        "normals": cloud.normals,
        "instance_id": ids,
        "score": scores,
        "instance_ids": np.array(list(names), np.int64) if names else None,
        "instance_names": np.array(list(names.values())) if names else None,
        "frame_id": np.array(cloud.frame_id),
        "stamp_ns": np.array(cloud.stamp_ns, np.int64),
    }
