from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_recordings import CAMERA, FRAMES, LAYOUTS, frame, plain, poses, seven_scenes

from seg3d_core.cli import main
from seg3d_core.data.bag_writer import BagWriter
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.data.scenes.bag_topics import BagTopicsConfig
from seg3d_core.data.scenes.check import check_scene
from seg3d_core.data.scenes.import_settings import ImportConfig
from seg3d_core.data.scenes.importing import chosen_frames, import_scene, survey
from seg3d_core.data.scenes.recordings import Recording
from seg3d_core.data.scenes.sens import SensFile
from seg3d_core.data.scenes.sources import open_recordings
from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import invert
from seg3d_core.types import RgbdFrame

CONFIG = ImportConfig.build({"fusion": {"voxel_size_m": 0.08, "max_blocks": 2000}})
QUICK = ["--set", "fusion.voxel_size_m=0.08", "--set", "fusion.max_blocks=2000"]


@pytest.fixture(scope="module")
def frames() -> list[RgbdFrame]:
    return [frame(pose, number) for number, pose in enumerate(poses())]


def open_one(path: Path) -> Recording:
    (recording,) = open_recordings(path, BagTopicsConfig.build({}))
    return recording


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_frames(layout: str, tmp_path: Path, frames: list[RgbdFrame]) -> None:
    recording = open_one(LAYOUTS[layout](tmp_path / "source" / "walk", frames))
    found = survey(recording, CONFIG)
    assert (recording.layout, found.good, found.bad) == (layout, list(range(FRAMES)), {})
    assert max(one.contradiction for one in found.agreements.values()) < 0.05
    up = frames[0].T_world_camera[:3, :3].T @ [0, 0, 1] if layout == "7-scenes" else np.array([0, 0, 1])
    assert np.degrees(np.arccos(min(found.up @ up, 1))) < 2
    read = recording.read(3).frame
    assert np.median(np.abs(read.depth_m - frames[3].depth_m)) < 0.02
    assert np.median(np.abs(read.rgb - frames[3].rgb)) < 0.06
    stamps = [recording.depth_frame(number).stamp_ns for number in range(FRAMES)]
    assert stamps == sorted(set(stamps))


def test_an_import_from_the_command_line(
    tmp_path: Path, frames: list[RgbdFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    source = seven_scenes(tmp_path / "office", frames)
    command = ["data", "import", str(source), "--to", str(tmp_path / "scenes"), *QUICK]
    assert main(command) == 0
    assert "office-seq-01: 8 frames, 0 skipped" in capsys.readouterr().out
    scene = SceneFolder.open(tmp_path / "scenes" / "office-seq-01")
    assert list(check_scene(scene)) == []
    assert (scene.description.layout, scene.description.up_from) == ("7-scenes", "estimated")
    # The world is upright again: the floor is level and 1.4 m below the cameras.
    points, eye = scene.cloud().cloud.points, scene.frame(0).T_world_camera[:3, 3]
    assert np.percentile(points[:, 2], 2) - eye[2] == pytest.approx(-1.4, abs=0.1)
    assert scene.cloud().superpoints.max() > 3
    assert main(command) == 0
    assert "office-seq-01: is there" in capsys.readouterr().out
    assert main([*command, "--set", "every=2"]) == 2
    assert "was made with other settings" in capsys.readouterr().err
    assert main(["data", "import", str(tmp_path / "gone"), "--to", str(tmp_path / "scenes")]) == 2
    assert "gone is not there" in capsys.readouterr().err


def test_what_is_wrong_with_frames_is_said(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    folder = plain(tmp_path / "walk", frames)
    (folder / "pose" / "1.txt").write_text("-inf " * 16)
    (folder / "depth" / "2.png").write_bytes((folder / "depth" / "2.png").read_bytes()[:200])
    Image.fromarray(np.zeros((60, 80), np.uint16)).save(folder / "depth" / "3.png")
    (folder / "color" / "4.png").write_bytes(b"\x89PNG broken")
    Image.fromarray(np.full((30, 40), 1000, np.uint16)).save(folder / "depth" / "5.png")
    scene = import_scene(open_one(folder), tmp_path / "scene", "walk", CONFIG)
    assert scene.frame_count == 3
    reasons = {one.frame: one.reason for one in scene.description.skipped}
    assert set(reasons) == {"1", "2", "3", "4", "5"}
    assert reasons["1"] == "no pose: it holds inf or NaN, tracking was lost"
    assert "2.png: cannot be read as an image" in reasons["2"]
    assert reasons["3"] == "depth on 0.0% of its pixels, at least 2.0% is needed"
    assert "4.png: cannot be read as an image" in reasons["4"]
    assert reasons["5"] == "depth_m is 40x30 px but the camera is 80x60 px"


def test_a_wrong_pose_is_found_and_left_out(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    wrong = frames[3].T_world_camera.copy()
    wrong[:3, 3] += [0.3, 0.1, 0]
    recording = open_one(plain(tmp_path / "walk", [*frames[:3], replace(frames[3], T_world_camera=wrong), *frames[4:]]))
    found = survey(recording, CONFIG)
    assert list(found.bad) == [3]
    assert "contradicts its neighbours" in found.bad[3]


def test_a_wrong_convention_is_refused(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    """OpenGL's axes, and poses that map the other way round."""
    flip = np.diag([1.0, -1, -1, 1])
    for name, turn in (("opengl", lambda T: T @ flip), ("inverse", invert)):
        turned = [replace(one, T_world_camera=turn(one.T_world_camera)) for one in frames]
        with pytest.raises(InputError, match=r"frames contradict each other: .* at most 20% is allowed: the poses"):
            survey(open_one(plain(tmp_path / name, turned)), CONFIG)


def test_an_interrupted_import_goes_on(
    tmp_path: Path, frames: list[RgbdFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = open_one(plain(tmp_path / "walk", frames))
    with monkeypatch.context() as patch:
        patch.setattr("seg3d_core.data.scenes.importing.fuse", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            import_scene(recording, tmp_path / "scene", "walk", CONFIG)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "scene" / "depth").iterdir()}
    assert len(before) == FRAMES
    scene = import_scene(recording, tmp_path / "scene", "walk", CONFIG)
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "scene" / "depth").iterdir()}
    # Colour files of the frame's size are kept byte for byte.
    assert scene.colour_path(2).read_bytes() == (tmp_path / "walk" / "color" / "2.png").read_bytes()


def _interrupt(*unused: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("count", "every", "most", "numbers"),
    [(5, 1, 0, [0, 1, 2, 3, 4]), (5, 2, 0, [0, 2, 4]), (9, 2, 3, [0, 4, 8]), (3, 1, 10, [0, 1, 2]), (4, 9, 1, [0])],
)
def test_choosing_frames(count: int, every: int, most: int, numbers: list[int]) -> None:
    assert chosen_frames(count, every, most) == numbers


def test_a_cut_off_sens_file_gives_the_frames_that_are_whole(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    lost = frames[1].T_world_camera * np.nan
    path = LAYOUTS["sens"](tmp_path, [frames[0], replace(frames[1], T_world_camera=lost), *frames[2:]])
    path.write_bytes(path.read_bytes()[:-50])
    recording = open_one(path)
    assert recording.frames == ("000000", "000002", "000003", "000004", "000005", "000006")
    assert dict(recording.left_out) == {
        "000001": "no pose: it holds inf or NaN, tracking was lost",
        "000007 to 000007": "the file is truncated: 7 of 8 frames are whole",
    }
    data = path.read_bytes()
    for cut, message in ((60, "truncated in its header"), (320, "truncated: none of 8 frames is whole")):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError, match=message):
            SensFile.open(path)
    path.write_bytes(b"PK\3\4" + data)
    with pytest.raises(InputError, match="it begins with version 67324752"):
        SensFile.open(path)


def test_damaged_images_in_a_sens_file(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    path = LAYOUTS["sens"](tmp_path, frames[:1])
    file = SensFile.open(path)
    data = bytearray(path.read_bytes())
    data[file.frames[0].depth[0] + 5] ^= 0xFF
    data[file.frames[0].colour[0] + 1] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="depth image 0 is damaged"):
        file.depth_m(0)
    with pytest.raises(InputError, match="colour image 0 is damaged"):
        file.rgb(0, 80, 60)


def test_scannetpp_frames_without_images_are_named(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    path = LAYOUTS["scannet++"](tmp_path, frames[:2])
    recording = open_one(path)
    assert dict(recording.left_out) == {"frame_000099": "there is no rgb/frame_000099.jpg"}
    records = json.loads((path / "iphone/pose_intrinsic_imu.json").read_text())
    records["frame_000001"] = {"pose": 0}
    (path / "iphone/pose_intrinsic_imu.json").write_text(json.dumps(records))
    assert dict(open_one(path).left_out)["frame_000001"] == "no aligned_pose and intrinsic: 'aligned_pose'"


def test_missing_intrinsics_are_no_guess(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    folder = plain(tmp_path / "walk", frames[:2])
    (folder / "intrinsics.txt").unlink()
    with pytest.raises(InputError, match=r"cannot read .*intrinsics\.txt"):
        open_one(folder)
    folder = LAYOUTS["replica"](tmp_path / "room" / "office", frames[:2])
    (tmp_path / "room" / "cam_params.json").unlink()
    with pytest.raises(InputError, match="the intrinsics are not known"):
        open_one(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no recording that is known: plain .*; found nothing"):
        open_one(tmp_path / "empty")


def test_a_bag_without_a_camera_says_what_it_has(tmp_path: Path, shared_data: Path) -> None:
    for storage in ("db3", "mcap"):
        with pytest.raises(InputError, match=r"no topic of depth images by its name; .*bag\.depth_topic=.*/tf \(tf2"):
            open_one(shared_data / "bags" / f"jsk_watercan_{storage}")
    with BagWriter(tmp_path / "empty") as writer:
        writer.topic("/tf", "tf2_msgs/msg/TFMessage")
    with pytest.raises(InputError, match="no messages at all"):
        open_one(tmp_path / "empty")


def test_a_bag_whose_poses_are_in_no_usual_frame(tmp_path: Path, frames: list[RgbdFrame]) -> None:
    path = LAYOUTS["rosbag2"](tmp_path / "walk", frames[:2])
    with pytest.raises(InputError, match="there is no frame map, the nearest name is"):
        open_recordings(path, BagTopicsConfig.build({"fixed_frame": "map"}))
    with pytest.raises(InputError, match="has no messages on topic /left/depth"):
        open_recordings(path, BagTopicsConfig.build({"depth_topic": "/left/depth"}))
    assert CAMERA.identity == open_one(path).read(0).frame.camera.identity
