from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.masks_kernels import gather
from seg3d_core.types import IGNORE, Cloud, Instances, Prompt, RgbdFrame


def line(count: int) -> Cloud:
    return Cloud(np.linspace(0, 1, 3 * count, dtype=np.float32).reshape(count, 3))


def test_cloud_refuses_non_finite_points_and_counts_them():
    points = np.zeros((4, 3), np.float32)
    points[1, 2] = np.nan
    points[3, 0] = np.inf
    with pytest.raises(InputError, match="2 of 4 points"):
        Cloud(points)


def test_cloud_refuses_a_viewpoint_that_is_nowhere():
    with pytest.raises(InputError, match=r"viewpoint of the cloud is not finite: \[0.0, nan, 1.0\] m"):
        Cloud(line(2).points, viewpoint=np.array([0, np.nan, 1]))


def test_cloud_accepts_huge_but_finite_coordinates():
    assert len(Cloud(np.full((2, 3), 3e38, np.float32))) == 2


def test_points_known_to_be_finite_are_not_looked_at_until_another_cloud_is_made_of_them():
    trusted = Cloud(np.full((2, 3), np.nan, np.float32), known_finite=True)
    with pytest.raises(InputError, match="1 of 1 points"):
        trusted.select(np.array([1]))


def test_cloud_refuses_attributes_of_another_length():
    with pytest.raises((InputError, TypeCheckError)):
        Cloud(np.zeros((3, 3), np.float32), source_index=np.arange(2))


def test_select_keeps_what_belongs_to_the_points():
    cloud = Cloud(line(5).points, source_index=np.arange(5) * 10, frame_id="map", stamp_ns=7)
    part = cloud.select(np.array([4, 1]))
    assert part.source_index is not None
    assert part.source_index.tolist() == [40, 10]
    assert (part.frame_id, part.stamp_ns, part.rgb) == ("map", 7, None)


def test_frame_refuses_images_of_another_size():
    camera = Camera(4, 3, np.eye(3))
    with pytest.raises(InputError, match="4x2 px but the camera is 4x3 px"):
        RgbdFrame(np.zeros((2, 4), np.float32), camera)


def test_overlapping_masks_are_labelled_by_score_and_ties_by_order():
    masks = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]], bool)
    result = Instances(line(4), masks, np.array([0.5, 0.9, 0.9], np.float32), np.array([7, 3, 5], np.int32))
    assert result.labels.tolist() == [0, 1, 1, IGNORE]
    assert result.point_ids.tolist() == [7, 3, 3, 0]
    assert result.point_scores.tolist() == pytest.approx([0.5, 0.9, 0.9, 0.0])


def test_labels_are_what_painting_one_mask_after_the_other_gives():
    rng = np.random.default_rng(0)
    masks, scores = rng.random((9, 10_000)) < 0.3, rng.integers(0, 4, 9).astype(np.float32)
    expected = np.full(10_000, IGNORE, np.int32)
    for row in sorted(range(9), key=lambda row: (scores[row], -row)):
        expected[masks[row]] = row
    ids = np.arange(1, 10, dtype=np.int32)
    for order in (masks, np.asfortranarray(masks)):
        np.testing.assert_array_equal(Instances(line(10_000), order, scores, ids).labels, expected)


def test_members_are_gathered_in_order():
    rng = np.random.default_rng(1)
    points, found = rng.random((1000, 3)).astype(np.float32), np.empty((1000, 3), np.float32)
    for mask in (rng.random(1000) < 0.1, np.arange(1000) == 700, np.zeros(1000, bool), np.ones(1000, bool)):
        np.testing.assert_array_equal(found[: gather(mask, points, found)], points[mask])


def test_what_is_made_from_labels_knows_them_until_the_masks_change():
    labels = np.array([1, -1, 0, -5, 1], np.int32)
    instances = Instances.from_labels(Cloud(np.zeros((5, 3), np.float32)), labels, np.array([0.2, 0.9], np.float32))
    assert instances.masks.tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 1]]
    assert instances.partition is instances.labels
    assert instances.labels.tolist() == [1, -1, 0, -1, 1]
    painted = Instances(instances.cloud, instances.masks, instances.scores, instances.instance_ids)
    assert painted.partition is None
    assert painted.labels.tolist() == instances.labels.tolist()
    renamed = instances.with_ids(np.array([7, 5], np.int32))
    assert renamed.partition is instances.partition
    assert renamed.point_ids.tolist() == [5, 0, 7, 0, 5]
    assert painted.with_ids(painted.instance_ids).partition is None
    assert replace(instances, masks=~instances.masks).partition is None


def test_labels_round_trip():
    labels = np.array([0, IGNORE, 2, 1, 0], np.int32)
    result = Instances.from_labels(line(5), labels)
    assert result.labels.tolist() == labels.tolist()
    assert result.instance_ids.tolist() == [1, 2, 3]


@pytest.mark.parametrize("ids", [[1, 1], [0, 1], [-2, 1]])
def test_instance_ids_must_be_positive_and_distinct(ids: list[int]):
    with pytest.raises(InputError, match="positive distinct"):
        Instances(line(3), np.zeros((2, 3), bool), np.ones(2, np.float32), np.array(ids, np.int32))


def test_clicks_add_up():
    prompt = Prompt.click(1.0, 2.0, 3.0).with_click(4.0, 5.0, 6.0, is_foreground=False)
    assert prompt.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert prompt.is_foreground.tolist() == [True, False]


def test_prompts_that_are_refused():
    with pytest.raises(InputError, match="prompt has clicks that are not finite"):
        Prompt.click(float("nan"), 0.0, 0.0)
