"""A click in a map of two million points against the same click on its surroundings alone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.point_sam.crops import Place, cut_out  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam.scene_crops import SceneCrops  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PointSamSettings, SceneCropConfig  # noqa: E402
from seg3d_core.types import Cloud, Prompt  # noqa: E402

POINTS = 2_000_000
CLICK_M = (5.0, 5.0, 0.0)


@pytest.fixture(scope="module")
def floor_with_boxes():
    """15 m x 15 m of floor with boxes on it, a point every 1.2 cm."""
    random = np.random.default_rng(0)
    points = random.uniform(0, 15, (POINTS, 3))
    points[:, 2] = np.where((points[:, :2] % 1.5 < 0.6).all(axis=1), 0.5, 0.0)
    on_sides = random.random(POINTS) < 0.25
    points[on_sides, 0] -= points[on_sides, 0] % 1.5
    points[on_sides, 2] = random.uniform(0, 0.5, on_sides.sum())
    return Cloud(points.astype(np.float32), random.random((POINTS, 3), np.float32))


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return PointSam(PointSamNetwork(POINT_SAM_PRESETS["nano"]), PointSamSettings.build({"device": "cpu"}))


# Masks of random weights mean nothing: no crop grows.
CONFIG = SceneCropConfig.build({"mode": "crop", "radius_m": 1.0, "max_radius_m": 1.0})


def alone(cloud):
    piece = cut_out(cloud, Place.around(np.array(CLICK_M), CONFIG.radius_m), CONFIG.max_points)
    return Cloud(cloud.points[piece.shown], cloud.rgb[piece.shown])


def test_first_click_in_a_map(compare, floor_with_boxes, sam):
    crop, model = alone(floor_with_boxes), SceneCrops(sam, CONFIG)

    def in_map():
        model.set_cloud(floor_with_boxes)
        model.predict(Prompt.click(*CLICK_M))

    def on_crop():
        sam.set_cloud(crop)
        sam.predict(Prompt.click(*CLICK_M))

    compare("first click, 2 M points", in_map, f"its {len(crop)} points alone", on_crop, at_least=0.5, rounds=7)


def test_later_clicks_in_a_map(compare, floor_with_boxes, sam):
    crop, model = alone(floor_with_boxes), SceneCrops(sam, CONFIG)
    model.set_cloud(floor_with_boxes)
    sam.set_cloud(crop)
    prompt = Prompt.click(*CLICK_M)
    more = prompt.with_click(5.2, 5.0, 0.0)
    in_map, on_crop = model.predict(prompt).mask_logits[0], sam.predict(prompt).mask_logits[0]
    compare(
        "second click, 2 M points",
        lambda: model.predict(more, in_map),
        f"its {len(crop)} points alone",
        lambda: sam.predict(more, on_crop),
        at_least=0.5,
        rounds=7,
    )
