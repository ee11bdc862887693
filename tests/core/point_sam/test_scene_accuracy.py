"""The weights of the package on scenes that are larger than a network can see: clicks, and everything at once."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.learning.clicks import deepest_point, next_click  # noqa: E402
from seg3d_core.point_sam_config import PointSamProposalsConfig, PromptModelConfig  # noqa: E402
from seg3d_core.prompting import make_prompt_model, make_proposals  # noqa: E402
from seg3d_core.types import Cloud, Prompt  # noqa: E402

SPACING_M = 1.2
NETWORK = {"device": "cpu", "patches": 512, "patch_size": 32}


def body(kind, random):
    """Points of a surface that stands on the floor, its middle at x = y = 0; about 3000 of them to a square metre."""
    height, width = random.uniform(0.15, 0.5), random.uniform(0.1, 0.25)
    count = int(3000 * (2 * np.pi * width * height + np.pi * width**2))
    turn = random.uniform(0, 2 * np.pi, count)
    if kind == "ball":
        direction = random.normal(size=(count, 3))
        return direction / np.linalg.norm(direction, axis=1, keepdims=True) * width + [0, 0, width]
    on_top = random.random(count) < width / (width + 2 * height)
    reach = np.where(on_top, np.sqrt(random.random(count)), 1) * width
    if kind == "box":
        reach = reach / np.maximum(np.abs(np.cos(turn)), np.abs(np.sin(turn)))
    return np.column_stack(
        [reach * np.cos(turn), reach * np.sin(turn), np.where(on_top, height, height * random.random(count))]
    )


def bodies_on_a_floor(side, seed):
    """``side`` squared bodies on a floor, apart from each other; with the number of each point's body, 0: floor."""
    random = np.random.default_rng(seed)
    length_m = side * SPACING_M
    floor = random.uniform(0, length_m, (int(2000 * length_m**2), 3)) * [1, 1, 0]
    points, rgb = [floor], [np.tile(random.uniform(0.3, 0.7, 3), (len(floor), 1))]
    for number in range(side**2):
        place = (np.array([*divmod(number, side)]) + random.uniform(0.4, 0.6, 2)) * SPACING_M
        points.append(body(("ball", "box", "cylinder")[number % 3], random) + np.append(place, 0))
        rgb.append(np.tile(random.random(3), (len(points[-1]), 1)))
    sizes = [len(part) for part in points]
    points, rgb = np.concatenate(points), np.concatenate(rgb)
    noisy = points + random.normal(scale=0.002, size=points.shape)
    colours = np.clip(rgb + random.normal(scale=0.02, size=rgb.shape), 0, 1)
    return Cloud(noisy.astype(np.float32), colours.astype(np.float32)), np.repeat(np.arange(len(sizes)), sizes)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def iou_after(model, cloud, target, clicks):
    """Of the mask after that many simulated clicks."""
    row = deepest_point(cloud.points, target)[0]
    prompt = Prompt.click(*cloud.points[row].tolist())
    logits = model.predict(prompt).mask_logits[0]
    for _ in range(clicks - 1):
        click = next_click(cloud.points, target, logits > 0)
        prompt = prompt.with_click(*cloud.points[click.row].tolist(), is_foreground=click.is_foreground)
        logits = model.predict(prompt, logits).mask_logits[0]
    return iou(logits > 0, target)


def test_crops_see_what_is_lost_in_the_whole():
    cloud, number = bodies_on_a_floor(6, 0)
    found = {}
    for mode in ("whole", "crop"):
        model = make_prompt_model(PromptModelConfig.build({"point_sam": NETWORK, "scene": {"mode": mode}}))
        model.set_cloud(cloud)
        found[mode] = np.mean([iou_after(model, cloud, number == item, 3) for item in range(1, 37, 5)])
    assert found["crop"] >= 0.7
    assert found["crop"] > found["whole"]


def test_everything_in_tiles():
    cloud, number = bodies_on_a_floor(3, 1)
    config = {"point_sam": NETWORK, "clicks": 64, "tile_voxels": 10_000, "min_iou": 0.2, "min_stability": 0.2}
    instances = make_proposals(PointSamProposalsConfig.build(config)).segment(cloud)
    best = [max((iou(mask, number == item) for mask in instances.masks), default=0) for item in range(1, 10)]
    assert np.mean(np.array(best) >= 0.5) >= 0.3
