"""A real Ray, of two workers, on this machine."""

from __future__ import annotations

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("ray.data", reason="ray[data] is not installed")

from seg3d_core.cli import main  # noqa: E402
from seg3d_core.data.scenes import SceneFolder  # noqa: E402


@pytest.fixture(autouse=True)
def _end_of_the_cluster():
    yield
    ray.shutdown()


def test_a_cluster_gives_the_masks_of_one_process_and_tells_what_failed(make_scene, capfd):
    alone, cluster = make_scene("alone/room", 4), make_scene("cluster/room", 4)
    for folder in (alone, cluster):
        (folder / "depth" / "000002.png").write_bytes(b"no image")
    arguments = ["--source", "truth", "--set", "retries=1"]
    assert main(["label", "frames", str(alone), *arguments]) == 1
    said = capfd.readouterr().out
    assert main(["label", "frames", str(cluster), *arguments, "--ray", "local"]) == 1
    assert capfd.readouterr().out == said.replace("alone", "cluster")
    assert said.startswith("3 frames labelled, 0 had masks before, 1 failed:\n  room/000002: ")
    scenes = SceneFolder.open(alone), SceneFolder.open(cluster)
    for index in (0, 1, 3):
        one, other = (scene.mask_ids("truth", index) for scene in scenes)
        assert np.array_equal(one, other)


def test_a_cluster_that_is_not_there(scene, capsys):
    assert main(["label", "frames", str(scene), "--source", "truth", "--ray", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.startswith("seg3d: no Ray cluster at 127.0.0.1:1: ")
