"""Evaluations with a segmenter whose mistakes are known: pooled by hand, interrupted, gone on with, partly failing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg3d_core.config import SegmentConfig
from seg3d_core.data.cloud_files import write_labelled
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.evaluation.comparison import matched_ids, picture_path
from seg3d_core.evaluation.models import WARM_UP_POINTS, CloudModel
from seg3d_core.evaluation.progress import Progress
from seg3d_core.evaluation.report import Entry, identify
from seg3d_core.evaluation.report import report as report_entries
from seg3d_core.evaluation.results_file import Results
from seg3d_core.evaluation.runner import Contestant, Evaluation, Pictures
from seg3d_core.evaluation.scenes import find_scenes
from seg3d_core.evaluation.truth import Truth
from seg3d_core.types import Cloud, Instances, LabelledCloud

OBJECTS = 3
POINTS = 2000
SETTINGS = {"model": "strips"}


class Strips:
    """Finds the strips of x that are ``found``; stops the program, or refuses, at a cloud of the chosen number."""

    def __init__(self, found: list[list[int]], stop_at: int = -1, error: type[BaseException] = KeyboardInterrupt):
        self.found, self.stop_at, self.error, self.calls = found, stop_at, error, 0

    def segment(self, cloud: Cloud) -> Instances:
        if len(cloud) <= WARM_UP_POINTS:
            raise InputError("too few points, and it is only the warm-up")
        number = self.calls
        self.calls += 1
        if number == self.stop_at:
            raise self.error("as told")
        strip = np.floor(cloud.points[:, 0]).astype(int)
        masks = strip[None, :] == np.array(self.found[number], int).reshape(-1, 1)
        return Instances(cloud, masks, np.ones(len(masks), np.float32), np.arange(1, len(masks) + 1, dtype=np.int32))


@pytest.fixture
def scenes(tmp_path: Path) -> list[str]:
    """Three clouds with three objects each, strips of one metre."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for seed in range(3):
        points = np.random.default_rng(seed).random((OBJECTS * POINTS, 3), np.float32)
        ids = np.repeat(np.arange(1, OBJECTS + 1), POINTS).astype(np.int32)
        points[:, 0] = points[:, 0] * 0.9 + ids
        write_labelled(folder / f"{seed}.npz", LabelledCloud(Cloud(points), ids, {}))
    return sorted(str(file) for file in folder.iterdir())


def evaluate(specs: list[str], segmenter: Strips, results: Results, pictures: Pictures | None = None) -> int:
    evaluation = Evaluation(find_scenes(specs), [Contestant("strips", CloudModel(segmenter), results)], pictures)
    missing = evaluation.missing()
    evaluation.run(missing, Progress(io.StringIO(), len(specs)))
    return len(missing)


def report(results: Results, scenes: list[str], protocol: str, background: str) -> int:
    return report_entries([Entry("strips", results)], scenes, [protocol], background)


def test_perfect_masks_score_one(scenes: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(SETTINGS)
    evaluate(scenes, Strips([[1, 2, 3]] * 3), results)
    assert report(results, scenes, "scored", "ignore") == 0
    said = capsys.readouterr().out
    pooled = next(line for line in said.splitlines() if line.startswith("| 3 pooled"))
    figures = ["3 pooled", "18,000", "9", "9", *["1.000"] * 5, "-", "1.000", "-"]
    assert pooled.replace("|", " ").split()[:-1] == " ".join(figures).split()


def test_known_mistakes_by_hand(scenes: list[str]) -> None:
    """Found 3 of 3, 2 of 3 and none, nothing false: recall 5/9, precision 1; equal scores: AP = 5/9 * (1 + 1) / 2."""
    results = Results(SETTINGS)
    evaluate(scenes, Strips([[1, 2, 3], [1, 3], []]), results)
    report(results, scenes, "released", "ignore")
    figures = results.figures["released, background ignore"]
    assert figures["pooled"]["ap"] == pytest.approx(5 / 9)
    assert figures["pooled"]["recall50"] == pytest.approx(5 / 9)
    assert [row["ap"] for row in figures["scenes"]] == pytest.approx([1, 2 / 3, 0])
    assert [row["found"] for row in figures["scenes"]] == [3, 2, 0]


def test_an_interrupted_run_goes_on(scenes: list[str], tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with pytest.raises(KeyboardInterrupt):
        evaluate(scenes, Strips([[1, 2, 3]] * 3, stop_at=2), Results.open(path, SETTINGS))
    again = Strips([[1, 3]])
    results = Results.open(path, SETTINGS)
    assert evaluate(scenes, again, results) == 1
    assert again.calls == 1
    whole = Results(SETTINGS)
    evaluate(scenes, Strips([[1, 2, 3], [1, 2, 3], [1, 3]]), whole)
    report(results, scenes, "scored", "ignore")
    report(whole, scenes, "scored", "ignore")
    (one,), (other,) = results.figures.values(), whole.figures.values()
    for row in [one["pooled"], other["pooled"]]:
        row.pop("seconds")
    assert one["pooled"] == other["pooled"]
    assert evaluate(scenes, Strips([]), Results.open(path, SETTINGS)) == 0


def test_a_changed_scene_is_segmented_again(scenes: list[str], tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    evaluate(scenes, Strips([[1]] * 3), Results.open(path, SETTINGS))
    Path(scenes[1]).write_bytes(Path(scenes[0]).read_bytes())
    assert evaluate(scenes, Strips([[1]]), Results.open(path, SETTINGS)) == 1


def test_results_of_other_settings_are_not_mixed(tmp_path: Path, scenes: list[str]) -> None:
    path = tmp_path / "out.json"
    evaluate(scenes, Strips([[1]] * 3), Results.open(path, SETTINGS))
    with pytest.raises(ConfigError, match=r"made with model = strips \(now stripes\)"):
        Results.open(path, {"model": "stripes"})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "other"}', '{"format": "seg3d evaluation 2"}'])
def test_other_files_are_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="holds no evaluation to go on with"):
        Results.open(path, SETTINGS)
    assert path.read_text() == content
    with pytest.raises(ConfigError, match="is a folder"):
        Results.open(tmp_path, SETTINGS)
    with pytest.raises(ConfigError, match="its folder does not exist"):
        Results.open(tmp_path / "no" / "out.json", SETTINGS)


def test_a_scene_that_fails_is_named_and_the_others_stay(
    scenes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.json"
    Path(scenes[0]).write_bytes(b"no archive")
    results = Results.open(path, SETTINGS)
    evaluate(scenes, Strips([[], [1, 2, 3]], stop_at=0, error=InputError), results)
    assert report(results, scenes, "scored", "ignore") == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"seg3d: {scenes[0]}: not a readable NumPy archive")
    assert f"seg3d: {scenes[1]}: as told" in said.err
    assert "| 1 pooled" in said.out
    assert set(json.loads(path.read_text())["failures"]) == set(scenes[:2])
    # What failed is tried again, what did not is kept.
    assert evaluate(scenes[1:], Strips([[1]]), Results.open(path, SETTINGS)) == 1
    assert json.loads(path.read_text())["failures"] == {}


def test_a_scene_without_instances_is_an_error(tmp_path: Path) -> None:
    points = np.random.default_rng(0).random((50, 3), np.float32)
    write_labelled(tmp_path / "a.ply", LabelledCloud(Cloud(points), np.full(50, -1, np.int32), {}))
    results = Results(SETTINGS)
    evaluate([str(tmp_path / "a.ply")], Strips([]), results)
    assert "none of its 50 points belongs to an instance" in results.failures[str(tmp_path / "a.ply")]


def test_a_picture_has_three_columns(scenes: list[str], tmp_path: Path) -> None:
    path, pictures = tmp_path / "out.json", Pictures(tmp_path / "p.png", up=(0.0, 0.0, 1.0))
    assert evaluate(scenes[:1], Strips([[1, 2, 3]]), Results.open(path, SETTINGS)) == 1
    # A scene that is kept without its picture is segmented again for it.
    assert evaluate(scenes[:1], Strips([[1, 2, 3]]), Results.open(path, SETTINGS), pictures) == 1
    assert evaluate(scenes[:1], Strips([]), Results.open(path, SETTINGS), pictures) == 0
    width, height = Image.open(tmp_path / "p.png").size
    assert (width, height > 1200) == (2400, True)


def test_names_of_pictures() -> None:
    assert picture_path(Path("out/p.png"), "room:3:100", False) == Path("out/p-room_3_100.png")
    assert picture_path(Path("out/p.png"), "../a/b.ply", False) == Path("out/p-a_b.ply.png")
    assert picture_path(Path("out/p.png"), "room:3:100", True) == Path("out/p.png")


def test_found_objects_keep_their_colour() -> None:
    ids = np.repeat([4, 9], 10).astype(np.int32)
    cloud = Cloud(np.zeros((20, 3), np.float32))
    masks = np.array([ids == 9, np.arange(20) < 5])
    found = Instances(cloud, masks, np.ones(2, np.float32), np.array([1, 2], np.int32))
    # Half of object 4 is not more than half.
    assert matched_ids(Truth(LabelledCloud(cloud, ids, {}), frozenset()), found).tolist() == [9, 11]


def test_settings_are_identified_by_dotted_names_and_a_model_file_by_its_content(tmp_path: Path) -> None:
    plain = identify(SegmentConfig.build({"model": "graph", "graph": {"k": 0.07}}))
    assert plain["graph.k"] == 0.07
    assert plain["model"] == "graph"
    assert not any(name.startswith("segment3d.") for name in plain)
    model = tmp_path / "weights.safetensors"
    model.write_bytes(b"one")
    one = identify(SegmentConfig.build({"model": str(model)}))
    model.write_bytes(b"two")
    assert one["model sha256"] != identify(SegmentConfig.build({"model": str(model)}))["model sha256"]
