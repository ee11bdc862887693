"""``seg3d prompt`` from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg3d_core import prompting
from seg3d_core.cli import main
from seg3d_core.data.cloud_files import read_labelled, write_cloud
from seg3d_core.errors import InputError
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.types import Cloud


class Balls:
    """All within 0.25, 0.5 or 1.5 m of a click on the object, less what is within 0.25 m of one beside it."""

    description = "balls"

    def __init__(self):
        self.asked = []

    def set_cloud(self, cloud):
        if len(cloud) < 3:
            raise InputError(f"the cloud has {len(cloud)} points")
        self.cloud = cloud

    def predict(self, prompt, mask_input=None, multimask=None):
        self.asked.append((prompt, mask_input, multimask))
        masks = np.array([self._mask(prompt, radius) for radius in ((0.25, 0.5, 1.5) if multimask else (0.25,))])
        if mask_input is not None:
            masks |= (mask_input > 0) & ~self._near(prompt.points[~prompt.is_foreground], 0.25)
        ious = np.array([0.9, 1.2, 0.3], np.float32)[: len(masks)]
        return MaskCandidates(self.cloud, np.where(masks, 1, -1).astype(np.float32), ious, ious)

    def _mask(self, prompt, radius):
        beside = self._near(prompt.points[~prompt.is_foreground], 0.25)
        return self._near(prompt.points[prompt.is_foreground], radius) & ~beside

    def _near(self, clicks, radius):
        return (np.linalg.norm(self.cloud.points[:, None] - clicks, axis=2) <= radius).any(axis=1)


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """Points 0.1 m apart from x = 0 m to 1.9 m."""
    points = np.zeros((20, 3), np.float32)
    points[:, 0] = np.arange(20) / 10
    write_cloud(tmp_path / "line.npz", Cloud(points))
    return tmp_path / "line.npz"


@pytest.fixture
def balls(monkeypatch: pytest.MonkeyPatch) -> Balls:
    model = Balls()
    monkeypatch.setattr(prompting, "make_prompt_model", lambda config: model)
    return model


def on_object(path: Path) -> list[int]:
    """Tenths of metres."""
    labelled = read_labelled(path)
    return np.rint(labelled.cloud.points[labelled.instance_id == 1, 0] * 10).astype(int).tolist()


def test_clicks_in_the_order_of_the_command_line(line, balls, capsys):
    out, picture = line.with_name("mask.npz"), line.with_name("mask.png")
    clicks = ["--click", "1", "0.04", "0", "--exclude", "1.2", "0", "0", "--click", "0.2", "0", "0"]
    assert main(["prompt", str(line), *clicks, "-o", str(out), "--picture", str(picture)]) == 0
    # 8..12 around 10, less 10..14 around 12, and 0..4 around 2.
    assert on_object(out) == [0, 1, 2, 3, 4, 8, 9]
    assert [prompt.is_foreground.tolist() for prompt, _, _ in balls.asked] == [[1], [1, 0], [1, 0, 1]]
    assert [multimask for _, _, multimask in balls.asked] == [True, False, False]
    assert balls.asked[0][1] is None
    assert (balls.asked[1][1] > 0).sum() == 5
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        "click 1 0.04 0 m, 40 mm from a point: 5 points, predicted IoU 0.90, stability 0.90; "
        "candidates of 5, 11, 20 points"
    )
    assert said[1] == "exclude 1.2 0 0 m, 0 mm from a point: 2 points, predicted IoU 0.90, stability 0.90"
    assert said[3].startswith("7 of 20 points, ")
    assert Image.open(picture).size[0] > 200


def test_another_candidate_and_a_box(line, balls, tmp_path):
    out = tmp_path / "mask.npz"
    assert main(["prompt", str(line), "--click", "1", "0", "0", "--candidate", "2", "-o", str(out)]) == 0
    assert on_object(out) == list(range(5, 16))
    with np.load(out) as arrays:
        assert set(arrays["score"].tolist()) == {0.0, 1.0}  # an estimate above 1 is none
    box = ["--box", "1.35", "-1", "-1", "0.95", "1", "1"]
    assert main(["prompt", str(line), *box, "--exclude", "0.7", "0", "0", "-o", str(out)]) == 0
    # 10..13 are in the box, 11 is clicked: 9..13, less 5..9 around 7.
    assert on_object(out) == [10, 11, 12, 13]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "neither --click nor --box: say what the object is"),
        (["--exclude", "1", "0", "0"], "the first click is beside the object"),
        (["--click", "1", "3", "0"], "is 3 m from the nearest point of the cloud, at most 0.1 m is allowed"),
        (["--click", "1", "0.2", "0", "--max-snap-m", "0.15"], "at most 0.15 m is allowed"),
        (["--click", "nan", "0", "0"], "is not finite"),
        (["--click", "1", "0", "0", "--max-snap-m", "-1"], "max_snap_m"),
        (["--box", "5", "5", "5", "6", "6", "6"], "box"),
        (["--click", "1", "0", "0", "-o", "{tmp}/o.stl"], "unknown suffix '.stl'"),
        (["--click", "1", "0", "0", "--set", "scene.mod=1"], "unknown setting scene.mod"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(arguments, message, line, balls, tmp_path, capsys):
    out = tmp_path / "mask.npz"
    assert main(["prompt", str(line), "-o", str(out), *(text.format(tmp=tmp_path) for text in arguments)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("seg3d: ")
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_a_network_of_random_weights_answers(line, tmp_path, capsys, caplog):
    pytest.importorskip("torch", reason="torch is not installed")
    arguments = ["--click", "1", "0", "0", "--model", "tiny", "--set", "point_sam.device=cpu"]
    assert main(["prompt", str(line), *arguments, "-o", str(tmp_path / "mask.ply")]) == 0
    assert "tiny is untrained" in caplog.text
    assert len(read_labelled(tmp_path / "mask.ply").cloud) == 20
    assert (
        main(["prompt", str(line), "--click", "1", "0", "0", "-o", str(tmp_path / "m.ply"), "--model", "oracle"]) == 2
    )
    assert "model = 'oracle'" in capsys.readouterr().err
