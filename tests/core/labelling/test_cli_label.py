from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from seg3d_core.cli import main
from seg3d_core.data.scenes import SceneFolder


def test_truth_of_a_folder_of_scenes(make_scene, capsys):
    folders = [make_scene("a", 2), make_scene("b", 1)]
    command = ["label", "frames", str(folders[0].parent), "--source", "truth", "--set", "truth.seed=4"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out == "3 frames labelled, 0 had masks before\n"
    assert "frames [####################] 3/3" in said.err
    assert SceneFolder.open(folders[1]).mask_ids("truth", 0).max() >= 0
    assert main(command) == 0
    assert capsys.readouterr().out == "0 frames labelled, 3 had masks before\n"


@pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="scikit-image is not installed")
def test_graph_is_the_default(scene, capsys):
    assert main(["label", "frames", str(scene), "--name", "mine", "--set", "every=2"]) == 0
    assert capsys.readouterr().out == "2 frames labelled, 0 had masks before\n"
    assert sorted(path.name for path in (scene / "masks" / "mine").glob("*.png")) == ["000000.png", "000002.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "thruth"], "seg3d: source = 'thruth': Input should be 'segment-anything', 'sam2', 'graph' or"),
        (["--set", "truth.mis_share=1"], "seg3d: unknown setting truth.mis_share, did you mean truth.miss_share?"),
        (["--name", "../x"], "seg3d: name = '../x': String should match pattern"),
        (["--source", "truth", "--checkpoint", "x.pth"], "seg3d: source truth takes no checkpoint, got x.pth"),
        (["--source", "segment-anything"], "seg3d: source segment-anything needs weights: --checkpoint FILE"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(scene, arguments, message, capsys):
    if "segment-anything" in arguments:
        pytest.importorskip("torch")
    assert main(["label", "frames", str(scene), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_scenes_that_are_none(tmp_path, capsys):
    assert main(["label", "frames", str(tmp_path), "--source", "truth"]) == 2
    assert "holds no finished scene" in capsys.readouterr().err


def test_frames_without_truth_fail_each_and_the_exit_code_says_so(make_scene, capsys):
    folder = make_scene("scan", 2, with_truth=False)
    assert main(["label", "frames", str(folder), "--source", "truth"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 frames labelled, 0 had masks before, 2 failed:"
    assert lines[1] == "  scan/000000: scan/000000: its true instances are not known (instance/): choose another source"


def test_a_process_among_several_takes_its_share(make_scene, capsys, monkeypatch):
    folder = make_scene("room", 5)
    for rank, count in ((1, 2), (0, 3)):
        for name, value in (("RANK", rank), ("WORLD_SIZE", 2), ("LOCAL_RANK", rank)):
            monkeypatch.setenv(name, str(value))
        assert main(["label", "frames", str(folder), "--source", "truth"]) == 0
        said = capsys.readouterr()
        assert said.out == f"process {rank}: {count} frames labelled, 0 had masks before\n"
        assert bool(said.err) == (rank == 0)


def test_two_processes_at_once_share_the_frames(make_scene):
    folder = make_scene("room", 6)
    command = [sys.executable, "-m", "seg3d_core", "label", "frames", str(folder), "--source", "truth"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    labelled = [int(process.stdout.read().split()[0]) for process in both]
    assert sum(labelled) == 6
    scene = SceneFolder.open(folder)
    assert all(scene.mask_ids("truth", index).shape == (48, 64) for index in range(6))
    left = {path.name for path in (folder / "masks" / "truth").iterdir()}
    assert left == {"settings.yaml", *(f"00000{index}.png" for index in range(6))}
