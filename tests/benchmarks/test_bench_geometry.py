from __future__ import annotations

from collections.abc import Callable

import numpy as np
import open3d as o3d
import pytest

from seg3d_core.config import FusionConfig
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import invert
from seg3d_core.geometry.tsdf import TsdfVolume
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.types import Cloud, RgbdFrame

CAMERA = Camera(640, 480, np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]]))
ROOM_M = np.array([5.0, 4.0, 2.6])


def turning(angle: float) -> np.ndarray:
    """In the middle of the room, looking level along ``angle``."""
    T = np.eye(4)
    cos, sin = np.cos(angle), np.sin(angle)
    T[:3, :3] = np.array([[sin, 0, cos], [-cos, 0, sin], [0, -1, 0]])
    T[:3, 3] = ROOM_M / 2 + (0.3 * cos, 0.3 * sin, 0)
    return T


def view(T: np.ndarray, stamp_ns: int = 0) -> RgbdFrame:
    """The walls of an empty room, with 10 % of the returns missing."""
    directions = CAMERA.rays().reshape(-1, 3).astype(np.float64) @ T[:3, :3].T
    with np.errstate(divide="ignore"):
        depth = np.maximum(-T[:3, 3] / directions, (ROOM_M - T[:3, 3]) / directions).min(axis=1)
    points = T[:3, 3] + directions * depth[:, None]
    generator = np.random.default_rng(stamp_ns)
    depth[generator.random(len(depth)) < 0.1] = 0
    rgb = (0.5 + 0.4 * np.sin(3 * points)).reshape(480, 640, 3).astype(np.float32)
    return RgbdFrame(depth.reshape(480, 640).astype(np.float32), CAMERA, rgb, T, "map", stamp_ns)


def plain_backproject(frame: RgbdFrame, min_depth_m: float, max_depth_m: float) -> Cloud:
    """The usual lines of numpy."""
    assert frame.rgb is not None and frame.T_world_camera is not None
    K = frame.camera.K
    v, u = np.indices(frame.depth_m.shape)
    z = frame.depth_m
    seen = (z >= min_depth_m) & (z <= max_depth_m)
    x, y = (u - K[0, 2]) / K[0, 0] * z, (v - K[1, 2]) / K[1, 1] * z
    points = np.stack([x, y, z], axis=-1)[seen] @ frame.T_world_camera[:3, :3].T + frame.T_world_camera[:3, 3]
    return Cloud(points.astype(np.float32), frame.rgb[seen], source_index=np.flatnonzero(seen).astype(np.int64))


def test_depth_and_colour_to_cloud(compare: Callable[..., None]) -> None:
    frame = view(turning(0.4))
    np.testing.assert_allclose(
        backproject(frame, 0.3, 4.0).points, plain_backproject(frame, 0.3, 4.0).points, atol=1e-5
    )
    compare(
        "depth + colour 640x480 to Cloud",
        lambda: backproject(frame, 0.3, 4.0),
        "plain numpy",
        lambda: plain_backproject(frame, 0.3, 4.0),
        at_least=5,
        bound="reads 8.6 MB (depth, colour, rays), writes 8.8 MB (points, colour, index); one pass",
    )


@pytest.mark.parametrize("order", ["in image order", "shuffled"])
def test_voxelize_300k_points(compare: Callable[..., None], order: str) -> None:
    points = np.concatenate([backproject(view(turning(angle)), 0.3, 6.0).points for angle in (0.0, 1.5)])[:300_000]
    if order == "shuffled":
        points = np.random.default_rng(0).permutation(points)
    compare(
        f"voxelize 300k points at 2 cm, {order}",
        lambda: voxelize(points, 0.02),
        "np.unique(axis=0)",
        lambda: np.unique(
            np.floor(points / np.float32(0.02)).astype(np.int32), axis=0, return_index=True, return_inverse=True
        ),
        at_least=10,
        bound="reads 3.6 MB, writes 6 MB; one probe per point into a hash table of 4 MB (L2/L3)",
    )


def open3d_volume(config: FusionConfig) -> o3d.t.geometry.VoxelBlockGrid:
    return o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight", "color"),
        attr_dtypes=(o3d.core.float32,) * 3,
        attr_channels=((1,), (1,), (3,)),
        voxel_size=config.voxel_size_m,
        block_resolution=8,
        block_count=config.max_blocks,
        device=o3d.core.Device("CPU:0"),
    )


def integrate_open3d(volume: o3d.t.geometry.VoxelBlockGrid, frame: RgbdFrame, config: FusionConfig) -> None:
    """As in Open3D's documentation."""
    assert frame.T_world_camera is not None
    depth, colour = (o3d.t.geometry.Image(o3d.core.Tensor(image)) for image in (frame.depth_m, frame.rgb))
    K, T_camera_world = o3d.core.Tensor(frame.camera.K), o3d.core.Tensor(invert(frame.T_world_camera))
    limits = (1.0, config.max_depth_m, config.truncation_voxels)
    blocks = volume.compute_unique_block_coordinates(depth, K, T_camera_world, *limits)
    volume.integrate(blocks, depth, colour, K, T_camera_world, *limits)


def test_fuse_and_extract_a_frame(compare: Callable[..., None]) -> None:
    """A camera that turns on the spot and has been round once: each frame changes a fifth of the map."""
    config = FusionConfig(max_depth_m=4.0)
    frames = [view(turning(0.2 * i), stamp_ns=i) for i in range(32)]
    ours, theirs = TsdfVolume(config), open3d_volume(config)
    turns = {"ours": 0, "theirs": 0}

    def next_frame(name: str) -> RgbdFrame:
        turns[name] += 1
        return frames[turns[name] % len(frames)]

    def step_ours() -> Cloud:
        ours.integrate(next_frame("ours"))
        return ours.extract()

    def step_theirs() -> object:
        integrate_open3d(theirs, next_frame("theirs"), config)
        return theirs.extract_point_cloud(config.min_weight - 0.5)

    for frame in frames + frames:
        ours.integrate(frame)
        integrate_open3d(theirs, frame, config)
    cloud = ours.extract()
    assert len(cloud) > 50_000
    compare(
        f"fuse 640x480 and extract, map of {len(cloud) // 1000}k points, {ours.block_count} blocks",
        step_ours,
        "Open3D VoxelBlockGrid",
        step_theirs,
        at_least=1.5,
        bound="fusion: 20 kB per block in view; extraction: 10 kB per block in or beside it; 36 B copied per point",
    )
