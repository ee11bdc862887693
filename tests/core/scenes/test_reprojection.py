from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from small_recordings import CAMERA, frame, poses

from seg3d_core.data.scenes.alignment import in_camera, is_one_view, register_depth
from seg3d_core.data.scenes.bag_topics import BagTopicsConfig
from seg3d_core.data.scenes.import_settings import ImportConfig
from seg3d_core.data.scenes.importing import import_scene, survey
from seg3d_core.data.scenes.reprojection import TOLERANCE, Probe, measure_agreement
from seg3d_core.data.scenes.reprojection_kernels import compare
from seg3d_core.data.scenes.seven_scenes import SevenScenesRecording
from seg3d_core.data.scenes.sources import open_recordings
from seg3d_core.data.scenes.uprightness import estimate_up, turned_upright
from seg3d_core.data.scenes.writer import matrix_text
from seg3d_core.data.sequences import open_sequence
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import invert
from seg3d_core.types import RgbdFrame

CONFIG = ImportConfig.build({"every": 10, "fusion": {"voxel_size_m": 0.1, "max_blocks": 2000}})


def plain_compare(points: np.ndarray, T: np.ndarray, K: np.ndarray, depth_m: np.ndarray) -> tuple[int, int, int]:
    counts = [0, 0, 0]
    for x, y, z in points.astype(np.float64) @ T[:3, :3].T + T[:3, 3]:
        if z <= 0.1:
            continue
        column, row = (int(np.floor(value + 0.5)) for value in (K @ [x / z, y / z, 1])[:2])
        around = depth_m[row - 1 : row + 2, column - 1 : column + 2] if min(row, column) >= 1 else np.zeros((0, 0))
        if around.shape != (3, 3) or around[1, 1] == 0:
            continue
        around = around[around > 0]
        counts[0] += 1
        if np.abs(around - z).min() <= TOLERANCE[0] + TOLERANCE[1] * z * z:
            counts[1] += 1
        elif z < around.min():
            counts[2] += 1
    return counts[0], counts[1], counts[2]


def test_comparing_is_what_the_plain_loop_counts() -> None:
    one, other = (Probe.of(frame(pose)) for pose in poses()[:2])
    rng = np.random.default_rng(0)
    points = one.points[rng.permutation(len(one.points))[:400]] + rng.normal(0, 0.1, (400, 3)).astype(np.float32)
    depth_m = other.depth_m.copy()
    depth_m[rng.random(depth_m.shape) < 0.2] = 0
    T = invert(other.T_world_camera)
    counts = compare(points, T, other.camera.K, depth_m, TOLERANCE)
    assert counts == plain_compare(points, T, other.camera.K, depth_m)
    assert min(counts) > 20


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_moving_the_world_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.random(random_state=seed).as_matrix(), rng.uniform(-5, 5, 3)
    frames = [frame(pose) for pose in poses()[:3]]
    moved = [RgbdFrame(one.depth_m, CAMERA, None, T @ one.T_world_camera) for one in frames]
    before, after = (measure_agreement([Probe.of(one) for one in some]) for some in (frames, moved))
    assert [one.neighbours for one in before] == [one.neighbours for one in after] == [2, 2, 2]
    assert max(abs(a.contradiction - b.contradiction) for a, b in zip(before, after, strict=True)) < 0.01


def test_frames_without_common_sight_are_not_judged() -> None:
    away = poses()[0].copy()
    away[:3, 3] += 100
    found = measure_agreement(
        [Probe.of(frame(poses()[0])), Probe.of(RgbdFrame(frame(poses()[0]).depth_m, CAMERA, None, away))]
    )
    assert [one.neighbours for one in found] == [0, 0]
    assert all(np.isnan(one.contradiction) for one in found)
    assert measure_agreement([Probe.of(frame(poses()[0]))])[0].neighbours == 0


def test_a_shifted_pose_of_the_kitchen_is_found(shared_data: Path) -> None:
    """Measured over ten frames a second and a third apart: shifts of 20 cm and turns of 10 degrees."""
    (recording,) = open_recordings(shared_data / "kitchen", BagTopicsConfig.build({}))
    frames = [recording.depth_frame(number) for number in range(0, 100, 10)]
    probes = [Probe.of(one) for one in frames]
    sound = [one.contradiction for one in measure_agreement(probes)]
    assert max(sound) < 0.1
    rng = np.random.default_rng(0)
    for number in (1, 4, 8):
        axis = rng.normal(size=3)
        T = frames[number].T_world_camera.copy()
        T[:3, 3] += 0.2 * axis / np.linalg.norm(axis)
        turned = frames[number].T_world_camera.copy()
        turned[:3, :3] = Rotation.from_rotvec(np.radians(10) * axis / np.linalg.norm(axis)).as_matrix() @ turned[:3, :3]
        for pose in (T, turned):
            wrong = Probe.of(RgbdFrame(frames[number].depth_m, frames[number].camera, None, pose))
            found = measure_agreement([*probes[:number], wrong, *probes[number + 1 :]])
            assert found[number].contradiction > CONFIG.max_contradiction
            assert max(one.contradiction for i, one in enumerate(found) if i != number) < CONFIG.max_contradiction
    up = estimate_up(probes)
    assert np.degrees(np.arccos(up @ recording.up)) < 4
    for factor in (0.67, 1.5):
        scaled = [Probe.of(replace(one, depth_m=one.depth_m * np.float32(factor))) for one in frames]
        assert np.median([one.contradiction for one in measure_agreement(scaled)]) > CONFIG.max_median


def test_the_kitchen_is_imported(shared_data: Path, tmp_path: Path) -> None:
    for name in ("color", "depth", "pose"):
        (tmp_path / "kitchen" / name).mkdir(parents=True)
        for number in range(0, 100, 20):
            file = next((shared_data / "kitchen" / name).glob(f"{number:06}.*"))
            shutil.copy(file, tmp_path / "kitchen" / name / file.name)
    for name in ("intrinsics.txt", "gravity_direction.txt"):
        shutil.copy(shared_data / "kitchen" / name, tmp_path / "kitchen" / name)
    pose = np.loadtxt(tmp_path / "kitchen" / "pose" / "000040.txt")
    pose[:3, 3] += [0.2, 0.2, 0.2]
    (tmp_path / "kitchen" / "pose" / "000040.txt").write_text(matrix_text(pose))
    config = ImportConfig.build({**CONFIG.model_dump(), "every": 1})
    (recording,) = open_recordings(tmp_path / "kitchen", config.bag)
    scene = import_scene(recording, tmp_path / "scene", "kitchen", config)
    assert (scene.frame_count, scene.description.up_from) == (4, "data")
    assert [one.frame for one in scene.description.skipped] == ["000040"]
    original = open_sequence(shared_data / "kitchen", registration_frames=0)
    np.testing.assert_array_equal(scene.frame(1).depth_m, original[20].depth_m)
    np.testing.assert_array_equal(scene.frame(1).rgb, original[20].rgb)
    # z is up: the cloud's lowest big level surface, the floor, lies a person's height below the cameras.
    heights = scene.cloud().cloud.points[:, 2] - scene.frame(0).T_world_camera[2, 3]
    assert -2.0 < np.percentile(heights, 1) < -0.7


def test_seven_scenes_depth_is_registered_with_its_calibration(shared_data: Path, tmp_path: Path) -> None:
    kitchen, seq = shared_data / "kitchen", tmp_path / "seq-01"
    seq.mkdir()
    for number in (0, 50):
        picture = kitchen / "color" / f"{number:06}.jpg"
        shutil.copy(picture, seq / f"frame-{number:06}.color.png")
        shutil.copy(kitchen / "depth_raw" / f"{number:06}.png", seq / f"frame-{number:06}.depth.png")
        shutil.copy(kitchen / "pose_depth" / f"{number:06}.txt", seq / f"frame-{number:06}.pose.txt")
    shutil.copy(kitchen / "intrinsics.txt", seq / "intrinsics_color.txt")
    shutil.copy(kitchen / "intrinsics_depth.txt", seq / "intrinsics_depth.txt")
    shutil.copy(kitchen / "T_depth_to_color.txt", seq / "T_color_depth.txt")
    recording, registered = SevenScenesRecording(seq), open_sequence(kitchen, registration_frames=0)
    for row, number in enumerate((0, 50)):
        ours, theirs = recording.depth_frame(row), registered[number]
        both = (ours.depth_m > 0) & (theirs.depth_m > 0)
        assert both.sum() > 0.9 * (theirs.depth_m > 0).sum()
        assert (np.abs(ours.depth_m - theirs.depth_m)[both] < 0.02).mean() > 0.97
        np.testing.assert_allclose(ours.T_world_camera, theirs.T_world_camera, atol=2e-3)


def test_registering_depth_by_hand() -> None:
    wide = Camera(4, 1, np.array([[2.0, 0, 1.5], [0, 2.0, 0], [0, 0, 1]]))
    T = np.eye(4)
    T[0, 3] = 0.5  # the other camera stands 0.5 m to the left: at 1 m that is one pixel
    depth_m = np.array([[1, 0, 1, 2]], np.float32)
    # The far return moves by half a pixel and covers both it falls between; the near one wins where they meet.
    assert register_depth(depth_m, wide, wide, T).tolist() == [[0, 1, 0, 1]]
    assert register_depth(depth_m, wide, wide, np.eye(4)).tolist() == depth_m.tolist()
    with pytest.raises(InputError, match="depth is 4x1 px but its camera is 80x60 px"):
        register_depth(depth_m, CAMERA, wide, T)


def test_changing_intrinsics_shows_what_the_other_camera_sees() -> None:
    pose = poses()[2]
    zoomed = Camera(80, 60, CAMERA.K * [[1.1], [1.1], [1]] - np.array([[0, 0, 3.95], [0, 0, 2.95], [0, 0, 0]]))
    ours, theirs = in_camera(frame(pose), zoomed), frame(pose, camera=zoomed)
    assert (np.abs(ours.depth_m - theirs.depth_m) < 0.05).mean() > 0.97
    assert not is_one_view(CAMERA, Camera(80, 60, CAMERA.K * [[1.5], [1.5], [1]]))
    assert is_one_view(CAMERA, CAMERA.resized(160, 120))


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_turning_upright_turns_up_to_z(seed: int) -> None:
    up = np.random.default_rng(seed).normal(size=3)
    up /= np.linalg.norm(up)
    np.testing.assert_allclose(turned_upright(up)[:3, :3] @ up, [0, 0, 1], atol=1e-9)


def test_up_is_found_in_any_world_and_refused_where_nothing_tells() -> None:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec([1.0, 2.0, 0.5]).as_matrix()
    probes = [Probe.of(RgbdFrame(frame(pose).depth_m, CAMERA, None, T @ pose)) for pose in poses()[:4]]
    assert np.degrees(np.arccos(estimate_up(probes) @ T[:3, 2])) < 1
    flip = np.diag([-1.0, -1, 1, 1])
    both = [probes[0], Probe(probes[0].depth_m, CAMERA, probes[0].T_world_camera @ flip, probes[0].points)]
    with pytest.raises(InputError, match="the cameras point all ways"):
        estimate_up(both)


def test_too_few_frames_to_survey(tmp_path: Path) -> None:
    from small_recordings import plain

    (recording,) = open_recordings(plain(tmp_path / "one", [frame(poses()[0])]), BagTopicsConfig.build({}))
    found = survey(recording, CONFIG)
    assert (found.good, found.agreements[0].neighbours) == ([0], 0)
