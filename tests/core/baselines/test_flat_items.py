from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.baselines.flat_items_kernels import count_facing, scatter_matrices


@pytest.fixture
def labelled() -> tuple[np.ndarray, np.ndarray]:
    """Points far from the origin, and labels 0..4 of which 3 has none."""
    rng = np.random.default_rng(0)
    return rng.normal(100, 2, (300, 3)).astype(np.float32), rng.choice([0, 1, 2, 4], 300).astype(np.int32)


def test_scatter_of_each_label(labelled: tuple[np.ndarray, np.ndarray]) -> None:
    points, labels = labelled
    scatter = scatter_matrices(points, labels, np.bincount(labels))
    for label in range(5):
        own = points[labels == label].astype(np.float64)
        centred = own - own.mean(axis=0) if len(own) else own
        np.testing.assert_allclose(scatter[label], centred.T @ centred, rtol=1e-9, atol=1e-9)


def test_normals_along_the_direction_of_their_label_either_way(labelled: tuple[np.ndarray, np.ndarray]) -> None:
    points, labels = labelled
    normals = (points - points.mean(axis=0)) / np.linalg.norm(points - points.mean(axis=0), axis=1, keepdims=True)
    directions = np.linalg.qr(np.arange(9.0).reshape(3, 3) + np.eye(3))[0][[0, 1, 2, 0, 1]]
    along = np.abs(np.einsum("ij,ij->i", normals, directions[labels])) > 0.9
    expected = np.bincount(labels[along], minlength=5)
    assert expected.sum() > 10
    np.testing.assert_array_equal(count_facing(normals, labels, directions, 0.9), expected)
