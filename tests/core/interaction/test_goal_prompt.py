"""What stands at a position on the floor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import ConfigError, PromptError
from seg3d_core.interaction.goal_prompt import footprint_distance_m, instance_at, points_standing_at
from seg3d_core.interaction_config import GoalConfig
from seg3d_core.types import Cloud, Instances

CONFIG = GoalConfig.build({})


def standing(cloud, x, y, **config):
    return points_standing_at(cloud.points, np.array([x, y], np.float64), GoalConfig.build(config))


@pytest.mark.parametrize(("goal", "label"), [((0.2, 0.2), 1), ((1.2, 0.15), 2), ((1.3, 1.3), 3)])
def test_the_column_holds_the_object(world, goal, label):
    cloud, labels = world
    found = standing(cloud, *goal)
    assert found.any()
    assert set(labels[found]) == {label}


def test_the_height_of_the_floor_is_no_matter(world):
    cloud, _ = world
    raised = Cloud(cloud.points + np.array([0, 0, 7.3], np.float32))
    assert np.array_equal(standing(raised, 0.2, 0.2), standing(cloud, 0.2, 0.2))


def test_nothing_stands_on_a_noisy_floor():
    random = np.random.default_rng(1)
    floor = np.column_stack([random.random((20_000, 2)) * 4, random.normal(0, 0.012, 20_000)]).astype(np.float32)
    ghosts = np.column_stack([random.random((300, 2)) * 4, -random.random(300)]).astype(np.float32)
    assert not standing(Cloud(np.concatenate([floor, ghosts])), 2.0, 2.0).any()


def test_lamps_and_ceilings_are_others(world):
    cloud, labels = world
    above = np.array([[1.3, 1.3, z] for z in np.arange(1.2, 2.6, 0.02)], np.float32)
    with_lamp = Cloud(np.concatenate([cloud.points, above]))
    found = standing(with_lamp, 1.3, 1.3)
    assert np.array_equal(found[: len(cloud)], standing(cloud, 1.3, 1.3))
    assert not found[len(cloud) :].any()
    # Where there is no table the lamp is what stands there, up to the limit.
    alone = Cloud(np.concatenate([cloud.points[labels != 3], above]))
    heights = alone.points[standing(alone, 1.3, 1.3), 2]
    assert heights.max() <= 2.01
    assert heights.min() == pytest.approx(1.2)


def test_few_points_are_noise(world):
    cloud, _ = world
    speck = np.array([[-0.5, -0.5, 0.3]] * 4, np.float32)
    spotted = Cloud(np.concatenate([cloud.points, speck]))
    assert not standing(spotted, -0.5, -0.5).any()
    assert standing(spotted, -0.5, -0.5, min_points=4).sum() == 4


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ((9.48, 0), r"the goal at \[9\.48, 0\.0\] m is outside of the map: its nearest point is 7 m away, at most 1 m"),
        ((np.nan, 0), r"the goal at \[nan, 0\.0\] m is not finite"),
    ],
)
def test_outside_of_the_map(world, goal, message):
    with pytest.raises(PromptError, match=message):
        standing(world[0], *goal)


def test_no_points_at_all():
    with pytest.raises(PromptError, match="its nearest point is inf m away"):
        standing(Cloud(np.empty((0, 3), np.float32)), 0, 0)


@given(st.integers(0, 2**31), st.integers(3, 30))
def test_footprints_against_the_obvious(seed, count):
    """The distance from a convex set is the widest strip between it and the goal, over all directions."""
    random = np.random.default_rng(seed)
    xy = random.normal(size=(count, 2)).astype(np.float32)
    goal = random.normal(size=2) * 2
    angles = np.linspace(0, 2 * np.pi, 50_000)
    strips = (np.stack([np.cos(angles), np.sin(angles)], axis=1) @ (xy - goal).T).min(axis=1)
    assert footprint_distance_m(xy, goal) == pytest.approx(max(strips.max(), 0), abs=1e-4 * (1 + np.abs(goal).max()))
    assert footprint_distance_m(xy, xy.mean(axis=0, dtype=np.float64)) == 0


def test_footprints_by_hand():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], np.float32)
    for goal, expected in (((1, 1), 0), ((3, 1), 1), ((5, 6), 5), ((2, 2), 0)):
        assert footprint_distance_m(square, np.array(goal, float)) == pytest.approx(expected, abs=1e-9)
    line = np.array([[0, 0], [1, 0], [2, 0]], np.float32)
    assert footprint_distance_m(line, np.array([2.0, 3])) == 3
    assert footprint_distance_m(square[:1], np.array([0.0, 3])) == 3
    assert footprint_distance_m(square[:0], np.array([0.0, 3])) == np.inf


def test_the_nearest_instance(world):
    cloud, labels = world
    instances = Instances.from_labels(cloud, (labels - 1).astype(np.int32))
    # The middle of the cube is empty, had it been seen from its side only.
    assert instance_at(instances, np.array([-0.2, 0.2]), CONFIG) == 0
    assert instance_at(instances, np.array([1.3, 0.7]), CONFIG) == 2
    with pytest.raises(
        PromptError, match=r"nothing stands at the goal at \[-0\.9, 0\.2\] m: .*of 3 instances is 0\.9 m"
    ):
        instance_at(instances, np.array([-0.9, 0.2]), CONFIG)


def test_settings_that_contradict_each_other():
    with pytest.raises(ConfigError, match=r"min_height_m = 0\.5: must be below max_height_m = 0\.4"):
        GoalConfig.build({"min_height_m": 0.5, "max_height_m": 0.4})
