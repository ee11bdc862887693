from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from seg3d_core.config import FusionConfig
from seg3d_core.errors import ConfigError, DeviceError, InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.rectification import rectify
from seg3d_core.geometry.tsdf import TsdfVolume
from seg3d_core.geometry.tsdf_blocks import BlockGrid
from seg3d_core.types import Cloud, RgbdFrame

Surface = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Distances along rays: (origin (3,), directions (N, 3)) -> (N,), inf where the surface is missed."""

CAMERA = Camera(160, 120, np.array([[130.0, 0, 79.5], [0, 130.0, 59.5], [0, 0, 1]]))
RADIUS_M = 0.5
SMALL = {"max_blocks": 2000}


def looking_at_origin(position: tuple[float, float, float]) -> np.ndarray:
    forward = -np.array(position) / np.linalg.norm(position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T[:3, 3] = position
    return T


def sphere(origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    a, b = (directions**2).sum(axis=1), directions @ origin
    inside = b * b - a * (origin @ origin - RADIUS_M**2)
    return np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)


def floor(origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        distance = -origin[2] / directions[:, 2]
    return np.where(distance > 0, distance, np.inf)


def box(origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The cube from -0.4 to 0.4 m, by slabs."""
    with np.errstate(divide="ignore"):
        first, second = (-0.4 - origin) / directions, (0.4 - origin) / directions
    enter, leave = np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)
    return np.where(enter < leave, enter, np.inf)


def colour_at(points: np.ndarray) -> np.ndarray:
    return 0.5 + 0.4 * np.sin(3 * points + (0, 1, 2))


def render(surface: Surface, T: np.ndarray, camera: Camera = CAMERA, stamp_ns: int = 1) -> RgbdFrame:
    directions = camera.rays().reshape(-1, 3).astype(np.float64) @ T[:3, :3].T
    depth = surface(T[:3, 3], directions)
    hit = np.isfinite(depth) & (depth < 10)
    depth = np.where(hit, depth, 0)
    rgb = np.where(hit[:, None], colour_at(T[:3, 3] + directions * depth[:, None]), 0)
    shape = (camera.height, camera.width)
    return RgbdFrame(
        depth.reshape(shape).astype(np.float32), camera, rgb.reshape(*shape, 3).astype(np.float32), T, "map", stamp_ns
    )


VIEWS = [
    looking_at_origin((1.5 * np.cos(a), 1.5 * np.sin(a), 0.3 + 0.3 * (i % 3)))
    for i, a in enumerate(np.arange(0, 6.2, 0.4))
]


def fused(surface: Surface, views: list[np.ndarray] = VIEWS, **settings: object) -> Cloud:
    volume = TsdfVolume(FusionConfig.model_validate(SMALL | settings))
    for i, T in enumerate(views):
        volume.integrate(render(surface, T, stamp_ns=i))
    return volume.extract()


def assert_seen_from_outside(cloud: Cloud, outward: np.ndarray, share: float) -> None:
    assert cloud.normals is not None
    np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-5)
    cosine = (cloud.normals * outward).sum(axis=1)
    assert (cosine > 0.9).mean() > share
    assert (cosine > 0).mean() > 0.995


def test_sphere_is_where_it_is_with_its_colours_and_normals() -> None:
    cloud = fused(sphere, voxel_size_m=0.02)
    radius = np.linalg.norm(cloud.points, axis=1)
    error = np.abs(radius - RADIUS_M)
    assert len(cloud) > 5000
    assert np.median(error) < 0.002
    assert np.quantile(error, 0.95) < 0.006
    assert_seen_from_outside(cloud, cloud.points / radius[:, None], 0.97)
    assert cloud.rgb is not None
    assert np.median(np.abs(cloud.rgb - colour_at(cloud.points))) < 0.01
    assert (cloud.frame_id, cloud.stamp_ns) == ("map", len(VIEWS) - 1)


def test_floor_is_flat_and_faces_the_cameras() -> None:
    views = [looking_at_origin((x, 0.2, 1.5)) for x in (-0.4, -0.2, 0.2, 0.4)]
    cloud = fused(floor, views)
    assert len(cloud) > 3000
    assert np.abs(cloud.points[:, 2]).max() < 0.004
    assert np.abs(cloud.points[:, 2]).mean() < 0.001
    assert_seen_from_outside(cloud, np.array([0, 0, 1.0]), 0.999)
    spacing_m = cKDTree(cloud.points).query(cloud.points, k=2)[0][:, 1]
    assert np.median(spacing_m) < 0.025  # a point per voxel, without holes


def test_box_has_flat_sides_and_no_inside() -> None:
    cloud = fused(box, voxel_size_m=0.02)
    outside = np.abs(cloud.points).max(axis=1)
    error = np.abs(outside - 0.4)
    assert np.median(error) < 0.003
    assert np.quantile(error, 0.95) < 0.01
    side = np.abs(cloud.points).argmax(axis=1)
    flat = np.sort(np.abs(cloud.points), axis=1)[:, 1] < 0.34  # away from the edges
    outward = np.zeros_like(cloud.points)
    rows = np.arange(len(cloud))
    outward[rows, side] = np.sign(cloud.points[rows, side])
    assert_seen_from_outside(cloud.select(flat), outward[flat], 0.99)


def test_extracting_often_or_once_gives_the_same_cloud() -> None:
    often, once = (TsdfVolume(FusionConfig(**SMALL)) for _ in range(2))
    for i, T in enumerate(VIEWS):
        frame = render(box, T, stamp_ns=i)
        often.integrate(frame)
        once.integrate(frame)
        grown = often.extract()
    whole = once.extract()
    np.testing.assert_array_equal(grown.points, whole.points)
    np.testing.assert_array_equal(grown.rgb, whole.rgb)
    np.testing.assert_array_equal(grown.normals, whole.normals)


def test_points_are_open3ds_without_those_that_repeat_others() -> None:
    """Open3D's own extraction from the same blocks; its normals mix in voxels that were never seen, so not those."""
    volume = TsdfVolume(FusionConfig(**SMALL))
    for T in VIEWS[:6]:
        volume.integrate(render(sphere, T))
    ours = volume.extract()
    theirs = volume._grid._grid.extract_point_cloud(1.5)
    points = theirs.point.positions.numpy()
    distance, nearest = cKDTree(points).query(ours.points)
    assert distance.max() < 1e-6
    assert ours.rgb is not None
    np.testing.assert_allclose(ours.rgb, theirs.point.colors.numpy()[nearest], atol=1e-5)
    left_out = cKDTree(ours.points).query(points)[0]
    assert np.quantile(left_out, 0.99) < 0.02
    assert left_out.max() < 0.04


def test_sampling_is_even_where_the_surface_lies_on_voxels() -> None:
    """Noise changes the sign between any two voxels of such a layer; it counts as one sheet all the same."""
    cloud = fused(floor, [looking_at_origin((x, 0.2, 1.5)) for x in (-0.3, 0.3)])
    middle = cloud.points[np.abs(cloud.points[:, :2]).max(axis=1) < 0.3]
    assert len(middle) == pytest.approx((0.6 / 0.02) ** 2, rel=0.1)


def test_moving_the_world_by_whole_voxels_moves_nothing_else() -> None:
    shift = np.array([16.0, -8.0, 4.0])
    moved = []
    for T in VIEWS[:3]:
        T = T.copy()
        T[:3, 3] += shift
        moved.append(T)
    here = fused(sphere, VIEWS[:3], voxel_size_m=0.03125)
    there = fused(lambda origin, directions: sphere(origin - shift, directions), moved, voxel_size_m=0.03125)
    assert abs(len(there) - len(here)) < 0.01 * len(here)
    distance = cKDTree(here.points).query(there.points - shift)[0]
    assert np.quantile(distance, 0.99) < 1e-3


def test_before_the_first_frame_and_after_reset_there_is_nothing() -> None:
    volume = TsdfVolume(FusionConfig(**SMALL))
    assert len(volume.extract()) == 0
    volume.integrate(render(sphere, VIEWS[0]))
    assert len(volume.extract()) == 0  # seen once, min_weight is 2
    volume.integrate(render(sphere, VIEWS[0]))
    first = volume.extract()
    assert len(first) > 0
    volume.reset()
    assert volume.block_count == 0
    empty = volume.extract()
    assert len(empty) == 0
    assert empty.rgb is not None and empty.normals is not None
    for _ in range(2):
        volume.integrate(replace(render(sphere, VIEWS[0]), frame_id="elsewhere"))
    again = volume.extract()
    np.testing.assert_array_equal(again.points, first.points)
    assert again.frame_id == "elsewhere"


def test_surface_needs_enough_observations() -> None:
    assert len(fused(sphere, VIEWS[:1] * 2, min_weight=3)) == 0
    assert len(fused(sphere, VIEWS[:1] * 3, min_weight=3)) > 0
    assert len(fused(sphere, VIEWS[:1], min_weight=0)) > 0


def test_depth_out_of_range_is_ignored() -> None:
    near = replace(render(sphere, VIEWS[0]), depth_m=np.full((120, 160), 0.2, np.float32))
    with pytest.raises(InputError, match=r"no depth between 0\.3 m and 4 m in 19200 px"):
        TsdfVolume(FusionConfig(**SMALL)).integrate(near)
    clean, dirty = render(floor, looking_at_origin((0.1, 0.2, 1.5))), []
    for value in (0.1, 9.0, np.nan, np.inf, -1.0):
        depth_m = clean.depth_m.copy()
        depth_m[:60] = value
        volume = TsdfVolume(FusionConfig(min_weight=1, **SMALL))
        volume.integrate(replace(clean, depth_m=depth_m))
        dirty.append(volume.extract())
    for cloud in dirty:
        np.testing.assert_array_equal(cloud.points, dirty[0].points)
        assert np.abs(cloud.points[:, 2]).max() < 0.02


@pytest.mark.parametrize("depth_m", [np.zeros((120, 160), np.float32), np.full((120, 160), np.nan, np.float32)])
def test_frame_without_any_depth_is_refused_and_harms_nothing(depth_m: np.ndarray) -> None:
    volume = TsdfVolume(FusionConfig(min_weight=1, **SMALL))
    volume.integrate(render(sphere, VIEWS[0]))
    before = volume.extract()
    with pytest.raises(InputError, match="no depth between"):
        volume.integrate(replace(render(sphere, VIEWS[0], stamp_ns=9), depth_m=depth_m))
    assert volume.extract().stamp_ns == before.stamp_ns
    np.testing.assert_array_equal(volume.extract().points, before.points)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"T_world_camera": None}, "no camera pose"),
        ({"rgb": None}, "no colour image"),
        ({"T_world_camera": np.diag([2.0, 2, 2, 1])}, "T_world_camera is not rigid"),
        ({"T_world_camera": np.full((4, 4), np.nan)}, "T_world_camera has 16 of 16 values that are not finite"),
        ({"frame_id": "odom"}, "frame is in 'odom' but the map is in 'map'"),
        ({"T_world_camera": looking_at_origin((1e7, 0.0, 0.0))}, "out of reach"),
    ],
)
def test_frames_that_cannot_be_fused_are_refused(change: dict[str, object], message: str) -> None:
    volume = TsdfVolume(FusionConfig(**SMALL))
    volume.integrate(render(sphere, VIEWS[0]))
    with pytest.raises(InputError, match=message):
        volume.integrate(replace(render(sphere, VIEWS[0]), **change))  # type: ignore[arg-type]


def test_distorted_frames_are_rectified_first() -> None:
    bent = Camera(160, 120, CAMERA.K, np.array([0.1, -0.2, 0.001, 0.0, 0.05]), "plumb_bob")
    one, other = (TsdfVolume(FusionConfig(min_weight=1, **SMALL)) for _ in range(2))
    frame = render(sphere, VIEWS[0], bent)
    one.integrate(frame)
    other.integrate(rectify(frame))
    np.testing.assert_array_equal(one.extract().points, other.extract().points)
    # Nearest depth at the sphere's rim is off by a pixel; elsewhere the surface is where it is.
    assert np.median(np.abs(np.linalg.norm(one.extract().points, axis=1) - RADIUS_M)) < 0.004


def test_memory_stays_bounded_and_old_places_are_forgotten_cleanly() -> None:
    volume = TsdfVolume(FusionConfig(max_blocks=300, min_weight=1))
    views = []
    for x in np.arange(0, 12, 1.0):
        T = looking_at_origin((0.1, 0.2, 1.2))
        T[0, 3] += x
        views.append(T)
    for T in views:
        volume.integrate(render(floor, T))
        assert volume.block_count <= 300
        cloud = volume.extract()
        assert np.abs(cloud.points[:, 2]).max() < 0.02
        volume._grid.changed[:] = True  # read everything anew: nothing is left of what lay beside a forgotten block
        np.testing.assert_array_equal(volume.extract().points, cloud.points)
    assert volume._grid.capacity <= 300 + 512
    assert cloud.points[:, 0].min() > 4  # the start is forgotten
    assert cloud.points[:, 0].max() > 11  # the present is there
    fresh = TsdfVolume(FusionConfig(max_blocks=300, min_weight=1))
    for T in views[:1] * 2:
        volume.integrate(render(floor, T))
        fresh.integrate(render(floor, T))
    # Back at the start: memory that was used before holds nothing of what it held.
    again, expected = volume.extract(), fresh.extract()
    back = again.points[:, 0] < 1.0
    np.testing.assert_allclose(again.points[back], expected.points[expected.points[:, 0] < 1.0])


def test_one_frame_beyond_the_bound_is_refused() -> None:
    volume = TsdfVolume(FusionConfig(max_blocks=100, voxel_size_m=0.01, min_weight=1))
    with pytest.raises(InputError, match=r"one frame touches \d+ blocks of 0\.08 m, more than max_blocks = 100"):
        volume.integrate(render(floor, VIEWS[0]))
    assert volume.block_count == 0


def test_a_device_that_is_not_there_is_an_error() -> None:
    missing = o3d.core.cuda.device_count()
    with pytest.raises(DeviceError, match=f"cuda:{missing}, but this Open3D finds {missing} CUDA devices"):
        TsdfVolume(FusionConfig(device=f"cuda:{missing}"))


@pytest.mark.gpu
@pytest.mark.skipif(not o3d.core.cuda.is_available(), reason="no CUDA device, or an Open3D without CUDA")
def test_cuda_gives_the_cloud_of_the_cpu() -> None:
    here, there = fused(sphere, device="cpu"), fused(sphere, device="cuda:0")
    assert abs(len(there) - len(here)) <= 0.001 * len(here)
    assert np.quantile(cKDTree(here.points).query(there.points)[0], 0.999) < 1e-4


def test_blocks_copied_from_a_device_give_the_same_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    in_place = fused(sphere, VIEWS[:3])
    monkeypatch.setattr(BlockGrid, "read", lambda self, rows: self._fetch(self._buffers_around(rows)))
    np.testing.assert_array_equal(fused(sphere, VIEWS[:3]).points, in_place.points)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"min_depth_m = 5 must be below max_depth_m = 4"):
        TsdfVolume(FusionConfig(min_depth_m=5))
    with pytest.raises(ConfigError, match="device"):
        FusionConfig.build({"device": "gpu"})


def test_real_kitchen_lies_on_its_reference(shared_data: Path) -> None:
    kitchen = shared_data / "kitchen"
    camera = Camera(640, 480, np.loadtxt(kitchen / "intrinsics.txt"))
    volume = TsdfVolume(FusionConfig(max_depth_m=3.5, max_blocks=5000))
    for i in range(20):
        volume.integrate(
            RgbdFrame(
                np.asarray(Image.open(kitchen / f"depth/{i:06d}.png")).astype(np.float32) / 1000,
                camera,
                np.asarray(Image.open(kitchen / f"color/{i:06d}.jpg")).astype(np.float32) / 255,
                np.loadtxt(kitchen / f"pose/{i:06d}.txt"),
                "map",
            )
        )
    cloud = volume.extract()
    reference = np.asarray(o3d.io.read_point_cloud(str(kitchen / "cloud_2cm.ply")).points)
    distance_m = cKDTree(reference).query(cloud.points)[0]
    assert len(cloud) > 20_000
    assert distance_m.mean() < 0.02
    assert (distance_m < 0.02).mean() > 0.8
