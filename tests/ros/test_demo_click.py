"""The clicking demo as its user runs it: a room is fused, objects are clicked on, corrected and accepted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytest.importorskip("torch", reason="networks need PyTorch")

from demo_runs import figures, run_demo
from PIL import Image

from seg3d_core.data.cloud_files import read_labelled
from seg3d_core.errors import ConfigError, Seg3dError
from seg3d_core.tracking.ids import ACCEPTED_IDS
from seg3d_core.types import Cloud
from seg3d_ros.demo.clicking import accepted_on, rows_of, targets_at
from seg3d_ros.demo.options import parse_options

pytestmark = pytest.mark.ros

POINTS = np.array([[0, 0, 0], [1, 0, 0], [-0.0, 0, 0], [0, 1, 1]], np.float32)


def test_objects_are_clicked_on_corrected_and_accepted(tmp_path: Path, domain_id: int) -> None:
    done = run_demo(tmp_path, domain_id, "--click", "2", "--frames", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    assert figures(done.stdout, "accepted") == [2, 2]
    first, last = figures(done.stdout, "mean IoU")
    assert 0 < first <= 1
    assert 0.3 < last <= 1
    assert figures(done.stdout, "click to mask")[0] > 0
    pictures = sorted((tmp_path / "clicks").glob("*.png"))
    assert len(pictures) == 2
    for path in [*pictures, tmp_path / "accepted.png"]:
        with Image.open(path) as picture:
            assert np.asarray(picture).std() > 10
    # A mask may cover one accepted before it, but nothing covers the last one.
    shown = np.unique(read_labelled(tmp_path / "accepted.ply").instance_id)
    assert shown.max() == ACCEPTED_IDS.start + 1
    assert shown[shown > 0].min() >= ACCEPTED_IDS.start


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--click", "-1"], "--click -1: must be 0 or more objects"),
        (["--at", "1", "2", "3"], "--at says where to click: it needs --click"),
        (["--click", "--bag", "x"], "it does not work with --bag"),
        (["--click", "--data", "x"], "needs places: --at X Y Z"),
    ],
)
def test_nobody_knows_where_to_click(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_options(arguments)


def test_options_of_clicks() -> None:
    options = parse_options(["--click", "--at", "1", "2", "3", "--at", "4", "5", "6", "--model", "tiny"])
    assert options.clicks == 2
    assert options.places == ((1, 2, 3), (4, 5, 6))
    assert options.prompt == {"model": "tiny"}
    assert parse_options(["--click"]).clicks == 6
    assert parse_options([]).clicks == 0


def test_points_are_found_bit_by_bit() -> None:
    cloud = Cloud(POINTS)
    assert rows_of(Cloud(POINTS[[3, 0]]), cloud).tolist() == [True, False, False, True]
    with pytest.raises(Seg3dError, match="1 points that the clicked cloud has not"):
        rows_of(Cloud(np.array([[0, 0, 1e-9]], np.float32)), cloud)


def test_accepted_objects_on_the_cloud() -> None:
    found = accepted_on(Cloud(POINTS), Cloud(POINTS[[1, 3, 1]]), np.array([7, 7, 9], np.int32))
    assert found.instance_ids.tolist() == [9, 7]
    assert found.masks.tolist() == [[False, True, False, False], [False, True, False, True]]
    assert found.point_ids.tolist() == [0, 9, 0, 7]


def test_places_mean_the_nearest_points() -> None:
    targets = targets_at([(0.9, 0.1, 0.0), (0, 1, 2)], Cloud(POINTS))
    assert [target.place for target in targets] == [1, 3]
    assert all(target.mask is None for target in targets)
