"""The graph segmenter on shapes known by hand, on bad input, and on labelled sensor data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plain_graph
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.baselines.graph import GraphSegmenter
from seg3d_core.config import GraphConfig, SegmentConfig
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.learning.metrics import SceneResult, average_precision, mask_iou
from seg3d_core.segmenter import Segmenter, make_segmenter
from seg3d_core.types import Cloud, Instances

STEP, VOXEL = 0.005, 0.01
SEGMENTER = GraphSegmenter(GraphConfig(voxel_size_m=VOXEL))


def square(corner: list[float], u: list[float], v: list[float], a_m: float, b_m: float) -> np.ndarray:
    """Points in the middle of 5 mm squares of a rectangle."""
    i, j = np.meshgrid(np.arange(round(a_m / STEP)) + 0.5, np.arange(round(b_m / STEP)) + 0.5, indexing="ij")
    return np.array(corner) + (i[..., None] * np.array(u) + j[..., None] * np.array(v)).reshape(-1, 3) * STEP


def box(corner: list[float], size_m: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Points and outward normals of the five faces of a box that does not show its bottom."""
    (x, y, z), (a, b, c), inset = corner, size_m, STEP / 2
    faces = [
        (square([x, y, z + c - inset], [1, 0, 0], [0, 1, 0], a, b), [0, 0, 1]),
        (square([x, y + inset, z], [1, 0, 0], [0, 0, 1], a, c), [0, -1, 0]),
        (square([x, y + b - inset, z], [1, 0, 0], [0, 0, 1], a, c), [0, 1, 0]),
        (square([x + inset, y, z], [0, 1, 0], [0, 0, 1], b, c), [-1, 0, 0]),
        (square([x + a - inset, y, z], [0, 1, 0], [0, 0, 1], b, c), [1, 0, 0]),
    ]
    points = np.concatenate([face for face, _ in faces])
    return points, np.concatenate([np.tile(normal, (len(face), 1)) for face, normal in faces])


def table_scene() -> tuple[Cloud, np.ndarray]:
    """A table top with two boxes on it and a red magazine; and what each point is: 0 table, 1, 2 boxes, 3 magazine."""
    # Away from the borders of voxels, so that rounding cannot move a point to the next, and without equal distances.
    top = square([0, 0, STEP / 2], [1, 0, 0], [0, 1, 0], 1.2, 0.8)
    boxes = [box([0.2, 0.2, 0], [0.2, 0.15, 0.25]), box([0.7, 0.3, 0], [0.12, 0.25, 0.1])]
    under = np.zeros(len(top), bool)
    for points, _ in boxes:
        low, high = points.min(0), points.max(0)
        under |= ((top[:, :2] > low[:2]) & (top[:, :2] < high[:2])).all(1)
    top = top[~under]
    magazine = ((top[:, :2] > [0.45, 0.5]) & (top[:, :2] < [0.65, 0.75])).all(1)
    points = np.concatenate([top, *(b[0] for b in boxes)])
    points += np.random.default_rng(0).uniform(-0.001, 0.001, points.shape)
    normals = np.concatenate([np.tile([0, 0, 1], (len(top), 1)), *(b[1] for b in boxes)])
    kind = np.concatenate([np.where(magazine, 3, 0), np.full(len(boxes[0][0]), 1), np.full(len(boxes[1][0]), 2)])
    rgb = np.array([[0.6, 0.5, 0.4], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.7, 0.1, 0.1]])[kind]
    return Cloud(*(values.astype(np.float32) for values in (points, rgb, normals))), kind


def best_iou(instances: Instances, kind: np.ndarray) -> np.ndarray:
    truth = kind[None, :] == np.unique(kind)[:, None]
    return mask_iou(truth, instances.masks).max(1)


def test_boxes_and_magazine_come_off_the_table() -> None:
    cloud, kind = table_scene()
    instances = SEGMENTER.segment(cloud)
    assert len(instances) == 4
    assert (best_iou(instances, kind) > 0.9).all()


def test_without_colour_the_magazine_is_table_and_boxes_are_found_all_the_same() -> None:
    cloud, kind = table_scene()
    instances = SEGMENTER.segment(Cloud(cloud.points, normals=cloud.normals))
    assert len(instances) == 3
    assert (best_iou(instances, np.where(kind == 3, 0, kind)) > 0.9).all()


def test_a_known_viewpoint_replaces_normals() -> None:
    cloud, kind = table_scene()
    above = np.array([0.6, -1.0, 2.0])
    seen = Cloud(cloud.points, rgb=cloud.rgb, viewpoint=above)
    # Back faces cannot have been seen from there.
    assert cloud.normals is not None
    visible = ((above - cloud.points) * cloud.normals).sum(1) > 0
    front = Cloud(seen.points[visible], rgb=cloud.rgb[visible] if cloud.rgb is not None else None, viewpoint=above)
    assert (best_iou(SEGMENTER.segment(front), kind[visible]) > 0.8).all()


def test_scores_are_sorted_and_ids_count_from_one() -> None:
    instances = SEGMENTER.segment(table_scene()[0])
    assert (np.diff(instances.scores) <= 0).all()
    assert instances.scores.min() > 0 and instances.scores.max() <= 1
    assert instances.instance_ids.tolist() == [1, 2, 3, 4]
    assert (instances.masks.sum(0) <= 1).all()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_points_and_place_of_the_scene_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cloud, _ = table_scene()
    first = SEGMENTER.segment(cloud)
    order = rng.permutation(len(cloud))
    shuffled = SEGMENTER.segment(cloud.select(order))
    np.testing.assert_array_equal(shuffled.masks, first.masks[:, order])
    np.testing.assert_allclose(shuffled.scores, first.scores, atol=1e-6)
    # By whole voxels, so that the thinning is the same but for rounding. By a part of one, other samples stand for the
    # same surface, and the magazine alone loses a tenth of its points to the voxels on its border.
    shift = (rng.integers(-500, 500, 3) * VOXEL).astype(np.float32)
    moved = Cloud(cloud.points + shift, rgb=cloud.rgb, normals=cloud.normals)
    assert (mask_iou(first.masks, SEGMENTER.segment(moved).masks).max(1) > 0.95).all()


def assert_equals_the_plain_version(cloud: Cloud, config: GraphConfig) -> None:
    instances = GraphSegmenter(config).segment(cloud)
    labels, scores = plain_graph.segment(cloud, config)
    np.testing.assert_array_equal(instances.labels, labels)
    np.testing.assert_array_equal(instances.scores, scores)
    np.testing.assert_array_equal(instances.masks, labels == np.arange(len(scores))[:, None])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_every_bit_is_that_of_the_plain_version(seed: int, is_coloured: bool) -> None:
    rng = np.random.default_rng(seed)
    table, _ = table_scene()
    noise = rng.normal(0, rng.choice([0.0005, 0.003]), table.points.shape)
    assert table.rgb is not None
    rgb = np.clip(table.rgb + rng.normal(0, 0.05, table.rgb.shape), 0, 1).astype(np.float32)
    cloud = Cloud((table.points + noise).astype(np.float32), rgb=rgb if is_coloured else None)
    config = GraphConfig(voxel_size_m=VOXEL, k=float(rng.choice([0.005, 0.03])), min_area_m2=0.0005)
    assert_equals_the_plain_version(cloud, config)


def test_every_bit_of_labelled_scenes_is_that_of_the_plain_version(shared_data: Path) -> None:
    for file in sorted((shared_data / "osd").glob("*.npz"))[:4]:
        with np.load(file) as data:
            cloud = Cloud(data["xyz"], rgb=data["rgb"].astype(np.float32) / 255)
        assert_equals_the_plain_version(cloud, GraphConfig())


def test_the_largest_are_kept_when_there_are_too_many() -> None:
    cloud, kind = table_scene()
    instances = GraphSegmenter(GraphConfig(voxel_size_m=VOXEL, max_instances=1)).segment(cloud)
    assert len(instances) == 1
    assert best_iou(instances, kind)[0] > 0.9


def test_too_few_points_are_refused() -> None:
    with pytest.raises(InputError, match="cloud has 3 points, graph segmentation needs at least 7"):
        SEGMENTER.segment(Cloud(np.zeros((3, 3), np.float32)))


@pytest.mark.parametrize("config", [GraphConfig(), GraphConfig(voxel_size_m=VOXEL)])
def test_identical_points_show_no_surface(config: GraphConfig) -> None:
    assert len(GraphSegmenter(config).segment(Cloud(np.ones((500, 3), np.float32)))) == 0


def test_a_line_of_points_is_one_instance() -> None:
    points = np.zeros((1000, 3), np.float32)
    points[:, 0] = np.arange(1000) * 0.005
    instances = SEGMENTER.segment(Cloud(points))
    assert len(instances) == 1
    assert instances.masks.all()


def test_scattered_points_are_nothing() -> None:
    points = (np.random.default_rng(0).random((300, 3)) * 100).astype(np.float32)
    assert len(SEGMENTER.segment(Cloud(points))) == 0


def test_segmenters_are_chosen_by_name() -> None:
    segmenter = make_segmenter(SegmentConfig.build({"model": "graph"}))
    assert isinstance(segmenter, Segmenter)
    assert isinstance(segmenter, GraphSegmenter)
    message = "model = 'grph': neither one of graph, point_sam_proposals, nano, small, base nor a file"
    with pytest.raises(ConfigError, match=message):
        make_segmenter(SegmentConfig.build({"model": "grph"}))


def test_labelled_table_scenes(shared_data: Path) -> None:
    """Kinect scenes of 2 to 16 objects. A plain Felzenszwalb with tuned k reaches AP 0.60, AP50 0.87."""
    segmenter = GraphSegmenter(GraphConfig())
    scenes = []
    for file in sorted((shared_data / "osd").glob("*.npz")):
        with np.load(file) as data:
            cloud = Cloud(data["xyz"], rgb=data["rgb"].astype(np.float32) / 255)
            truth = np.where(data["instance"] == 1, -1, data["instance"]).astype(np.int32)
        instances = segmenter.segment(cloud)
        scenes.append(SceneResult(instances.masks, instances.scores, truth))
    result = average_precision(scenes)
    assert result.ap > 0.75
    assert result.ap50 > 0.9
    assert result.recall50 > 0.95
