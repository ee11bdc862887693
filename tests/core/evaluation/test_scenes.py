"""What scene names mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seg3d_core.data.cloud_files import write_labelled
from seg3d_core.data.pcd import write_pcd
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.evaluation import rooms
from seg3d_core.evaluation.osd import read_osd
from seg3d_core.evaluation.rooms import fused_room
from seg3d_core.evaluation.scenes import find_scenes
from seg3d_core.types import Cloud, LabelledCloud


def silent(share: float, words: str) -> None:
    assert 0 <= share <= 1


def write(path: Path, names: dict[int, str] | None = None) -> Path:
    points = np.random.default_rng(0).random((30, 3), np.float32)
    write_labelled(path, LabelledCloud(Cloud(points), np.repeat([1, 2, -1], 10).astype(np.int32), names or {}))
    return path


def test_a_folder_is_its_clouds_in_order(tmp_path: Path) -> None:
    for name in ("b.ply", "a.npz", "c.pcd"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no cloud")
    scenes = find_scenes([str(tmp_path), "room:3", "room:3:50"])
    assert [scene.name for scene in scenes] == [
        *(str(tmp_path / name) for name in ("a.npz", "b.ply", "c.pcd")), "room:3:200", "room:3:50",
    ]  # fmt: skip
    assert scenes[3].fingerprint() != scenes[4].fingerprint()
    assert scenes[1].load(silent).labelled.instance_id.tolist() == [1] * 10 + [2] * 10 + [-1] * 10


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    (scene,) = find_scenes([str(write(tmp_path / "a.npz"))])
    before = scene.fingerprint()
    write(tmp_path / "a.npz", {1: "floor"})
    assert scene.fingerprint() != before
    (tmp_path / "a.npz").unlink()
    with pytest.raises(InputError, match=r"a\.npz: No such file"):
        scene.fingerprint()


def test_background_is_known_by_name(tmp_path: Path) -> None:
    (scene,) = find_scenes([str(write(tmp_path / "a.npz", {1: "Floor", 2: "lamp"}))])
    assert scene.load(silent).background == {1}


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["gone.ply"], "gone.ply: no such file or folder"),
        (["room:x"], "a room is room:SEED or room:SEED:FRAMES"),
        (["room:1:1"], "1 frames, a camera path has at least 2"),
        (["room:1:100", "room:1:100"], "room:1:100: given more than once"),
        (["{tmp}"], "no .ply, .pcd, .npz and no scene folder in this folder"),
        (["osd:{tmp}"], "no .npz or .pcd files of the database"),
    ],
)
def test_names_without_meaning_are_refused(specs: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        find_scenes([spec.format(tmp=tmp_path) for spec in specs])


def write_mosd(path: Path, labels: list[int], field: str = "label") -> Path:
    rows = np.zeros(len(labels), [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4"), (field, "<u4")])
    rows["x"], rows["z"] = np.arange(len(labels)), 1.0
    rows["z"][np.array(labels) == 0] = np.nan
    rows[field] = labels
    path.parent.mkdir(exist_ok=True)
    write_pcd(path, rows)
    return path


def test_parts_of_an_object_in_mosd_are_one_instance(tmp_path: Path) -> None:
    write_mosd(tmp_path / "test" / "test0.pcd", [1, 0, 2, 20, 21, 35, 0, 110])
    (scene,) = find_scenes([f"osd:{tmp_path}"])
    truth = scene.load(silent)
    assert truth.labelled.instance_id.tolist() == [1, 1, 2, 2, 3, 11]
    assert truth.background == {1}
    assert truth.labelled.cloud.viewpoint is not None
    assert truth.labelled.cloud.viewpoint.tolist() == [0, 0, 0]


def test_up_is_the_normal_of_the_table_towards_the_camera(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    normal = np.array([0, -0.6, -0.8])
    flat = rng.uniform(-0.5, 0.5, (200, 3))
    points = (flat - np.outer(flat @ normal, normal) + (0, 0.1, 1)).astype(np.float32)
    write_labelled(tmp_path / "a.npz", LabelledCloud(Cloud(points), np.ones(200, np.int32), {}))
    (scene,) = find_scenes([f"osd:{tmp_path / 'a.npz'}"])
    truth = scene.load(silent)
    np.testing.assert_allclose(truth.up, normal, atol=1e-5)
    np.testing.assert_array_equal(truth.labelled.cloud.up, truth.up)


def test_a_pcd_without_labels_is_no_scene_of_the_database(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no field label"):
        read_osd(write_mosd(tmp_path / "a.pcd", [1, 20], "intensity"))


def test_real_scenes_of_the_database(shared_data: Path) -> None:
    scenes = find_scenes([f"osd:{shared_data / 'osd'}"])
    assert len(scenes) == 14
    truth = scenes[0].load(silent)
    assert truth.background == {1}
    assert set(np.unique(truth.labelled.instance_id)) == {1, 2, 3}
    # The camera looks down at the table: up is against its y axis.
    assert truth.up[1] < -0.5


def test_a_fused_room_has_its_objects_and_its_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "TRUTH_POINTS", 100_000)  # as many are a matter of accuracy and of seconds
    said: list[str] = []
    truth = fused_room(3, 3, lambda share, words: said.append(words))
    assert said == ["frame 1 of 3", "frame 2 of 3", "frame 3 of 3"]
    labelled = truth.labelled
    assert len(labelled.cloud) > 1000
    assert labelled.cloud.frame_id == "map"
    known = set(np.unique(labelled.instance_id[labelled.instance_id > 0]).tolist())
    assert known & truth.background
    assert known - truth.background
    assert known <= set(labelled.names)
