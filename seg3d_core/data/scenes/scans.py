"""Scans with annotations: ScanNet's and ScanNet++'s meshes, segments and object groups; Replica's mesh."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from seg3d_core.data.ply import parse_vertices, read_mesh
from seg3d_core.data.point_records import PointRecords
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.errors import InputError
from seg3d_core.geometry.superpoints import mesh_superpoints
from seg3d_core.geometry.superpoints_kernels import face_normal_means
from seg3d_core.types import IGNORE, Cloud


@dataclass(frozen=True)
class ScanFiles:
    """What a scan consists of.

    Attributes:
        mesh: .ply.
        segments: .json with segIndices, one per vertex; may be missing.
        groups: .json with segGroups (objectId, label, segments); may be missing.
    """

    mesh: Path
    segments: Path
    groups: Path


def scannet_scan(folder: Path, name: str) -> SceneCloud | None:
    """ScanNet's NAME_vh_clean_2.ply with its segments and aggregation, where they are; None without the mesh.

    Raises:
        InputError: a file is damaged or does not fit the mesh.
    """
    mesh = folder / f"{name}_vh_clean_2.ply"
    segments = folder / f"{name}_vh_clean_2.0.010000.segs.json"
    return read_scan(ScanFiles(mesh, segments, folder / f"{name}.aggregation.json"))


def scannetpp_scan(folder: Path) -> SceneCloud | None:
    """ScanNet++'s scans/mesh_aligned_0.05.ply with segments and annotation, where they are; None without the mesh.

    Raises:
        InputError: a file is damaged or does not fit the mesh.
    """
    scans = folder / "scans"
    return read_scan(ScanFiles(scans / "mesh_aligned_0.05.ply", scans / "segments.json", scans / "segments_anno.json"))


def read_scan(files: ScanFiles) -> SceneCloud | None:
    """Vertices with normals of the faces around them; superpoints from the file or by the Segmentator's rule.

    Raises:
        InputError: a file is damaged or does not fit the mesh.
    """
    if not files.mesh.is_file():
        return None
    try:
        records = PointRecords.from_rows(parse_vertices(files.mesh.read_bytes()))
    except (OSError, InputError) as error:
        raise InputError(f"{files.mesh}: {error}") from error
    vertices, faces = read_mesh(files.mesh)
    cloud = records.cloud()
    if len(cloud) != len(vertices):
        raise InputError(f"{files.mesh}: {len(vertices) - len(cloud)} vertices are not finite")
    normals = face_normal_means(vertices, faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    cloud = Cloud(cloud.points, cloud.rgb, normals.astype(np.float32), "map")
    if not files.segments.is_file():
        return SceneCloud(cloud, mesh_superpoints(vertices, faces))
    segments = _segments(files.segments, len(vertices))
    superpoints = np.unique(segments, return_inverse=True)[1].reshape(-1).astype(np.int32)
    if not files.groups.is_file():
        return SceneCloud(cloud, superpoints)
    instance_id, names = _instances(files.groups, segments)
    return SceneCloud(cloud, superpoints, instance_id, None, names)


def _segments(path: Path, vertices: int) -> Int32[np.ndarray, " N"]:
    values = _json(path).get("segIndices")
    if not isinstance(values, list) or len(values) != vertices:
        count = len(values) if isinstance(values, list) else "no"
        raise InputError(f"{path}: {count} segIndices, the mesh has {vertices} vertices")
    try:
        return np.array(values, np.int32)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: segIndices are not whole numbers: {error}") from error


def _instances(path: Path, segments: Int32[np.ndarray, " N"]) -> tuple[Int32[np.ndarray, " N"], dict[int, str]]:
    """Instance id of each vertex, from 1 in the order of the groups; a later group wins a shared segment."""
    ids, names = np.full(len(segments), IGNORE, np.int32), {}
    groups = _json(path).get("segGroups")
    if not isinstance(groups, list):
        raise InputError(f"{path}: no list segGroups")
    for number, group in enumerate(groups, start=1):
        try:
            members = np.array(group["segments"], np.int64)
            names[number] = str(group["label"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: segGroups[{number - 1}] has no segments and label: {error}") from error
        ids[np.isin(segments, members)] = number
    return ids, names


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected an object, found a {type(values).__name__}")
    return values
