"""Clicks on objects, and what is made of them."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_core.evaluation import click_pictures
from seg3d_core.evaluation.click_pictures import WorstObjects
from seg3d_core.evaluation.click_records import (
    ObjectRecord,
    mean_over_groups,
    means_by_group,
    means_of,
    write_csv,
)
from seg3d_core.evaluation.click_report import PAPER, format_clicks, format_skipped, shown_clicks, write_plot
from seg3d_core.evaluation.click_runner import ClickEvaluation, ClickPlan, upright
from seg3d_core.evaluation.clicks import click_on, overlap
from seg3d_core.evaluation.progress import Progress
from seg3d_core.evaluation.scenes import SceneSource
from seg3d_core.evaluation.truth import Truth
from seg3d_core.learning.clicks import SimulatedClick, next_click
from seg3d_core.types import Cloud, LabelledCloud


def line(count):
    return Cloud(np.array([[x, 0, 0] for x in range(count)], np.float32))


def rows(*numbers, of):
    return np.isin(np.arange(of), numbers)


def test_on_a_line_by_hand(ball_model):
    model, cloud, target = ball_model(1.0, 3.0, 2.0), line(12), rows(3, 4, 5, 6, 7, of=12)
    model.set_cloud(cloud)
    found = click_on(model, cloud, target, 3)
    # 5 is in the middle: 4..6 of 3..7. Of 3 and 7, equally missing, the first is clicked: 2..4 as well, 2 too much.
    # 7 misses, 2 is too much: equally deep, a click beside it takes 1..3 away.
    assert found.clicks == (SimulatedClick(5, True), SimulatedClick(3, True), SimulatedClick(2, False))
    assert found.iou == pytest.approx((3 / 5, 4 / 6, 3 / 5))
    assert found.best_of_first == 1  # the third candidate's 3..7
    assert found.first.nonzero()[0].tolist() == [4, 5, 6]
    assert found.last.nonzero()[0].tolist() == [4, 5, 6]
    assert len(found.seconds) == 3
    assert model.asked == [(1, False, True), (2, True, False), (3, True, False)]


@given(st.integers(4, 40), st.integers(0, 2**32 - 1))
def test_each_click_corrects_the_mask_before(count, seed):
    random = np.random.default_rng(seed)
    cloud = Cloud(random.random((count, 3), np.float32))
    target = random.random(count) < 0.5
    target[:2] = True, False
    answers = [(random.random(count) < 0.5).astype(np.float32) - np.float32(0.5) for _ in range(4)]
    model = Scripted(cloud, answers)
    found = click_on(model, cloud, target, 4)
    shown = [None, *(answer > 0 for answer in answers)]
    assert found.clicks == tuple(next_click(cloud.points, target, mask) for mask in shown[:4])
    assert found.iou == tuple(overlap(mask, target) for mask in shown[1:])
    assert found.best_of_first == found.iou[0]
    assert all(np.array_equal(*pair) for pair in zip(model.mask_inputs[1:], answers, strict=False))
    assert [click.is_foreground for click in found.clicks] == model.labels


class Scripted:
    description = "scripted"

    def __init__(self, cloud, answers):
        self.cloud, self.answers, self.mask_inputs, self.labels = cloud, answers, [], []

    def set_cloud(self, cloud):
        self.cloud = cloud

    def predict(self, prompt, mask_input=None, multimask=None):
        from seg3d_core.interaction.candidates import MaskCandidates

        answer = self.answers[len(self.mask_inputs)]
        self.mask_inputs.append(mask_input)
        self.labels = prompt.is_foreground.tolist()
        one = np.ones(1, np.float32)
        return MaskCandidates(self.cloud, answer[None], one, one)


def test_overlap_of_nothing_is_nothing():
    assert overlap(np.zeros(3, bool), np.zeros(3, bool)) == 0


def source(name, truth, group=""):
    def load(report):
        report(1.0, "reading")
        return truth

    return SceneSource(name, lambda: "", load, group)


def scene(ids, background=(), names=None):
    ids = np.array(ids, np.int32)
    return Truth(LabelledCloud(line(len(ids)), ids, names or {}), frozenset(background))


def evaluated(model, *sources, plan=None, show=None):
    evaluation = ClickEvaluation(model, plan or ClickPlan(2, 2))
    if show:
        evaluation.show = show
    evaluation.run(sources, Progress(io.StringIO(), len(sources), load_share=1.0))
    return evaluation


def test_objects_are_clicked_on_skipped_and_counted(ball_model):
    mixed = scene([1, 1, 2, 2, 2, 3, -1, 4, 4, 4], background=[1], names={2: "mug"})
    done = evaluated(
        ball_model(),
        source("mixed", mixed),
        source("full", scene([1, 1, 1])),
        source("bare", scene([-1, -1, 1], background=[1])),
        source("refused", scene([1, 1] + [-1] * 11)),
    )
    assert [(record.scene, record.instance_id, record.name, record.points) for record in done.records] == [
        ("mixed", 2, "mug", 3),
        ("mixed", 4, "", 3),
    ]
    assert {record.cloud_points for record in done.records} == {10}
    assert [(one.scene, one.instance_id, one.reason) for one in done.skipped] == [
        ("mixed", 3, "fewer than 2 points"),
        ("full", 1, "covers the whole cloud"),
        ("refused", 1, "refused by the model: 13 points are refused"),
    ]
    assert done.failures == {"bare": "none of its 3 points belongs to an object"}
    assert format_skipped(done.skipped) == (
        "skipped 1: fewer than 2 points\nskipped 1: covers the whole cloud\n"
        "skipped 1: refused by the model: 13 points are refused"
    )


def test_smallest_objects_of_scenes_and_of_single_objects(ball_model):
    truth = scene([1, -1, -1])
    done = evaluated(ball_model(), source("scene", truth), source("a_1", truth, "a"), plan=ClickPlan(1))
    assert [record.scene for record in done.records] == ["a_1"]
    assert [one.reason for one in done.skipped] == ["fewer than 25 points"]
    assert np.isnan(done.records[0].later_s)


def test_a_scene_that_cannot_be_read_stops_nothing(ball_model):
    def load(report):
        raise InputError("a.ply: truncated")

    done = evaluated(ball_model(), SceneSource("a.ply", lambda: "", load), source("b", scene([1, 1, -1])))
    assert done.failures == {"a.ply": "truncated"}
    assert len(done.records) == 1


def test_views_of_a_table_are_turned_upright():
    truth = scene([1, 1, -1])
    assert upright(truth, "z") is truth
    for direction in ([0, -1, 0], [0.6, -0.8, 0], [0, 0, -1]):
        leaning = Truth(truth.labelled, truth.background, tuple(float(value) for value in direction))
        points = np.array([direction, [1, 0.5, -2], [1, 2, 3]], np.float32)
        leaning = Truth(
            LabelledCloud(Cloud(points, viewpoint=points[2].astype(float)), truth.labelled.instance_id, {}),
            truth.background,
            leaning.up,
        )
        for up, axis in (("z", [0, 0, 1]), ("y", [0, 1, 0])):
            turned = upright(leaning, up)
            assert turned.up == tuple(axis)
            cloud = turned.labelled.cloud
            assert cloud.points[0] == pytest.approx(np.array(axis), abs=1e-6)
            assert np.linalg.norm(cloud.points, axis=1) == pytest.approx(np.linalg.norm(points, axis=1), rel=1e-6)
            assert cloud.viewpoint == pytest.approx(cloud.points[2], rel=1e-6)
            # A turn, no mirror image.
            assert np.linalg.det(cloud.points) == pytest.approx(np.linalg.det(points), rel=1e-5)


def record(scene, iou, best=0.9, group="", first_s=0.2, later_s=0.1):
    return ObjectRecord(scene, group or scene, 3, "a, mug", 40, 400, iou, best, first_s, later_s)


RECORDS = [
    record("d/a", (0.2, 0.6), 0.5),
    record("d/a", (0.4, 0.8), 0.5),
    record("d/b", (0.9, 1.0), 0.95, first_s=0.4, later_s=0.3),
]


def test_means_over_objects_and_over_scenes():
    means = means_of(RECORDS)
    assert means.objects == 3
    assert means.iou == pytest.approx([0.5, 0.8])
    assert means.best_of_first == pytest.approx(0.65)
    assert (means.first_ms, means.later_ms) == pytest.approx((200, 100))
    groups = means_by_group(RECORDS)
    assert list(groups) == ["d/a", "d/b"]
    over = mean_over_groups(list(groups.values()))
    assert over.iou == pytest.approx([0.6, 0.85])
    assert over.objects == 3


def test_the_table():
    assert format_clicks(RECORDS, "s3dis").splitlines() == [
        "| scene                         | objects |   @1 |    @2 | best of 3 | first ms | later ms |",
        "| ----------------------------- | ------: | ---: | ----: | --------: | -------: | -------: |",
        "| a                             |       2 | 30.0 |  70.0 |      50.0 |      200 |      100 |",
        "| b                             |       1 | 90.0 | 100.0 |      95.0 |      400 |      300 |",
        "| mean over objects             |       3 | 50.0 |  80.0 |      65.0 |      200 |      100 |",
        "| mean over 2 scenes            |       3 | 60.0 |  85.0 |      72.5 |      300 |      200 |",
        "| Point-SAM ViT-L, paper, s3dis |         | 47.6 |       |           |          |          |",
    ]
    many = [record(f"{k}", (0.5,), later_s=float("nan")) for k in range(41)]
    assert format_clicks(many).splitlines()[2:] == [
        "| mean over objects   |      41 | 50.0 |      90.0 |      200 |        - |",
        "| mean over 41 scenes |      41 | 50.0 |      90.0 |      200 |        - |",
        "(rows of more than 40 scenes are left out, --csv has every object)",
    ]


def test_the_columns():
    assert shown_clicks(3) == [1, 2, 3]
    assert shown_clicks(17) == [*range(1, 11), 15, 17]
    assert all(list(figures) == [1, 3, 5, 7, 10] for figures in PAPER.values())


def test_the_file_of_all_objects(tmp_path):
    write_csv(tmp_path / "o.csv", RECORDS)
    with (tmp_path / "o.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 3
    assert found[2] == {
        "scene": "d/b", "group": "d/b", "instance_id": "3", "name": "a, mug", "points": "40", "cloud_points": "400",
        "first_ms": "400.0", "later_ms": "300.0", "best_of_first": "0.9500", "iou@1": "0.9000", "iou@2": "1.0000",
    }  # fmt: skip
    with pytest.raises(InputError, match="does not exist"):
        write_csv(tmp_path / "no" / "o.csv", RECORDS)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_plot(tmp_path, suffix):
    path = tmp_path / f"plot{suffix}"
    write_plot(path, RECORDS, "nano", "kitti360")
    assert path.stat().st_size > 1000


def test_the_worst_object_of_each_scene_is_drawn_once_the_scene_is_done(ball_model, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        click_pictures, "save_clicked", lambda path, truth, instance_id, clicked: drawn.append((path.name, instance_id))
    )
    pictures = WorstObjects(tmp_path)
    two = scene([1, 1, 2, 2, 2, 2, 2, 2, 2, -1, 3, 3])
    evaluated(ball_model(), source("x/a.npz", two), source("b", two), show=pictures)
    assert drawn == [("clicks-x_a.npz.png", 2)]
    pictures.draw()
    pictures.draw()
    assert drawn == [("clicks-x_a.npz.png", 2), ("clicks-b.png", 2)]


def test_the_picture_of_an_object(ball_model, tmp_path):
    pictures = WorstObjects(tmp_path / "worst")
    evaluated(ball_model(), source("a", scene([1, 1, 2, 2, -1])), show=pictures)
    pictures.draw()
    assert (tmp_path / "worst" / "clicks-a.png").is_file()
