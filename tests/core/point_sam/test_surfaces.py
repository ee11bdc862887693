"""Masks that follow the surface: by hand, at every scale, and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam.surfaces import Surfaces  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PointSamSettings  # noqa: E402
from seg3d_core.types import Cloud, Prompt  # noqa: E402

TOP = 0.2


def step_cloud(scale: float = 1.0, origin: tuple[float, float, float] = (0, 0, 0)) -> Cloud:
    """A floor of 1 m x 1 m, and a step of 0.2 m in half of it, with its riser; 1 cm apart."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(0, 1, 0.01), np.arange(0, 1, 0.01)))
    flat = np.stack([x, y, np.where(x > 0.5, TOP, 0)], axis=1)
    along, height = (axis.ravel() for axis in np.meshgrid(np.arange(0, 1, 0.01), np.arange(0.01, TOP, 0.01)))
    riser = np.stack([np.full_like(along, 0.5), along, height], axis=1)
    points = np.concatenate([flat, riser]) * scale + np.array(origin)
    return Cloud(points.astype(np.float32))


def radius_m(cloud: Cloud) -> float:
    return float(np.linalg.norm(cloud.points - cloud.points.mean(axis=0), axis=1).max())


@pytest.mark.parametrize(
    ("scale", "origin"), [(1.0, (0, 0, 0)), (0.01, (0, 0, 0)), (500.0, (0, 0, 0)), (1.0, (40_000, 20_000, 0))]
)
def test_a_step_has_its_surfaces_at_every_scale_and_place(scale, origin):
    cloud = step_cloud(scale, origin)
    surfaces = Surfaces.of(cloud, radius_m(cloud))
    height = (cloud.points[:, 2] - origin[2]) / scale
    # Away from the riser, where a sample may hold points of both.
    x = (cloud.points[:, 0] - origin[0]) / scale
    low, high = (height < 0.01) & (x < 0.45), (height > TOP - 0.01) & (x > 0.55)
    of_low, of_high = set(surfaces.point_to_patch[low]), set(surfaces.point_to_patch[high])
    assert not of_low & of_high
    assert len(of_low) <= 3
    np.testing.assert_array_equal(np.bincount(surfaces.point_to_patch), surfaces.sizes)


def test_points_listen_to_their_patch_by_hand():
    surfaces = Surfaces(np.array([0, 0, 1, 0], np.int32), np.array([3.0, 1.0]))
    logits = np.array([[1, 2, -3, -9], [0, 0, 8, 3]], np.float32)
    # Within -4..4; the means of the first patch are -1/3 and 1.
    expected = np.array([[1 / 3, 5 / 6, -3, -13 / 6], [0.5, 0.5, 4, 2]], np.float32)
    np.testing.assert_allclose(surfaces.blend(logits, 0.5), expected, rtol=1e-6)
    np.testing.assert_allclose(surfaces.blend(logits, 1.0)[1], [1, 1, 4, 1], rtol=1e-6)
    np.testing.assert_array_equal(surfaces.blend(logits, 0.0), np.clip(logits, -4, 4))


def test_too_few_points_have_no_surface():
    assert Surfaces.of(Cloud(np.eye(3, dtype=np.float32)), 1.0) is None


def test_masks_follow_the_surface_where_that_is_asked_for():
    cloud = step_cloud()
    torch.manual_seed(0)
    network = PointSamNetwork(POINT_SAM_PRESETS["nano"])
    answers = []
    for weight in (0.0, 0.5):
        sam = PointSam(network, PointSamSettings.build({"device": "cpu", "patches": 64, "surface_weight": weight}))
        scene = sam.encode(cloud)
        answers.append(sam.answer(scene, Prompt.click(0.2, 0.2, 0.0)))
    plain, followed = answers
    np.testing.assert_array_equal(plain.iou_predictions, followed.iou_predictions)
    expected = scene.surfaces.blend(plain.mask_logits, 0.5)
    np.testing.assert_allclose(followed.mask_logits, expected, rtol=1e-5, atol=1e-6)


def test_nothing_is_looked_for_where_points_are_alone():
    sam = PointSam.from_preset("nano", PointSamSettings.build({"device": "cpu", "surface_weight": 0.0}))
    assert sam.encode(step_cloud()).surfaces is None
