"""Over-segmentation: the mesh rule and the cloud rule against slow versions, and on shapes known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.config import GraphConfig
from seg3d_core.errors import InputError
from seg3d_core.geometry.superpoints import cloud_superpoints, mesh_superpoints, partition, surface_graph
from seg3d_core.types import Cloud

STEP = 0.01


def face(origin: list[float], u: list[float], v: list[float], rows: int, columns: int) -> np.ndarray:
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    return np.array(origin) + (i[..., None] * np.array(u) + j[..., None] * np.array(v)).reshape(-1, 3) * STEP


def plain_partition(count: int, edges: list[tuple[int, int, float]], k: float, least: int) -> list[int]:
    """Felzenszwalb & Huttenlocher without any cleverness: component sets, relabelled at every merge."""
    label, threshold = list(range(count)), [k] * count

    def merge(x: int, y: int) -> None:
        for i in range(count):
            if label[i] == y:
                label[i] = x

    ordered = sorted(edges, key=lambda edge: edge[2])
    for a, b, weight in ordered:
        x, y = label[a], label[b]
        if x != y and weight <= threshold[x] and weight <= threshold[y]:
            merge(x, y)
            threshold[x] = weight + k / label.count(x)
    for a, b, _ in ordered:
        x, y = label[a], label[b]
        if x != y and min(label.count(x), label.count(y)) < least:
            merge(x, y)
    first: dict[int, int] = {}
    return [first.setdefault(x, len(first)) for x in label]


def plain_mesh_superpoints(vertices: np.ndarray, triangles: np.ndarray, k: float, least: int) -> list[int]:
    normals: list[list[np.ndarray]] = [[] for _ in vertices]
    for p, q, r in triangles:
        corners = vertices.astype(np.float64)
        normal = np.cross(corners[q] - corners[p], corners[r] - corners[p])
        for corner in (p, q, r):
            normals[corner].append(normal / np.linalg.norm(normal))
    mean = np.array([np.mean(around, axis=0) for around in normals]).astype(np.float32)
    edges = []
    for p, q, r in triangles:
        for a, b in ((p, q), (p, r), (r, q)):
            # Single precision, as the rule is stated in: in a vertex of one face the sign of a bend is pure rounding.
            weight = np.float32(1) - sum(mean[a] * mean[b], np.float32(0))
            ahead = sum((vertices[b] - vertices[a]).astype(np.float32) * mean[b], np.float32(0))
            edges.append((a, b, float(weight * weight if ahead > 0 else weight)))
    return plain_partition(len(vertices), edges, k, least)


def height_field(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangle mesh over a grid of heights (m) 1 cm apart."""
    rows, columns = heights.shape
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    vertices = np.stack([i * STEP, j * STEP, heights], -1).reshape(-1, 3).astype(np.float32)
    corner = (i * columns + j)[:-1, :-1].reshape(-1)
    lower = np.stack([corner, corner + columns, corner + 1], 1)
    upper = np.stack([corner + 1, corner + columns, corner + columns + 1], 1)
    return vertices, np.concatenate([lower, upper]).astype(np.int32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.5), st.integers(1, 30))
def test_mesh_rule_equals_the_plain_version(seed: int, k: float, least: int) -> None:
    rng = np.random.default_rng(seed)
    # Distinct random heights: no equal weights, so both orders of the edges agree.
    vertices, triangles = height_field(rng.random((8, 9)) * 0.01)
    ours = mesh_superpoints(vertices, triangles, k, least)
    assert ours.tolist() == plain_mesh_superpoints(vertices, triangles, k, least)


def test_a_step_in_a_mesh_separates_its_levels() -> None:
    heights = np.zeros((20, 20))
    heights[10:] = 0.1
    labels = mesh_superpoints(*height_field(heights)).reshape(20, 20)
    assert len(np.unique(labels[:9])) == 1
    assert len(np.unique(labels[11:])) == 1
    assert labels[0, 0] != labels[19, 0]


def test_a_mesh_without_faces_is_all_loose_vertices() -> None:
    labels = mesh_superpoints(np.zeros((3, 3), np.float32), np.zeros((0, 3), np.int32))
    assert labels.tolist() == [0, 1, 2]


def test_faces_of_missing_vertices_are_refused() -> None:
    with pytest.raises(InputError, match="triangles name vertices 0 to 3, the mesh has 3"):
        mesh_superpoints(np.zeros((3, 3), np.float32), np.array([[0, 1, 3]], np.int32))


def corner_cloud(inward: bool, with_normals: bool) -> Cloud:
    """Two perpendicular 40 cm squares seen from the outside of their edge, or from within their corner."""
    a = face([STEP / 2, STEP / 2, STEP / 2], [1, 0, 0], [0, 1, 0], 40, 40)
    b = face([STEP / 2, STEP / 2, -STEP / 2], [0, 0, -1], [0, 1, 0], 40, 40)
    points = np.concatenate([a, b]).astype(np.float32)
    up, left = np.array([0, 0, 1]), np.array([-1, 0, 0])
    normals = np.concatenate([np.tile(up, (1600, 1)), np.tile(left, (1600, 1))]).astype(np.float32)
    viewpoint = np.array([2.0, 0.2, -2.0]) if inward else np.array([-2.0, 0.2, 2.0])
    normals = -normals if inward else normals
    return Cloud(points, normals=normals) if with_normals else Cloud(points, viewpoint=viewpoint)


@pytest.mark.parametrize("with_normals", [True, False])
def test_an_inward_edge_weighs_many_times_an_outward_one(with_normals: bool) -> None:
    heaviest = [
        float(surface_graph(corner_cloud(inward, with_normals), GraphConfig(voxel_size_m=STEP)).weights.max())
        for inward in (True, False)
    ]
    assert heaviest[0] > 5 * heaviest[1]
    assert heaviest[0] > 0.1


def test_without_orientation_both_edges_weigh_the_same() -> None:
    cloud = corner_cloud(inward=True, with_normals=False)
    # Behind itself as seen from the origin, so that the origin cannot have been the viewpoint.
    copies = [cloud.points + np.float32(shift) for shift in (-0.3, 0.0, 0.3)]
    weights = surface_graph(Cloud(np.concatenate(copies)), GraphConfig(voxel_size_m=STEP)).weights
    assert weights.max() > 0.1


@settings(max_examples=20, deadline=None)
@given(st.integers(10, 120), st.floats(0.01, 1.0), st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_cloud_partition_equals_the_plain_version(count: int, k: float, least: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cloud = Cloud(rng.random((count, 3)).astype(np.float32))
    graph = surface_graph(cloud, GraphConfig(voxel_size_m=0.2))
    # Multiples of the sorting step, so that rounding cannot reorder edges.
    graph.weights[:] = np.round(graph.weights * 1024) / 1024
    edges = list(zip(graph.a.tolist(), graph.b.tolist(), graph.weights.tolist(), strict=True))
    assert partition(graph, k, least).tolist() == plain_partition(len(graph.surface), edges, k, least)


def test_superpoints_are_dense_and_do_not_depend_on_the_order_of_points() -> None:
    cloud = corner_cloud(inward=True, with_normals=True)
    config = GraphConfig(voxel_size_m=STEP)
    labels = cloud_superpoints(cloud, config)
    assert sorted(np.unique(labels).tolist()) == list(range(labels.max() + 1))
    assert labels[0] != labels[-1]
    order = np.random.default_rng(0).permutation(len(cloud))
    np.testing.assert_array_equal(cloud_superpoints(cloud.select(order), config), labels[order])


def test_too_few_points_are_refused() -> None:
    with pytest.raises(InputError, match="cloud has 6 points, graph segmentation needs at least 7"):
        surface_graph(Cloud(np.zeros((6, 3), np.float32)), GraphConfig())
