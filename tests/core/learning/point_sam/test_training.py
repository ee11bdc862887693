"""A tiny scene is learned by heart; an interrupted training ends as one that was not; what a run leaves behind."""

from __future__ import annotations

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
torch.set_num_threads(1)

from seg3d_core.cli import main  # noqa: E402
from seg3d_core.errors import CheckpointError, ConfigError  # noqa: E402
from seg3d_core.learning.point_sam import recipe  # noqa: E402
from seg3d_core.learning.point_sam.batches import Batches, batch_of  # noqa: E402
from seg3d_core.learning.point_sam.losses import hard_iou  # noqa: E402
from seg3d_core.learning.point_sam.rounds import Clicks, handed_on, play_rounds  # noqa: E402
from seg3d_core.learning.point_sam.samples import plain_sample  # noqa: E402
from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig  # noqa: E402
from seg3d_core.learning.point_sam.shapes import shapes_view  # noqa: E402
from seg3d_core.learning.point_sam.trainer import Trainer, rate_share  # noqa: E402
from seg3d_core.learning.progress import Interruption  # noqa: E402
from seg3d_core.point_sam.checkpoint import load_network  # noqa: E402

SMALL = {
    "threads": 1,
    "workers": 0,
    "steps": 6,
    "rounds": 2,
    "warm_up": 2,
    "sample": {"rooms": 0, "clouds": 1, "masks": 2, "points": [96, 128], "patches": [12, 16], "patch_size": [4, 8]},
    "validation": {
        "every": 3, "rooms": 0, "shapes": 4, "points": 256, "patches": 16, "patch_size": 8, "clicks": 3,
    },
}  # fmt: skip


def settings(**changes):
    return PointSamTrainingConfig.build({**SMALL, **changes})


def weights(folder, name="last.safetensors"):
    return load_network(folder / name).state_dict()


def test_one_scene_is_learned_by_heart():
    config = settings(steps=150, rounds=2, warm_up=20, learning_rate=1e-3, average=0.0, random_clicks=0.0)
    sample = plain_sample(shapes_view(np.random.default_rng(5), 1000), 160, np.random.default_rng(0))
    batch = batch_of([sample], 32, 10)
    trainer = Trainer(config, torch.device("cpu"))
    for _ in range(config.steps):
        trainer.learn(batch)
    network = trainer.network.eval()
    with torch.no_grad():
        cloud = network.encode(batch.xyz, batch.rgb, batch.patches, batch.patch_size)
        answers = play_rounds(network, cloud, Clicks(sample.xyz[None], sample.masks[None]), 2)
    assert len(sample.masks) > 1
    assert float(hard_iou(handed_on(answers[-1]) > 0, batch.masks).mean()) > 0.95


def test_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    assert recipe.train(settings(), tmp_path / "whole")
    learn = Trainer.learn

    def interrupted(trainer, batch):
        losses = learn(trainer, batch)
        if trainer.step == 4:
            signals[0].asked = True
        return losses

    signals = []
    entered = Interruption.__enter__
    monkeypatch.setattr(Interruption, "__enter__", lambda self: (signals.append(self), entered(self))[1])
    monkeypatch.setattr(Trainer, "learn", interrupted)
    assert not recipe.train(settings(), tmp_path / "parts")
    monkeypatch.undo()
    assert recipe.train(settings(), tmp_path / "parts")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    columns = ("step", "rooms_iou1", "shapes_iou1", "shapes_iou3", "learning_rate")
    assert logged(tmp_path / "parts", columns) == logged(tmp_path / "whole", columns)


def logged(folder, columns):
    with (folder / "log.csv").open(newline="") as file:
        return [[row[name] for name in columns] for row in csv.DictReader(file)]


def test_a_run_folder(tmp_path):
    assert recipe.train(settings(steps=3), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"config.yaml", "environment.txt", "log.csv", "curves.png", "last.pt", "best.safetensors"}
    assert PointSamTrainingConfig.from_yaml(tmp_path / "config.yaml") == settings(steps=3)
    with pytest.raises(ConfigError, match=r"other settings, take another folder: rounds was 2 and is 3"):
        recipe.train(settings(rounds=3), tmp_path)
    (tmp_path / "last.pt").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="cannot go on from"):
        recipe.train(settings(), tmp_path)


def test_batches_depend_on_seed_and_step_alone(tmp_path):
    config = settings().sample
    one, again = Batches(config, 3, tmp_path), Batches(config, 3, tmp_path)
    later, first = one[7], again[7]
    assert torch.equal(later.xyz, first.xyz) and torch.equal(later.masks, first.masks)
    assert (later.patches, later.patch_size) == (first.patches, first.patch_size)
    assert not torch.equal(one[8].masks[:, :, :90], later.masks[:, :, :90])


def test_learning_rate():
    config = settings(steps=100, warm_up=10)
    assert rate_share(0, config) == pytest.approx(1e-3)
    assert rate_share(10, config) == pytest.approx(1)
    assert rate_share(55, config) == pytest.approx((1 + 0.01) / 2)
    assert rate_share(100, config) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("presett=nano", "presett"),
        ("preset=nono", "preset = 'nono': known are nano"),
        ("validation.first_room=1010", "these rooms are learned from"),
        ("sample.points=[100, 50]", "the first must not be greater"),
        ("validation.shapes=0", "nothing to validate on: validation.rooms = 0 and validation.shapes = 0"),
        ("start_from=nowhere.safetensors", "nowhere.safetensors"),
    ],
)
def test_bad_settings(tmp_path, capsys, setting, message):
    small = ["sample.rooms=0", "validation.rooms=0"] if "=[" not in setting and "room" not in setting else []
    changes = [text for value in [*small, setting] for text in ("--set", value)]
    assert main(["train", "point-sam", "--folder", str(tmp_path), *changes]) == 2
    assert message in capsys.readouterr().err
