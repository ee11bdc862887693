"""Pictures: kernels against slow obvious versions, and behaviour at the borders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from seg3d_core import picture_kernels as kernels
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.picture_views import below_ceiling, choose_views, facing, view_camera
from seg3d_core.pictures import Column, before_after, closing_size_m, render_cloud, save_png, side_by_side
from seg3d_core.types import IGNORE, Cloud, Instances

CAMERA = Camera(80, 60, np.array([[60.0, 0, 39.5], [0, 60.0, 29.5], [0, 0, 1]]))


def room_cloud(seed: int = 0, count: int = 6000) -> tuple[Cloud, np.ndarray]:
    """A floor, four walls, a ceiling and two boxes; inward normals; labels 0 (shell), 1, 2."""
    rng = np.random.default_rng(seed)
    faces, normals, labels = [], [], []
    for low, high, sign, label in (
        ([-2, -2, 0], [2, 2, 2.5], -1, 0), ([-1.5, -1.5, 0], [-0.7, -0.7, 0.8], 1, 1),
        ([0.5, 0.5, 0], [1.5, 1.2, 0.6], 1, 2),
    ):  # fmt: skip
        for axis in range(3):
            for side in (0, 1):
                points = rng.uniform(low, high, (count // 18, 3))
                points[:, axis] = (low, high)[side][axis]
                normal = np.zeros(3)
                normal[axis] = sign * (1 if side else -1)
                faces.append(points), normals.append(np.tile(normal, (len(points), 1)))
                labels.append(np.full(len(points), label, np.int32))
    cloud = Cloud(
        np.concatenate(faces).astype(np.float32),
        rng.uniform(0, 1, (sum(map(len, faces)), 3)).astype(np.float32),
        np.concatenate(normals).astype(np.float32),
    )
    return cloud, np.concatenate(labels)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_splat_equals_asking_every_point_at_every_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels, depth_m = rng.uniform(-5, 30, (25, 2)), rng.uniform(-0.5, 3, 25)
    radius_px = rng.uniform(0.5, 6, 25)
    nearest, owner = np.empty((20, 24)), np.empty((20, 24), np.int32)
    kernels.splat(pixels, depth_m, radius_px, 0.3, nearest, owner)
    for row in range(20):
        for column in range(24):
            share = ((pixels - (column, row)) ** 2).sum(axis=1) / radius_px**2
            depth = np.where((share <= 1) & (depth_m > 0), depth_m + 0.3 * share, np.inf)
            assert owner[row, column] == (depth.argmin() if np.isfinite(depth.min()) else -1)
            assert nearest[row, column] == pytest.approx(depth.min())


def test_edge_shade_darkens_only_behind_edges() -> None:
    nearest = np.full((9, 12), 2.0, np.float32)
    nearest[:, 6:] = 1.0
    nearest[0] = np.inf
    shade = np.empty((9, 12), np.float32)
    kernels.edge_shade(nearest, 1, 8.0, shade)
    assert (shade[0] == 1).all() and (shade[:, 6:] == 1).all() and (shade[:, :5] == 1).all()
    # Three of eight neighbours are nearer, each counts at most a quarter.
    assert shade[4, 5] == pytest.approx(np.exp(-8.0 * 3 * 0.25 / 8))


def test_gaps_are_closed_and_borders_are_not_moved() -> None:
    nearest = np.full((15, 15), np.inf, np.float32)
    nearest[3:12, 3:12] = 1.0
    nearest[7, 7] = 3.0
    owner = np.where(np.isfinite(nearest), np.int32(4), np.int32(-1))
    owner[7, 7] = 9
    closed, closed_owner = np.empty_like(nearest), np.empty_like(owner)
    kernels.close_gaps(nearest, owner, 3, closed, closed_owner)
    assert closed[7, 7] == 1.0 and closed_owner[7, 7] == 4
    np.testing.assert_array_equal(closed_owner >= 0, owner >= 0)


def test_near_points_hide_far_ones_and_the_rest_is_white() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-0.2, 0.2, 21), np.linspace(-0.2, 0.2, 21)), axis=-1).reshape(-1, 2)
    near = np.concatenate([grid, np.full((441, 1), 1.0)], axis=1)
    far = near + np.array([0, 0, 1])
    points = np.concatenate([far, near]).astype(np.float32)
    rgb = np.repeat(np.array([[1, 0, 0], [0, 1, 0]], np.float32), 441, axis=0)
    image = render_cloud(points, rgb, CAMERA, np.eye(4), 0.03)
    # Splats bulge a little, which the edge shading sees.
    np.testing.assert_allclose(image[30, 40], [0, 255, 0], atol=10)
    np.testing.assert_array_equal(image[2, 2], [255, 255, 255])


def test_a_picture_of_nothing_is_white() -> None:
    empty = np.zeros((0, 3), np.float32)
    assert (render_cloud(empty, empty, CAMERA, np.eye(4)) == 255).all()
    behind = np.array([[0, 0, -1]], np.float32)
    assert (render_cloud(behind, behind, CAMERA, np.eye(4), 0.1) == 255).all()


def test_sizes_that_are_none_are_refused() -> None:
    points = np.zeros((1, 3), np.float32)
    with pytest.raises(InputError, match=r"point_size_m is -1.0 m, must be greater than 0 m"):
        render_cloud(points, points, CAMERA, np.eye(4), -1.0)


def test_closing_size_closes_a_plane() -> None:
    grid = np.stack(np.meshgrid(np.arange(40) * 0.02, np.arange(40) * 0.02), axis=-1).reshape(-1, 2)
    points = np.concatenate([grid - 0.4, np.full((1600, 1), 1.2)], axis=1).astype(np.float32)
    assert 0.028 < closing_size_m(points) < 0.06
    image = render_cloud(points, np.zeros_like(points), CAMERA, np.eye(4))
    assert (image[20:40, 30:50] == 0).all()


def test_ceilings_are_left_out_of_rooms_only() -> None:
    cloud, _ = room_cloud()
    up = np.array([0.0, 0.0, 1.0])
    shown = below_ceiling(cloud.points, up)
    assert cloud.points[shown, 2].max() <= 2.2 + 1e-3 and cloud.points[shown, 2].min() == 0
    assert below_ceiling(cloud.points * np.float32(0.1), up).all()
    assert below_ceiling(cloud.points * np.float32(100), up).all()


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 0, -1), (0, 1, 0), (-3, 0, 0), (0.3, -0.9, 0.4)])
def test_views_look_down_and_hold_the_cloud(up: tuple[float, float, float]) -> None:
    cloud, labels = room_cloud()
    direction = np.array(up, np.float64) / np.linalg.norm(up)
    views = choose_views(cloud.points, cloud.normals, labels, direction, view_camera(320, 240))
    for view in views:
        R, eye = view.T_world_camera[:3, :3], view.T_world_camera[:3, 3]
        np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-9)
        assert np.linalg.det(R) == pytest.approx(1.0)
        assert R[:, 2] @ direction < -0.6 and R[:, 1] @ direction < -0.6
        local = (cloud.points - eye) @ R
        pixels = view.camera.project(local)
        inside = (pixels > -10).all(axis=1) & (pixels[:, 0] < 330) & (pixels[:, 1] < 250)
        assert inside.mean() > 0.97
    turned = views[0].T_world_camera[:3, 2] @ views[1].T_world_camera[:3, 2]
    assert turned < 0.9


def test_one_looks_through_near_walls_but_not_through_boxes() -> None:
    cloud, labels = room_cloud()
    view = choose_views(cloud.points, cloud.normals, labels, np.array([0.0, 0.0, 1.0]), CAMERA)[0]
    shown = facing(cloud.points, cloud.normals, view)
    towards = view.T_world_camera[:2, 3] / np.linalg.norm(view.T_world_camera[:2, 3])
    near_wall = (labels == 0) & (cloud.points[:, :2] @ towards > 1.99) & (cloud.points[:, 2] > 0.1)
    assert not shown[near_wall].any()
    tops = (labels > 0) & (cloud.normals[:, 2] > 0.5) if cloud.normals is not None else labels > 9
    assert shown[tops].all()


def test_before_after_shows_instances_in_their_colours() -> None:
    cloud, labels = room_cloud(count=30_000)
    image = before_after(cloud, Instances.from_labels(cloud, labels))
    assert image.shape == (1234, 1600, 3)
    panel = image[34:, 800:].reshape(-1, 3)
    assert len(np.unique(panel // 64, axis=0)) >= 4
    assert (panel == 255).all(axis=1).mean() < 0.78


@pytest.mark.parametrize("count", [0, 1, 50])
def test_before_after_of_little(count: int) -> None:
    cloud = Cloud(np.random.default_rng(0).uniform(-1, 1, (count, 3)).astype(np.float32))
    labels = np.full(count, IGNORE, np.int32)
    assert before_after(cloud, Instances.from_labels(cloud, labels), (0, -1, 0)).shape == (1234, 1600, 3)


def test_before_after_of_one_place() -> None:
    cloud = Cloud(np.ones((30, 3), np.float32))
    assert before_after(cloud, Instances.from_labels(cloud, np.zeros(30, np.int32))).shape == (1234, 1600, 3)


def test_bad_input_is_refused() -> None:
    cloud, labels = room_cloud(count=900)
    instances = Instances.from_labels(cloud, labels)
    with pytest.raises(InputError, match=r"up is \(0.0, 0.0, 0.0\), must be a finite direction"):
        before_after(cloud, instances, (0, 0, 0))
    with pytest.raises(InputError, match=r"instances index 900 points but the cloud has 10"):
        before_after(cloud.select(np.arange(10)), instances)


def test_png_holds_the_picture(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (12, 9, 3), np.uint8)
    save_png(tmp_path / "new" / "picture.png", image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "picture.png")), image)


def test_pictures_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot make the folder .*file"):
        save_png(tmp_path / "file" / "picture.png", image)
    with pytest.raises(InputError, match="it is a folder"):
        save_png(tmp_path, image)


def test_real_scan_with_y_down(shared_data: Path) -> None:
    """The kitchen's world has y roughly down; its floor must lie at the bottom of the picture."""
    from seg3d_core.data.cloud_files import read_cloud  # here: the file readers are not needed by the other tests

    cloud = read_cloud(shared_data / "kitchen" / "cloud_2cm.ply")
    up = -np.loadtxt(shared_data / "kitchen" / "gravity_direction.txt")
    image = before_after(cloud, Instances.from_labels(cloud, np.full(len(cloud), IGNORE, np.int32)), up)
    assert (image[34:634, :800] == 255).all(axis=2).mean() < 0.75


def test_columns_need_the_ids_of_their_own_cloud() -> None:
    cloud, labels = room_cloud(count=180)
    for columns in ([Column("colour")], [Column("ids", labels[:-1])], [Column("one", labels[1:]), Column("b", labels)]):
        with pytest.raises(InputError, match=f"need {len(cloud)} ids each"):
            side_by_side(cloud, columns)
