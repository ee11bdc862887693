"""PLY files: point clouds and triangle meshes, text or binary of either byte order, any property order and types.

Why not a library (measured with Open3D 0.20 and plyfile 1.1.5): ``open3d.t.io`` keeps extra scalar properties but
answers a truncated file with points of uninitialised memory and only a line on the console, ``open3d.io`` divides float
colours by 255; plyfile reads everything but is GPL, which an Apache-2.0 package cannot depend on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32
from numpy.typing import NDArray

from seg3d_core.data.ply_body import BinaryBody, Body, Polygons, TextBody
from seg3d_core.data.ply_header import Element, Header, parse_header
from seg3d_core.errors import InputError

_PLY_NAMES = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint", "f4": "float"}
_PLY_NAMES["f8"] = "double"
_FACE_LISTS = ("vertex_indices", "vertex_index")


def parse_vertices(data: bytes) -> NDArray[Any]:
    """(N,) structured array of the vertex element, field names and types as in the file.

    Raises:
        InputError: not a PLY file, truncated, or the vertices have list properties.
    """
    header = parse_header(data)
    return _vertices(header, _body(header, data))


def read_mesh(path: str | Path) -> tuple[Float32[np.ndarray, "N 3"], Int32[np.ndarray, "F 3"]]:
    """Vertices (in the file's frame and unit) and triangles of a mesh; larger polygons are split into fans.

    Raises:
        InputError: unreadable or truncated file, no x y z or no faces, a face of fewer than three vertices, or a
            vertex number outside 0..N-1. NaN vertices are refused too: dropping them would renumber the faces.
    """
    try:
        data = Path(path).read_bytes()
        header = parse_header(data)
        body = _body(header, data)
        rows = _vertices(header, body)
        missing = [name for name in "xyz" if name not in (rows.dtype.names or ())]
        if missing:
            raise InputError(f"vertices have no {' '.join(missing)}")
        vertices = np.stack([rows[name] for name in "xyz"], axis=1).astype(np.float32)
        if not np.isfinite(vertices).all():
            raise InputError("vertices have NaN or infinite coordinates")
        return vertices, _triangulate(_polygons(header, body), len(vertices))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_vertices(path: Path, rows: NDArray[Any]) -> None:
    """Write a structured array as binary little-endian vertices; field names become property names."""
    rows = rows.astype(rows.dtype.newbyteorder("<"))
    lines = ["ply", "format binary_little_endian 1.0", "comment written by seg3d", f"element vertex {len(rows)}"]
    for name in rows.dtype.names or ():
        lines.append(f"property {_PLY_NAMES[rows.dtype[name].str[1:]]} {name}")
    header = "\n".join([*lines, "end_header"]) + "\n"
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        rows.tofile(file)


def _body(header: Header, data: bytes) -> Body:
    if header.byte_order:
        return BinaryBody(data, header.size, header.byte_order)
    return TextBody(data, header.size)


def _vertices(header: Header, body: Body) -> NDArray[Any]:
    for element in header.elements:
        if element.name == "vertex":
            if element.has_lists:
                raise InputError("PLY vertices with list properties are not supported")
            return body.scalars(element)
        _skip(element, body)
    raise InputError("the PLY file has no vertex element")


def _polygons(header: Header, body: Body) -> Polygons:
    """Faces; ``body`` stands behind the vertices."""
    names = [element.name for element in header.elements]
    if "face" not in names:
        raise InputError("the PLY file has no faces: it is a point cloud, not a mesh")
    if names.index("face") < names.index("vertex"):
        raise InputError("PLY files with faces before vertices are not supported")
    for element in header.elements[names.index("vertex") + 1 : names.index("face")]:
        _skip(element, body)
    faces = header.elements[names.index("face")]
    for name in _FACE_LISTS:
        if any(prop.name == name and prop.length_code for prop in faces.properties):
            return body.lists(faces, name)
    raise InputError(f"PLY faces have no list called {' or '.join(_FACE_LISTS)}")


def _skip(element: Element, body: Body) -> None:
    if element.has_lists:
        body.lists(element, next(prop.name for prop in element.properties if prop.length_code))
    else:
        body.scalars(element)


def _triangulate(polygons: Polygons, vertex_count: int) -> Int32[np.ndarray, "F 3"]:
    fans = [np.zeros((0, 3), np.int64)]
    for faces in polygons:
        corners = faces.shape[1]
        if corners < 3:
            raise InputError(f"a face has {corners} vertices, at least 3 are needed")
        if faces.min() < 0 or faces.max() >= vertex_count:
            bad = faces[(faces < 0) | (faces >= vertex_count)][0]
            raise InputError(f"a face refers to vertex {bad}, there are {vertex_count} (0..{vertex_count - 1})")
        steps = np.arange(1, corners - 1)
        fan = np.stack([np.zeros_like(steps), steps, steps + 1], axis=1)
        fans.append(faces[:, fan].reshape(-1, 3))
    return np.concatenate(fans).astype(np.int32)
