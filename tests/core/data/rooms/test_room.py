"""Rendering and ground truth of rooms."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.config import RoomConfig
from seg3d_core.data.labels import transfer_labels
from seg3d_core.data.rooms import STRUCTURE_IDS, Room, camera_path, make_room
from seg3d_core.data.rooms.shell import CEILING_ID, FLOOR_ID
from seg3d_core.data.rooms.walk import CLEARANCE_M, looking_at
from seg3d_core.errors import ConfigError
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import IGNORE

CAMERA = Camera(160, 120, np.array([[131.25, 0, 79.5], [0, 131.25, 59.5], [0, 0, 1]]))


@pytest.fixture(scope="module")
def room() -> Room:
    return make_room(1, RoomConfig())


def test_same_seed_same_bytes(room: Room) -> None:
    again = make_room(1, RoomConfig())
    for name in ("corners", "corner_normals", "triangle_instance", "triangle_part"):
        assert getattr(room, name).tobytes() == getattr(again, name).tobytes()
    T = camera_path(room, 3, 5)[1]
    (frame, ids), (frame_again, ids_again) = (one.render(CAMERA, T, 7) for one in (room, again))
    assert frame.depth_m.tobytes() == frame_again.depth_m.tobytes()
    assert frame.rgb is not None and frame_again.rgb is not None
    assert frame.rgb.tobytes() == frame_again.rgb.tobytes()
    assert ids.tobytes() == ids_again.tobytes()
    truth, truth_again = (one.surface(2000, 3) for one in (room, again))
    assert truth.cloud.points.tobytes() == truth_again.cloud.points.tobytes()


def test_another_seed_is_another_room(room: Room) -> None:
    assert make_room(2, RoomConfig()).corners.shape != room.corners.shape


def test_number_of_objects() -> None:
    config = RoomConfig()
    counts = [len(make_room(seed, config).object_ids) for seed in range(20)]
    assert min(counts) >= config.min_objects and max(counts) <= config.max_objects
    assert len(set(counts)) > 8


def test_settings_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no room of seed 0 holds 190 to 200 objects in 10 attempts"):
        make_room(0, RoomConfig(min_objects=190, max_objects=200, things_per_m2=0.0))


def test_ranges_upside_down_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"min_length_m = 6.0 is greater than max_length_m = 5.6"):
        make_room(0, RoomConfig(min_length_m=6.0))


@pytest.mark.parametrize("size_m", [3.0, 12.0])
def test_smallest_and_largest_rooms(size_m: float) -> None:
    sizes = dict.fromkeys(("min_length_m", "max_length_m", "min_width_m", "max_width_m"), size_m)
    room = make_room(0, RoomConfig.build({"min_objects": 5, "height_m": 2.4, **sizes}))
    assert room.rays.distance_m(camera_path(room, 60)[:, :3, 3].astype(np.float32)).min() > 0.2


def test_ids_names_and_parts_agree(room: Room) -> None:
    assert [one.instance_id for one in room.placed] == list(range(1, len(room.placed) + 1))
    assert room.names[FLOOR_ID] == "floor"
    owners = np.array([owner for owner, _ in room.part_names])
    np.testing.assert_array_equal(owners[room.triangle_part], room.triangle_instance)
    assert set(room.object_ids) | STRUCTURE_IDS == set(room.names)
    assert any(name == "leg 1" for _, name in room.part_names)


def test_depth_of_the_floor_is_exact(room: Room) -> None:
    """Looking down on the floor from height h, every floor pixel has depth h."""
    T = looking_at(np.array([0.0, 0.0, 2.0]), np.array([1e-6, 0.0, 0.0]))
    frame, ids = room.render(CAMERA, T, 0)
    assert (ids == FLOOR_ID).any()
    np.testing.assert_allclose(frame.depth_m[ids == FLOOR_ID], 2.0, atol=1e-5)


def test_nothing_outside(room: Room) -> None:
    T = looking_at(np.array([50.0, 0.0, 1.0]), np.array([60.0, 0.0, 1.0]))
    frame, ids = room.render(CAMERA, T, 5, "odom")
    assert (frame.depth_m == 0).all() and (ids == IGNORE).all()
    assert frame.rgb is not None and (frame.rgb == 0).all()
    assert (frame.frame_id, frame.stamp_ns) == ("odom", 5)


def test_a_wide_lens_without_inverse_sees_nothing_there(room: Room) -> None:
    fisheye = Camera(160, 120, CAMERA.K / np.array([[3], [3], [1]]), np.array([-0.4, 0.0, 0.0, 0.0]), "equidistant")
    frame, ids = room.render(fisheye, camera_path(room, 2)[0], 0)
    blind = np.isnan(fisheye.rays()).any(axis=2)
    assert (frame.depth_m[blind] == 0).all() and (ids[blind] == IGNORE).all()
    assert np.isfinite(frame.depth_m).all() and frame.rgb is not None and np.isfinite(frame.rgb).all()


def test_instance_image_agrees_with_the_surface_labels(room: Room) -> None:
    truth = room.surface(400_000, 0)
    for T in camera_path(room, 4):
        frame, ids = room.render(CAMERA, T, 0)
        cloud = backproject(frame, 0.1, 20.0)
        carried = transfer_labels(truth, cloud, 0.04)
        assert cloud.source_index is not None
        seen = ids.reshape(-1)[cloud.source_index]
        known = carried != IGNORE
        assert known.mean() > 0.98
        # Neighbouring objects touch: a few samples lie nearer to the other one.
        assert (carried == seen)[known].mean() > 0.95


def test_surface_lies_on_the_triangles_and_can_be_seen(room: Room) -> None:
    truth = room.surface(20_000, 1)
    assert 4000 < len(truth.cloud) < 20_000
    assert room.rays.distance_m(truth.cloud.points).max() < 1e-4
    assert truth.cloud.normals is not None
    up = truth.cloud.normals[:, 2]
    assert (up[truth.instance_id == FLOOR_ID] > 0.99).all()
    assert (up[truth.instance_id == CEILING_ID] < -0.99).all()
    assert truth.names == room.names


def test_colours_are_varied(room: Room) -> None:
    frame, _ = room.render(CAMERA, camera_path(room, 2)[0], 0)
    assert frame.rgb is not None
    assert 0.2 < frame.rgb.mean() < 0.8
    assert frame.rgb.std() > 0.08


@pytest.mark.parametrize("seed", range(6))
def test_walk_is_smooth_clear_and_sees_the_furniture(seed: int) -> None:
    room = make_room(seed, RoomConfig())
    poses = camera_path(room, 240, seed)
    rotations, places = poses[:, :3, :3], poses[:, :3, 3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (240, 1, 1)), atol=1e-9)
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.10
    relative = rotations[:-1].transpose(0, 2, 1) @ rotations[1:]
    cosine = (np.trace(relative, axis1=1, axis2=2) - 1) / 2
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 6.0
    assert places[:, 2].min() > 1.2 and places[:, 2].max() < 1.7
    assert room.rays.distance_m(places.astype(np.float32)).min() > CLEARANCE_M
    seen: set[int] = set()
    for T in poses[::12]:
        ids, counts = np.unique(room.render(CAMERA, T, 0)[1], return_counts=True)
        seen |= set(ids[counts >= 20].tolist())
    assert len(seen & set(room.object_ids)) > 0.6 * len(room.object_ids)


def test_walk_of_one_frame(room: Room) -> None:
    assert camera_path(room, 1).shape == (1, 4, 4)
