"""The demo as its user runs it: own processes, real DDS, results on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytestmark = pytest.mark.ros

from demo_runs import figures, run_demo  # noqa: E402
from PIL import Image  # noqa: E402

from seg3d_core.data.bags import read_bag  # noqa: E402
from seg3d_core.data.cloud_files import read_labelled  # noqa: E402
from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.types import Cloud  # noqa: E402
from seg3d_ros.demo.__main__ import main as demo  # noqa: E402
from seg3d_ros.demo.observer import Result  # noqa: E402
from seg3d_ros.demo.options import DemoOptions, parse_options  # noqa: E402
from seg3d_ros.demo.table import age_rows  # noqa: E402
from seg3d_ros.source_node import SourceConfig  # noqa: E402


def test_rendered_room_becomes_instances_on_disk(tmp_path: Path, domain_id: int):
    done = run_demo(tmp_path, domain_id, "--frames", "25", "--rate", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Segment3D with" in (tmp_path / "logs" / "scene_node.log").read_text()
    assert figures(done.stdout, "crashes") == [0]
    assert figures(done.stdout, "frames sent")[0] == 25
    ap, ap50, ap25, targets = figures(done.stdout, "AP / AP50 / AP25")[-4:]
    assert 0.1 < ap <= ap50 <= ap25 <= 1
    assert targets >= 3
    labelled = read_labelled(tmp_path / "instances.ply")
    assert len(labelled.cloud) > 5_000
    assert len(np.unique(labelled.instance_id[labelled.instance_id > 0])) >= 5
    with Image.open(tmp_path / "instances.png") as picture:
        assert np.asarray(picture).std() > 10
    topics = {message.topic for message in read_bag(tmp_path / "recording")}
    assert {"/scene_node/instance_cloud", "/scene_node/markers", "/fusion_node/cloud"} <= topics


@pytest.mark.slow
def test_same_recording_gives_the_same_ids_twice(tmp_path: Path, domain_id: int):
    runs = []
    for name in ("first", "second"):
        done = run_demo(tmp_path / name, domain_id, "--frames", "12", "--rate", "6", "--lossless", "--model", "graph")
        assert done.returncode == 0, done.stdout + done.stderr
        runs.append(read_labelled(tmp_path / name / "instances.ply"))
    np.testing.assert_array_equal(runs[0].cloud.points, runs[1].cloud.points)
    np.testing.assert_array_equal(runs[0].instance_id, runs[1].instance_id)


def test_what_cannot_be_played_is_said(tmp_path: Path, domain_id: int):
    done = run_demo(tmp_path / "out", domain_id, "--data", str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr


def test_without_torch_the_demo_says_that_it_shows_the_graph(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played: list[DemoOptions] = []

    def play(options: DemoOptions) -> None:
        played.append(options)
        raise ConfigError("enough")

    monkeypatch.setattr("seg3d_ros.demo.__main__.play", play)
    for found in (None, object()):
        monkeypatch.setattr("seg3d_ros.demo.__main__.find_spec", lambda name, found=found: found)
        assert demo([]) == 2
        assert demo(["--model", "nano"]) == 2
    assert [options.scene.get("model") for options in played] == ["graph", "nano", None, "nano"]
    assert (
        capsys.readouterr().out.count("PyTorch is not installed, so this is model graph; for nano: python -m pip") == 1
    )


def test_rounds_need_frames_that_are_stamped_anew() -> None:
    assert parse_options(["--rounds", "3", "--frames", "20"]).rounds == 3
    assert parse_options(["--data", "somewhere"]).rounds == 0
    for arguments in (["--frames", "20"], ["--lossless"], ["--click"], ["--bag", "somewhere"]):
        assert parse_options(arguments).rounds == 1
    for arguments in (["--rounds", "2", "--lossless"], ["--rounds", "2", "--bag", "somewhere"]):
        with pytest.raises(ConfigError, match="does not work with --lossless or --bag"):
            parse_options(arguments)
    with pytest.raises(ConfigError, match="--rounds 0: must be 1 or more"):
        parse_options(["--rounds", "0"])
    with pytest.raises(ConfigError, match="rounds = 2 with recorded stamps: time would go back"):
        SourceConfig.build({"rounds": 2, "restamp": False})
    with pytest.raises(ConfigError, match="rounds = 0 with recorded stamps: time would go back"):
        SourceConfig.build({"rounds": 0, "restamp": False})


def test_ages_by_quarter_leave_out_what_waited_for_a_camera_that_had_stopped() -> None:
    def result(number: int, age_s: float) -> Result:
        cloud = Cloud(np.zeros((1000 * number, 3), np.float32), stamp_ns=number)
        return Result(cloud, np.zeros(len(cloud), np.int32), np.zeros(len(cloud), np.float32), age_s)

    results = [result(number, 0.1 * number) for number in range(1, 9)] + [result(9, 5.0)]
    rows = dict(age_rows(results, {9}))
    assert rows["age on arrival"].startswith("0.45 s median")
    assert rows["age, by quarter of the run"] == "0.15 / 0.35 / 0.55 / 0.75 s median; last / second 2.14"
    assert rows["map, by quarter"] == "2 / 4 / 6 / 8 thousand points"
    assert age_rows(results[-1:], {9}) == []
