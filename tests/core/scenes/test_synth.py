from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seg3d_core.cli import main
from seg3d_core.data.labels import transfer_labels
from seg3d_core.data.rooms import STRUCTURE_IDS, make_room
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.data.scenes.check import check_scene
from seg3d_core.data.scenes.synth import make_scene
from seg3d_core.data.scenes.synth_camera import SynthCamera
from seg3d_core.data.scenes.synth_run import make_rooms, missing_rooms
from seg3d_core.data.scenes.synth_settings import SynthConfig
from seg3d_core.data.scenes.synth_views import plan_views
from seg3d_core.data.scenes.truth_votes import TruthVotes
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.geometry.camera import Camera

SMALL = SynthConfig.build(
    {"frames": 10, "width": 160, "height": 120, "fused_only": 14, "fused_width": 160, "fusion": {"voxel_size_m": 0.04}}
)
SEED = 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneFolder:
    folder = tmp_path_factory.mktemp("synth")
    assert list(make_rooms(folder, [SEED], SMALL, 1)) == [(SEED, None)]
    return SceneFolder.open(folder / "room_000003")


def test_a_synthetic_scene_is_whole(scene: SceneFolder) -> None:
    assert list(check_scene(scene)) == []
    assert (scene.frame_count, scene.structure_ids) == (10, STRUCTURE_IDS)
    description = scene.description
    assert (description.source, description.layout, description.seed) == ("room:3", "synth", 3)
    assert description.instance_names[1] == "floor"
    assert set(description.part_owners.values()) == set(description.instance_names)


def test_ids_of_pixels_belong_together(scene: SceneFolder) -> None:
    owners = scene.description.part_owners
    shown: set[int] = set()
    for index in range(scene.frame_count):
        instances, parts = scene.true_ids(index, "instance"), scene.true_ids(index, "part")
        assert instances is not None and parts is not None
        pairs = np.unique(np.stack([instances.ravel(), parts.ravel()]), axis=1).T
        assert all(owners[part] == instance for instance, part in pairs.tolist() if part > 0)
        shown |= set(np.unique(instances).tolist())
    assert len(shown - STRUCTURE_IDS) >= 8


def test_the_cloud_has_the_truth_of_the_nearest_surface(scene: SceneFolder) -> None:
    cloud = scene.cloud()
    nearest = transfer_labels(make_room(SEED, SMALL.room).surface(200_000), cloud.cloud, 0.1)
    known = (cloud.instance_id > 0) & (nearest > 0)
    assert known.mean() > 0.9
    assert (cloud.instance_id == nearest)[known].mean() > 0.93
    owners = np.array([0, *(scene.description.part_owners[part] for part in sorted(scene.description.part_owners))])
    has_part = cloud.part_id > 0
    assert (owners[cloud.part_id[has_part]] == cloud.instance_id[has_part]).all()
    assert (has_part == (cloud.instance_id > 0)).all()
    assert np.unique(cloud.superpoints).tolist() == list(range(cloud.superpoints.max() + 1))


def test_the_same_seed_gives_the_same_files(scene: SceneFolder, tmp_path: Path) -> None:
    short = SynthConfig.build({**SMALL.model_dump(), "frames": 2, "fused_only": 2})
    again = [make_scene(tmp_path / name, SEED, short).description for name in ("a", "b")]
    assert again[0].manifest == again[1].manifest
    assert again[0].manifest != scene.description.manifest


def test_views_are_of_all_kinds_and_clear_of_things() -> None:
    room = make_room(SEED, SMALL.room)
    plan = plan_views(room, 20, 0.3, 0.2, SEED)
    assert [len(poses) for poses in plan] == [10, 4, 6]
    eyes = np.concatenate(plan)[:, :3, 3]
    assert room.rays.distance_m(eyes.astype(np.float32)).min() > 0.2
    half = np.array([room.shell.length_m, room.shell.width_m]) / 2
    assert (np.abs(eyes[:, :2]) < half).all()
    assert [len(poses) for poses in plan_views(room, 2, 1.0, 0.0, SEED)] == [1, 0, 1]


def test_close_views_show_their_thing(scene: SceneFolder) -> None:
    room = make_room(SEED, SMALL.room)
    camera = SynthCamera(SMALL, SEED).camera(64)
    close = plan_views(room, 40, 0.5, 0.0, SEED).close
    shares = []
    for pose in close:
        _, instances = room.render(camera, pose, 0)
        counts = np.bincount(instances[instances > 0], minlength=10)
        counts[list(STRUCTURE_IDS)] = 0
        shares.append(counts.max() / instances.size)
    assert np.median(shares) > 0.15


def test_tracking_errors_are_as_large_as_asked_for() -> None:
    config = SynthConfig.build({"variety": {"drift_m": 0.02, "drift_deg": 1.0}})
    poses = np.broadcast_to(np.eye(4), (4000, 4, 4)).copy()
    recorded = SynthCamera(config, 0).drift(poses)
    assert recorded[:, :3, 3].std() == pytest.approx(0.02, rel=0.1)
    turns = np.degrees(np.arccos(np.clip((recorded[:, :3, 2] * [0, 0, 1]).sum(1), -1, 1)))
    assert np.sqrt((turns**2).mean()) == pytest.approx(np.sqrt(2), rel=0.15)
    steps = np.diff(recorded[:, 0, 3])
    assert steps.std() < 0.25 * recorded[:, 0, 3].std() * np.sqrt(2)
    still = SynthCamera(SynthConfig.build({"variety": {"drift_m": 0, "drift_deg": 0}}), 0)
    np.testing.assert_array_equal(still.drift(poses[:3]), poses[:3])


def test_votes_by_hand() -> None:
    camera = Camera(2, 1, np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1]]))
    # Two points straight ahead of the pixels, one hidden behind the first, one behind the camera.
    points = np.array([[0, 0, 1], [1, 0, 1], [0, 0, 2], [0, 0, -1]], np.float32)
    votes = TruthVotes(points, np.array([-1, 5, 5, 9], np.int32))
    depth_m = np.ones((1, 2), np.float32)
    for parts in ([1, 3], [2, 3], [2, -1], [3, 1], [3, -1]):
        votes.add(camera, np.eye(4), depth_m, np.array([parts], np.int32))
    instances, parts = votes.result()
    # Instance 5 has three votes (parts 1, 2, 2), instance 9 two: the part is one of the winner's.
    assert instances.tolist() == [5, 9, -1, -1]
    assert parts.tolist() == [2, 3, -1, -1]


def test_the_command_goes_on_and_refuses_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["frames=2", "width=64", "height=48", "fused_only=6", "fused_width=64", "fusion.voxel_size_m=0.08"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    command = ["data", "synth", "--to", str(tmp_path / "rooms"), "--workers", "1", *arguments]
    assert main([*command, "--rooms", "1"]) == 0
    made = (tmp_path / "rooms" / "room_000000" / "scene.json").stat().st_mtime_ns
    assert main([*command, "--rooms", "2"]) == 0
    assert "2 rooms in" in capsys.readouterr().out
    assert (tmp_path / "rooms" / "room_000000" / "scene.json").stat().st_mtime_ns == made
    assert main([*command, "--rooms", "2", "--frames", "3"]) == 2
    assert "room_000000 was made with other settings" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path / "rooms")]) == 0
    assert "room_000001: 2 frames, 0 skipped, sound" in capsys.readouterr().out
    (tmp_path / "rooms" / "room_000001" / "intrinsics.txt").unlink()
    assert main(["data", "check", str(tmp_path / "rooms")]) == 2


def test_a_room_that_cannot_be_made_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def make(path: Path, seed: int, config: SynthConfig) -> None:
        if seed == 1:
            raise ConfigError("too small")
        if seed == 3:
            raise InputError("disk full")
        made.append(seed)

    monkeypatch.setattr("seg3d_core.data.scenes.synth_run.make_scene", make)
    found = make_rooms(tmp_path, [0, 1, 2, 3, 4], SMALL, 1)
    assert [(seed, str(error or "")) for seed, error in (next(found), next(found), next(found))] == [
        (0, ""),
        (1, "too small"),
        (2, ""),
    ]
    with pytest.raises(InputError, match="disk full"):
        next(found)
    assert (made, missing_rooms(tmp_path, [0, 1], SMALL)) == ([0, 2], [0, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"close_share": 0.8, "free_share": 0.4}, "are more than 1 together"),
        ({"variety": {"min_fov_deg": 90}}, "min_fov_deg = 90 is greater than max_fov_deg = 70"),
        ({"widht": 3}, "unknown setting widht, did you mean width"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SynthConfig.build(settings)
