from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seg3d_core.data import atomic
from seg3d_core.data.cloud_files import read_labelled
from seg3d_core.data.scenes import SceneCloud, SceneFolder, SceneWriter, find_scene_folders
from seg3d_core.data.scenes.check import check_scene
from seg3d_core.data.scenes.id_images import MASK_NONE, read_id_image, write_id_image
from seg3d_core.data.sequences import open_sequence
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import Cloud, RgbdFrame

CAMERA = Camera(8, 6, np.array([[10.0, 0, 3.5], [0, 10.0, 2.5], [0, 0, 1]]))
UP = np.array([0.0, 0.0, 1.0])


def frame(number: int = 0, camera: Camera = CAMERA) -> RgbdFrame:
    depth_m = np.full((camera.height, camera.width), 1.0 + number / 10, np.float32)
    depth_m[0, 0], depth_m[0, 1] = 0, 70.0
    rgb = np.full((*depth_m.shape, 3), 0.2, np.float32)
    T_world_camera = np.eye(4)
    T_world_camera[0, 3] = number / 3
    return RgbdFrame(depth_m, camera, rgb, T_world_camera, "map", 10**18 + number)


def ids(number: int) -> np.ndarray:
    image = np.full((6, 8), number, np.int32)
    image[0] = -1
    return image


def scene_cloud() -> SceneCloud:
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    instances, parts = np.array([1, 2, -1, 2], np.int32), np.array([1, 3, -1, 2], np.int32)
    cloud = Cloud(points, np.full((4, 3), 0.2, np.float32), None, "map", 7)
    return SceneCloud(cloud, np.array([0, 0, 1, 1], np.int32), instances, parts, {1: "floor", 2: "mug"})


def make_scene(path: Path, frames: int = 2, **about: Any) -> SceneFolder:
    with SceneWriter(path, {"source": "test"}) as writer:
        for number in range(frames):
            writer.add(f"f{number}", frame(number), instance_ids=ids(2), part_ids=ids(3))
        writer.skip("lost", "no pose")
        return writer.finish(
            scene_cloud(), UP, **{"name": path.name, "source": "test", "layout": "test", "structure_ids": (1,), **about}
        )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    make_scene(tmp_path / "a")
    scene = SceneFolder.open(tmp_path / "a")
    assert (scene.name, scene.frame_count, scene.structure_ids) == ("a", 2, frozenset({1}))
    assert scene.up.tolist() == [0, 0, 1]
    assert [(one.frame, one.reason) for one in scene.description.skipped] == [("lost", "no pose")]
    read = scene.frame(1)
    assert read.camera.identity == CAMERA.identity
    assert read.T_world_camera is not None and read.T_world_camera[0, 3] == 1 / 3
    assert (read.frame_id, read.stamp_ns) == ("map", 10**18 + 1)
    assert read.depth_m[1, 1] == np.float32(1.1)
    # 70 m does not fit into 16 bits of millimetres and is no return.
    assert read.depth_m[0, :2].tolist() == [0, 0]
    np.testing.assert_allclose(read.rgb, 0.2, atol=2 / 255)
    assert scene.true_ids(0, "instance").tolist() == ids(2).tolist()
    assert scene.true_ids(1, "part").tolist() == ids(3).tolist()
    cloud = scene.cloud()
    assert cloud.labelled.instance_id.tolist() == [1, 2, -1, 2]
    assert cloud.part_id.tolist() == [1, 3, -1, 2]
    assert (cloud.superpoints.tolist(), cloud.names) == ([0, 0, 1, 1], {1: "floor", 2: "mug"})
    np.testing.assert_allclose(cloud.cloud.rgb, 0.2, atol=1e-6)
    assert list(check_scene(scene)) == []
    assert not list((tmp_path / "a").glob("*.jsonl"))


def test_frames_are_a_plain_sequence_and_the_cloud_a_labelled_one(tmp_path: Path) -> None:
    make_scene(tmp_path / "a")
    sequence = open_sequence(tmp_path / "a")
    assert (len(sequence), sequence.layout, sequence.up.tolist()) == (2, "plain", [0, 0, 1])
    labelled = read_labelled(tmp_path / "a" / "cloud.npz")
    assert labelled.instance_id.tolist() == [1, 2, -1, 2]
    assert labelled.names == {1: "floor", 2: "mug"}


def test_masks_come_later(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "a")
    assert scene.mask_ids("sam", 0) is None
    path = scene.mask_path("sam", 0)
    assert path == tmp_path / "a" / "masks" / "sam" / "000000.png"
    path.parent.mkdir(parents=True)
    masks = np.arange(48, dtype=np.int32).reshape(6, 8) - 1
    write_id_image(path, masks, MASK_NONE)
    assert scene.mask_ids("sam", 0).tolist() == masks.tolist()
    assert np.asarray(Image.open(path))[0, 0] == 65535
    assert scene.pseudo_path("stage1") == tmp_path / "a" / "pseudo" / "stage1.npz"
    assert pickle.loads(pickle.dumps(scene)).frame(0).stamp_ns == 10**18


def test_a_scene_without_truth_says_so(tmp_path: Path) -> None:
    with SceneWriter(tmp_path / "a", {}) as writer:
        writer.add("0", frame())
        scene = writer.finish(
            SceneCloud(scene_cloud().cloud, np.zeros(4, np.int32)), UP, name="a", source="test", layout="test"
        )
    assert scene.true_ids(0, "instance") is None
    assert not scene.cloud().has_truth
    with pytest.raises(InputError, match="no true instances"):
        _ = scene.cloud().labelled


def test_an_interrupted_scene_is_gone_on_with(tmp_path: Path) -> None:
    with SceneWriter(tmp_path / "a", {"every": 2}) as writer:
        writer.add("f0", frame(0))
        writer.skip("f1", "dark")
    with (tmp_path / "a" / "unfinished.jsonl").open("a") as journal:
        journal.write('{"frame": "f2", "ind')  # a kill cut the line
    with pytest.raises(InputError, match=r"begun with other settings \(every: 2, now 3\)"):
        SceneWriter(tmp_path / "a", {"every": 3})
    with pytest.raises(InputError, match=r"is not a \(complete\) scene folder"):
        SceneFolder.open(tmp_path / "a")
    with SceneWriter(tmp_path / "a", {"every": 2}) as writer:
        assert (writer.handled, writer.frame_count) == (frozenset({"f0", "f1"}), 1)
        assert writer.add("f2", frame(1)) == 1
        assert len(writer.sequence()) == 2
        scene = writer.finish(scene_cloud(), UP, name="a", source="s", layout="test")
    assert scene.frame_count == 2
    assert (tmp_path / "a" / "frames.txt").read_text().splitlines()[1:] == [
        "000000 f0 1000000000.000000000",
        "000001 f2 1000000000.000000001",
    ]


def test_one_process_at_a_time_writes(tmp_path: Path) -> None:
    with SceneWriter(tmp_path / "a", {}), pytest.raises(InputError, match="is being written by another process"):
        SceneWriter(tmp_path / "a", {})
    SceneWriter(tmp_path / "a", {}).close()


def test_what_a_writer_refuses(tmp_path: Path) -> None:
    make_scene(tmp_path / "a")
    with pytest.raises(InputError, match="is a finished scene"):
        SceneWriter(tmp_path / "a", {})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"not empty and no unfinished scene: it holds thesis\.tex"):
        SceneWriter(tmp_path / "b", {})
    with SceneWriter(tmp_path / "c", {}) as writer:
        with pytest.raises(InputError, match="no frame of the recording can be used"):
            writer.finish(scene_cloud(), UP, name="c", source="s", layout="test")
        writer.add("0", frame())
        with pytest.raises(InputError, match="1: 8x6 px, fx = 11 px; the scene's camera has 8x6 px, fx = 10 px"):
            writer.add("1", frame(camera=Camera(8, 6, CAMERA.K * [[1.1], [1], [1]])))
        with pytest.raises(InputError, match=r"ids 0\.\.0 do not fit, 1\.\.65534 are possible"):
            writer.add("1", frame(), instance_ids=np.zeros((6, 8), np.int32))
        with pytest.raises(InputError, match="a frame of a scene needs colour"):
            writer.add("1", RgbdFrame(frame().depth_m, CAMERA))


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SceneWriter(tmp_path / "a", {}) as writer:
        writer.add("0", frame())
        with monkeypatch.context() as patch:
            patch.setattr(Image.Image, "save", _no_space)
            with pytest.raises(InputError, match="No space left on device"):
                writer.add("1", frame(1))
        assert writer.frame_count == 1
        writer.add("1", frame(1))
        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", _no_space)
            with pytest.raises(InputError, match=r"cannot write .*cloud\.npz: No space left on device"):
                writer.finish(scene_cloud(), UP, name="a", source="s", layout="test")
        scene = writer.finish(scene_cloud(), UP, name="a", source="s", layout="test")
    assert list(check_scene(scene)) == []
    assert atomic.__name__ and not [file for file in (tmp_path / "a").rglob(".*") if file.is_file()]


def _no_space(*unused: object, **named: object) -> None:
    raise OSError(28, "No space left on device")


def test_damage_is_found(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "a", frames=3)
    (scene.path / "color" / "000001.jpg").write_bytes(b"\xff\xd8\xff not an image")
    (scene.path / "instance" / "000002.png").unlink()
    path = scene.mask_path("sam", 0)
    path.parent.mkdir(parents=True)
    write_id_image(path, np.zeros((5, 8), np.int32), MASK_NONE)
    faults = "\n".join(check_scene(scene))
    assert "000001.jpg has changed since the scene was made" in faults
    assert "000002.png is missing" in faults
    assert "masks/sam of frame 0 is (5, 8), expected (6, 8)" in faults
    assert "000001.jpg: cannot be read as an image" in faults


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{", "cannot read"),
        ({"format": 2}, "format 2, this program reads format 1"),
        ({"name": "a"}, "source: Field required"),
        ({"name": "a", "source": "", "layout": "", "frames": 1, "frame": 2}, "frame: Extra inputs are not permitted"),
    ],
)
def test_a_damaged_description_is_refused_in_words(tmp_path: Path, values: Any, message: str) -> None:
    (tmp_path / "scene.json").write_text(values if isinstance(values, str) else json.dumps(values))
    with pytest.raises(InputError, match=message):
        SceneFolder.open(tmp_path)


def test_damaged_clouds_and_id_images_are_refused_in_words(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "a")
    np.savez(tmp_path / "a" / "cloud.npz", points=np.zeros((3, 3), np.float32))
    with pytest.raises(InputError, match=r"cloud\.npz: no array superpoint"):
        scene.cloud()
    np.savez(tmp_path / "a" / "cloud.npz", points=np.zeros((3, 3), np.float32), superpoint=np.zeros(2, np.int32))
    with pytest.raises(InputError, match="3 points but 2 rows of superpoints"):
        scene.cloud()
    (tmp_path / "a" / "cloud.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="not a readable NumPy archive"):
        scene.cloud()
    Image.new("L", (8, 6)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="has mode L, expected one channel of 16 bits"):
        read_id_image(tmp_path / "x.png", 0)


def test_finding_scenes(tmp_path: Path) -> None:
    for name in ("b", "a"):
        make_scene(tmp_path / name)
    SceneWriter(tmp_path / "unfinished", {}).close()
    assert [scene.name for scene in find_scene_folders([tmp_path])] == ["a", "b"]
    assert [scene.name for scene in find_scene_folders([str(tmp_path / "b")])] == ["b"]
    with pytest.raises(InputError, match="a is given more than once"):
        find_scene_folders([tmp_path, tmp_path / "a"])
    with pytest.raises(InputError, match="holds no finished scene"):
        find_scene_folders([tmp_path / "unfinished"])
    with pytest.raises(InputError, match="is not there"):
        find_scene_folders([tmp_path / "gone"])
