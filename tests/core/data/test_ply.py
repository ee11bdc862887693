from __future__ import annotations

from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.data.ply import parse_vertices, read_mesh
from seg3d_core.data.ply_header import NUMPY_TYPES
from seg3d_core.errors import InputError

FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


def ply(layout: str, properties: list[tuple[str, str]], rows: list[tuple[float, ...]], tail: str = "") -> bytes:
    lines = ["ply", f"format {layout} 1.0", "comment a test", f"element vertex {len(rows)}"]
    lines += [f"property {kind} {name}" for kind, name in properties]
    header = ("\n".join(lines) + "\n" + tail + "end_header\n").encode()
    if layout == "ascii":
        return header + "\n".join(" ".join(str(value) for value in row) for row in rows).encode() + b"\n"
    dtype = np.dtype([(name, FORMATS[layout] + NUMPY_TYPES[kind]) for kind, name in properties])
    return header + np.array(rows, dtype).tobytes()


@settings(deadline=None, max_examples=60)
@given(layout=st.sampled_from(sorted(FORMATS)), data=st.data())
def test_any_order_and_types_of_properties(layout: str, data: st.DataObject) -> None:
    names = data.draw(st.permutations(["x", "y", "z", "red", "quality"]))
    properties = [(data.draw(st.sampled_from(sorted(NUMPY_TYPES))), name) for name in names]
    rows = [tuple(data.draw(st.integers(0, 127)) for _ in names) for _ in range(data.draw(st.integers(0, 5)))]
    parsed = parse_vertices(ply(layout, properties, rows))
    assert parsed.dtype.names == tuple(names)
    assert parsed.tolist() == rows


def test_a_small_file_by_hand() -> None:
    text = b"ply\r\nformat ascii 1.0\r\nobj_info x\r\nelement vertex 2\r\nproperty uchar red\r\nproperty double z\r\n"
    parsed = parse_vertices(text + b"end_header\r\n7 1.5 \r\n255\r\n nan\r\n")
    assert parsed["red"].tolist() == [7, 255]
    assert parsed["z"][0] == 1.5
    assert np.isnan(parsed["z"][1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ply\nformat ascii 1.0\nelement vertex 1\n", "truncated: the PLY header has no end_header line"),
        (b"ply\nelement vertex 0\nend_header\n", "no format line"),
        (b"ply\nformat ascii 1.0\nend_header\n", "no vertex element"),
        (b"ply\nformat ascii 1.0\nelement vertex -1\nend_header\n", "not understood: 'element vertex -1'"),
        (
            b"ply\nformat ascii 1.0\nelement vertex " + b"1" * 5000 + b"\nend_header\n",
            "not understood: 'element vertex",
        ),
        (ply("ascii", [("quad", "x")], []), "not understood: 'property quad x'"),
        (ply("ascii", [("float", "x"), ("int", "x")], []), "two properties called x"),
        (ply("ascii", [("float", "x")], [(1,), (2,)])[:-2], "needs 2 more numbers, 1 are left"),
        (ply("ascii", [("uchar", "red")], [(300,)]), r"red is 300, its type holds 0\.\.255"),
        (ply("ascii", [("float", "x")], [("one",)]), "not a number"),
        (ply("binary_little_endian", [("float", "x")], [(1,), (2,)])[:-1], "needs 8 more bytes, 7 are left"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty list uchar int n\nend_header\n0", "list properties"),
    ],
)
def test_bad_files_are_refused_in_words(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_vertices(content)


CORNERS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0.5, 0.5, 1)]
XYZ = [("float", "x"), ("float", "y"), ("float", "z")]


def mesh(layout: str, faces: list[list[int]], name: str = "vertex_indices") -> bytes:
    tail = f"element face {len(faces)}\nproperty uchar flags\nproperty list uchar int {name}\n"
    vertices = ply(layout, XYZ, CORNERS, tail)
    if layout == "ascii":
        return vertices + "\n".join(" ".join(map(str, [9, len(face), *face])) for face in faces).encode()
    order = FORMATS[layout]
    return vertices + b"".join(bytes([9, len(face)]) + np.array(face, order + "i4").tobytes() for face in faces)


@pytest.mark.parametrize("layout", sorted(FORMATS))
@pytest.mark.parametrize("name", ["vertex_indices", "vertex_index"])
def test_triangles_and_larger_polygons(layout: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    path.write_bytes(mesh(layout, [[0, 1, 4], [1, 2, 4]], name))
    vertices, triangles = read_mesh(path)
    assert vertices.tolist() == [list(corner) for corner in CORNERS]
    assert triangles.tolist() == [[0, 1, 4], [1, 2, 4]]
    path.write_bytes(mesh(layout, [[0, 1, 4], [0, 1, 2, 3], [2, 3, 4]], name))
    assert read_mesh(path)[1].tolist() == [[0, 1, 4], [0, 1, 2], [0, 2, 3], [2, 3, 4]]
    path.write_bytes(mesh(layout, [[0, 1, 2, 3]], name))
    assert read_mesh(path)[1].tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("layout", sorted(FORMATS))
@pytest.mark.parametrize(
    ("faces", "message"),
    [([[0, 1, 5]], "vertex 5, there are 5"), ([[0, -1, 2]], "vertex -1"), ([[0, 1]], "a face has 2 vertices")],
)
def test_impossible_faces_are_refused(layout: str, faces: list[list[int]], message: str, tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    path.write_bytes(mesh(layout, faces))
    with pytest.raises(InputError, match=message):
        read_mesh(path)


@pytest.mark.parametrize("layout", sorted(FORMATS))
def test_every_truncation_of_a_mesh_is_noticed(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    for faces in ([[0, 1, 4], [1, 2, 4]], [[0, 1, 4], [0, 1, 2, 3]]):
        whole = mesh(layout, faces)
        for size in range(0, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(InputError):
                read_mesh(path)


def test_a_cloud_is_not_a_mesh(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    path.write_bytes(ply("ascii", XYZ, [(0, 0, 0)]))
    with pytest.raises(InputError, match=r"cloud\.ply: the PLY file has no faces"):
        read_mesh(path)


def test_a_real_mesh(shared_data: Path) -> None:
    path = shared_data / "kitchen" / "mesh_2cm.ply"
    vertices, triangles = read_mesh(path)
    theirs = o3d.t.io.read_triangle_mesh(str(path))
    assert np.array_equal(triangles, theirs.triangle.indices.numpy())
    assert np.array_equal(vertices, theirs.vertex.positions.numpy().astype(np.float32))
