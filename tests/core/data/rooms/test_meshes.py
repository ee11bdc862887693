"""Every shape is closed, turned outwards and as large as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.data.rooms import decor, desk_things, seating, storage, tables, tableware
from seg3d_core.data.rooms.items import Item
from seg3d_core.data.rooms.meshes import (
    Mesh,
    box,
    cylinder,
    extrusion,
    joined,
    revolution,
    rounded_box,
    superellipsoid,
    tube,
)
from seg3d_core.data.rooms.tessellation import MAX_EDGE_M, tessellate

MAKERS: list[Callable[[np.random.Generator], Item]] = [
    tables.coffee_table, tables.side_table, tables.desk, seating.chair, seating.office_chair, seating.bed, seating.pouf,
    seating.stool, storage.sideboard, storage.wardrobe, storage.bookcase, storage.wall_shelf, decor.floor_lamp,
    decor.table_lamp, decor.wall_picture, decor.bin_, decor.carton, decor.basket, decor.cushion, tableware.mug,
    tableware.bottle, tableware.bowl, tableware.fruit, tableware.vase, tableware.plate, tableware.can, tableware.teapot,
    desk_things.monitor, desk_things.television, desk_things.keyboard, desk_things.mouse, desk_things.laptop,
    desk_things.random_book, desk_things.packet, desk_things.pencil_cup, desk_things.clock,
]  # fmt: skip


def volume_m3(mesh: Mesh) -> float:
    a, b, c = mesh.corners.transpose(1, 0, 2)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def open_edges(mesh: Mesh) -> int:
    """Edges that are not met by a neighbour running the other way, vertices taken by their place."""
    places = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)[1].reshape(-1)[mesh.triangles]
    edges = np.concatenate([places[:, [0, 1]], places[:, [1, 2]], places[:, [2, 0]]])
    counts = Counter(map(tuple, edges.tolist()))
    return sum(counts[(a, b)] != counts[(b, a)] for a, b in counts)


@pytest.mark.parametrize(
    ("mesh", "volume"),
    [
        (box(1.0, 2.0, 3.0), 6.0),
        (rounded_box(1.0, 2.0, 3.0, 0.001), 6.0),
        (rounded_box(1.0, 1.0, 1.0, 0.5, 12), np.pi / 6),
        (superellipsoid(1.0, 1.0, 1.0, 1.0, 1.0, 96), np.pi / 6),
        (superellipsoid(1.0, 2.0, 1.0, 2.0, 2.0, 96), 1 / 3),
        (cylinder(1.0, 2.0, 128), 2 * np.pi),
        (extrusion([(0, 0), (1, 0), (1, 1), (0, 1)], 2.0), 2.0),
        (tube([(0, 0, 0), (0, 0, 1), (0, 0, 2)], 0.1, 96), 0.02 * np.pi),
        (revolution([(0, 0), (1, 0), (1, 2), (0.9, 2), (0.9, 0.1), (0, 0.1)], 128), np.pi * (2 - 0.81 * 1.9)),
    ],
)
def test_volumes_and_closedness(mesh: Mesh, volume: float) -> None:
    assert volume_m3(mesh) == pytest.approx(volume, rel=0.02)
    assert open_edges(mesh) == 0


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_objects_stand_on_their_ground_and_are_closed(make: Callable[[np.random.Generator], Item]) -> None:
    for seed in range(3):
        item = make(np.random.default_rng(seed))
        assert item.bounds()[0, 2] == pytest.approx(0.0, abs=0.003)
        assert len({part.name for part in item.parts}) == len(item.parts)
        for part in item.parts:
            assert volume_m3(part.mesh) > 0, part.name
            assert open_edges(part.mesh) == 0, part.name


def test_plants_are_closed() -> None:
    for part in decor.plant(np.random.default_rng(0), 1.0).parts:
        assert open_edges(part.mesh) == 0
        assert volume_m3(part.mesh) > 0


def test_normals_are_sharp_on_boxes_and_smooth_on_balls() -> None:
    flat = box(0.01, 1.0, 5.0)
    faces = np.cross(flat.corners[:, 1] - flat.corners[:, 0], flat.corners[:, 2] - flat.corners[:, 0])
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    np.testing.assert_allclose(flat.corner_normals(), np.repeat(faces[:, None], 3, axis=1), atol=1e-12)
    ball = superellipsoid(2.0, 2.0, 2.0, 1.0, 1.0, 48).at(z=-1.0)
    cosine = (ball.corner_normals() * ball.corners).sum(axis=2)
    assert cosine.min() > 0.995


@given(st.floats(0.05, 2.0), st.floats(0.05, 2.0), st.floats(0.05, 2.0))
def test_tessellation_keeps_the_surface(x: float, y: float, z: float) -> None:
    mesh = joined([box(x, y, z), box(x, y, z).at(x=5.0)])
    pieces = tessellate(mesh.corners, mesh.corner_normals())
    corners, normals = pieces.corners, pieces.normals
    edges = np.linalg.norm(np.roll(corners, 1, axis=1) - corners, axis=2)
    assert edges.max() <= MAX_EDGE_M
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(crosses, axis=1).sum() / 2 == pytest.approx(4 * (x * y + y * z + z * x))
    flat = np.cross(mesh.corners[:, 1] - mesh.corners[:, 0], mesh.corners[:, 2] - mesh.corners[:, 0])
    areas = np.bincount(pieces.source, np.linalg.norm(crosses, axis=1))
    np.testing.assert_allclose(areas, np.linalg.norm(flat, axis=1))
    assert ((crosses[:, None] * normals).sum(axis=2) > 0).all()
