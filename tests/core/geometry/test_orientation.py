"""Normals of maps without any: consistent over a surface, and on the side from which rooms are seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from seg3d_core.baselines.graph import GraphSegmenter
from seg3d_core.config import GraphConfig, RoomConfig
from seg3d_core.data.rooms import make_room
from seg3d_core.geometry.orientation import upward
from seg3d_core.learning.metrics import mask_iou
from seg3d_core.types import Cloud


def edges(points: np.ndarray, k: int = 8) -> tuple[np.ndarray, np.ndarray]:
    _, near = cKDTree(points).query(points, k + 1)
    pairs = np.unique(np.sort(np.stack([np.repeat(near[:, 0], k), near[:, 1:].reshape(-1)], 1), axis=1), axis=0)
    return pairs[:, 0].astype(np.int32), pairs[:, 1].astype(np.int32)


def sphere(count: int, center: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return (np.array(center) + 0.3 * normals).astype(np.float32), normals.astype(np.float32)


def shuffled_signs(normals: np.ndarray) -> np.ndarray:
    return normals * np.random.default_rng(1).choice(np.array([-1, 1], np.float32), len(normals))[:, None]


def test_a_dome_is_turned_outward_by_its_top():
    points, normals = sphere(3000, (0, 0, 0.3))
    keep = points[:, 2] > 0.15
    points, normals = points[keep], normals[keep]
    found = upward(points, shuffled_signs(normals), *edges(points))
    np.testing.assert_array_equal(found, normals)


def test_walls_without_a_floor_face_the_middle():
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 40), np.linspace(0, 2, 40)), -1).reshape(-1, 2)
    left = np.column_stack([np.full(len(grid), -2.0), grid])
    right = np.column_stack([np.full(len(grid), 2.0), grid])
    points = np.concatenate([left, right]).astype(np.float32)
    inward = np.repeat(np.array([[1, 0, 0], [-1, 0, 0]], np.float32), len(grid), axis=0)
    found = upward(points, shuffled_signs(inward), *edges(points))
    np.testing.assert_array_equal(found, inward)


def test_signs_that_were_right_do_not_matter():
    points, normals = sphere(2000, (0, 0, 1.0))
    pairs = edges(points)
    one, other = upward(points, shuffled_signs(normals), *pairs), upward(points, -shuffled_signs(normals), *pairs)
    assert (np.abs((one * other).sum(1)) > 0.999).all()
    assert len(np.unique(np.sign((one * other).sum(1)))) == 1


def test_what_has_no_normal_joins_nothing():
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21))
    floor = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    points = np.concatenate([floor, [[0, 0, 0.5]], floor + np.array([0, 0, 1])]).astype(np.float32)
    normals = np.tile(np.array([0, 0, -1], np.float32), (len(points), 1))
    wire = len(floor)
    normals[wire] = 0
    # The upper surface is listed with its signs the other way round, and hangs on the floor by the wire alone.
    normals[wire + 1 :] *= -1
    own = [edges(part) for part in (points[:wire], points[wire + 1 :])]
    a = np.concatenate([own[0][0], own[1][0] + wire + 1, [0, wire]]).astype(np.int32)
    b = np.concatenate([own[0][1], own[1][1] + wire + 1, [wire, wire + 1]]).astype(np.int32)
    found = upward(points, normals, a, b)
    assert (found[wire] == 0).all()
    np.testing.assert_array_equal(np.delete(found, wire, axis=0), np.tile(np.float32([0, 0, 1]), (2 * wire, 1)))


def test_no_points_no_normals():
    none = np.empty((0, 3), np.float32)
    assert upward(none, none, np.empty(0, np.int32), np.empty(0, np.int32)).shape == (0, 3)


@pytest.mark.parametrize("seed", [3, 5])
def test_bare_maps_are_segmented_nearly_as_well_as_maps_with_normals(seed: int):
    surface = make_room(seed, RoomConfig()).surface(300_000)
    objects = np.unique(surface.instance_id[surface.instance_id > 6])
    truth = surface.instance_id[None, :] == objects[:, None]
    truth = truth[truth.sum(1) > 300]
    segmenter = GraphSegmenter(GraphConfig())
    bare: Cloud = replace(surface.cloud, normals=None)
    best = [mask_iou(truth, segmenter.segment(cloud).masks).max(1).mean() for cloud in (surface.cloud, bare)]
    assert best[1] > 0.85 * best[0]
