from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.data.transform_tree import TransformTree
from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import invert

S = 10**9
UNTURNED = (0.0, 0.0, 0.0, 1.0)


def turned(angle: float) -> tuple[float, float, float, float]:
    return (0.0, 0.0, float(np.sin(angle / 2)), float(np.cos(angle / 2)))


@pytest.fixture
def robot() -> TransformTree:
    """map - odom - base (moving), base - camera and base - arm (static), and a lost frame pair."""
    tree = TransformTree()
    for second in (2, 1, 3):
        tree.insert("/map", "odom", second * S, (0.0, float(second), 0.0), UNTURNED)
    tree.insert("odom", "base", 1 * S, (0.0, 0.0, 0.0), turned(0))
    tree.insert("odom", "base", 2 * S, (1.0, 0.0, 0.0), turned(np.pi / 2))
    tree.insert("base", "camera", 0, (0.0, 0.0, 1.0), UNTURNED, is_static=True)
    tree.insert("base", "arm", 0, (2.0, 0.0, 0.0), UNTURNED, is_static=True)
    tree.insert("lost", "found", 0, (0.0, 0.0, 0.0), UNTURNED, is_static=True)
    return tree


def test_chains_are_interpolated_link_by_link(robot: TransformTree) -> None:
    T = robot.lookup("map", "camera", 3 * S // 2)
    np.testing.assert_allclose(T[:3, 3], [0.5, 1.5, 1], atol=1e-12)
    np.testing.assert_allclose(T[:2, 0], [np.cos(np.pi / 4), np.sin(np.pi / 4)], atol=1e-12)
    np.testing.assert_allclose(robot.lookup("/camera", "map", 3 * S // 2), invert(T), atol=1e-12)


def test_siblings_are_joined_over_their_parent_at_any_time(robot: TransformTree) -> None:
    assert robot.chain("camera", "arm") == ["camera", "base", "arm"]
    assert robot.lookup("camera", "arm", 99 * S)[:3, 3].tolist() == [2, 0, -1]
    assert robot.lookup("arm", "arm", 0).tolist() == np.eye(4).tolist()
    assert robot.is_static("camera", "arm")
    assert not robot.is_static("map", "arm")


def test_stamps_are_those_at_which_the_whole_chain_is_known(robot: TransformTree) -> None:
    assert robot.stamps_ns("map", "camera").tolist() == [S, 2 * S]
    assert robot.stamps_ns("odom", "map").tolist() == [S, 2 * S, 3 * S]
    assert robot.stamps_ns("camera", "arm").tolist() == []


def test_the_last_of_two_poses_at_one_stamp_counts() -> None:
    tree = TransformTree()
    for x in (1.0, 2.0):
        tree.insert("a", "b", S, (x, 0.0, 0.0), UNTURNED)
    assert tree.lookup("a", "b", S)[0, 3] == 2


def test_nothing_is_made_up(robot: TransformTree) -> None:
    with pytest.raises(
        InputError, match=r"from camera to map: 2\.500 s is 0\.500 s after the last pose of odom - base"
    ):
        robot.lookup("map", "camera", 5 * S // 2)
    with pytest.raises(InputError, match=r"0\.500 s is 0\.500 s before the first pose of map - odom"):
        robot.lookup("map", "odom", S // 2)
    with pytest.raises(InputError, match="between camra and map: there is no frame camra, the nearest name is camera"):
        robot.lookup("map", "camra", S)
    with pytest.raises(InputError, match="from found to map: map is connected only to arm, base, camera, map, odom"):
        robot.lookup("map", "found", S)
    with pytest.raises(InputError, match="there are no transforms at all"):
        TransformTree().lookup("map", "camera", S)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.data())
def test_going_and_coming_back_is_identity(parents: list[int], data: st.DataObject) -> None:
    """Frame i + 1 hangs on a frame before it; any two frames of such a tree are connected."""
    tree = TransformTree()
    numbers = st.floats(-10, 10)
    for child, parent in enumerate(parents, start=1):
        for stamp in (0, 10):
            translation = (data.draw(numbers), data.draw(numbers), data.draw(numbers))
            tree.insert(f"f{parent % child}", f"f{child}", stamp, translation, turned(data.draw(numbers)))
    a, b = (f"f{data.draw(st.integers(0, len(parents)))}" for _ in range(2))
    stamp = data.draw(st.integers(0, 10))
    np.testing.assert_allclose(tree.lookup(a, b, stamp) @ tree.lookup(b, a, stamp), np.eye(4), atol=1e-9)
