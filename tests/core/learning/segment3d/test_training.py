"""A tiny scene is learned by heart; an interrupted training ends as one that was not; what a run leaves behind."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric is not installed")
torch.set_num_threads(1)

from table_scene import write_table_scene  # noqa: E402

from seg3d_core.cli import main  # noqa: E402
from seg3d_core.config import SUPERPOINTS  # noqa: E402
from seg3d_core.data.scenes import find_scene_folders  # noqa: E402
from seg3d_core.errors import CheckpointError, ConfigError  # noqa: E402
from seg3d_core.geometry.superpoints import cloud_superpoints  # noqa: E402
from seg3d_core.learning.metrics import mask_iou  # noqa: E402
from seg3d_core.learning.progress import Interruption  # noqa: E402
from seg3d_core.learning.segment3d import recipe  # noqa: E402
from seg3d_core.learning.segment3d.lifting import lift_frame  # noqa: E402
from seg3d_core.learning.segment3d.loading import make_sample  # noqa: E402
from seg3d_core.learning.segment3d.processes import start_processes  # noqa: E402
from seg3d_core.learning.segment3d.samples import VoxelSample, plain_sample  # noqa: E402
from seg3d_core.learning.segment3d.schedule import one_cycle  # noqa: E402
from seg3d_core.learning.segment3d.settings import ScheduleConfig, Segment3DTrainingConfig  # noqa: E402
from seg3d_core.learning.segment3d.sources import cloud_source  # noqa: E402
from seg3d_core.learning.segment3d.trainer import Trainer  # noqa: E402
from seg3d_core.learning.segment3d.validation import find_masks, rule  # noqa: E402
from seg3d_core.segment3d.checkpoint import load_network  # noqa: E402
from seg3d_core.segment3d.inference import InferenceNetwork  # noqa: E402
from seg3d_core.segment3d.predictor import Segment3D  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS  # noqa: E402

SMALL = {
    "preset": "tiny",
    "num_queries": 6,
    "device": "cpu",
    "threads": 1,
    "steps": 4,
    "clip": 1.0,
    "average": 0.9,
    "schedule": {"learning_rate": 1e-3},
    "data": {"targets": "instance", "voxel_size_m": 0.1, "batch": 2, "workers": 0},
    "validation": {"every": 2, "samples": 1, "fewest_voxels": 5, "pictures": 0},
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A network that learns in seconds."""
    network = SEGMENT3D_PRESETS["nano"].model_copy(update={"decoders": 1})
    monkeypatch.setitem(SEGMENT3D_PRESETS, "tiny", network)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    return [str(write_table_scene(folder / name, frames=2).path) for name in ("learned", "held")]


def settings(scenes=(), **changes):
    values = {**SMALL, "scenes": scenes[:1], "held_out": scenes[1:], **changes}
    return Segment3DTrainingConfig.build(values)


def trainer(**changes):
    config = settings(**changes)
    return Trainer(config, start_processes(config))


def sample(scenes, seed=None, **changes):
    config = settings(scenes, **changes).data
    cloud = cloud_source(find_scene_folders(scenes[:1]), config).read(0)
    return plain_sample(cloud, 0.1) if seed is None else make_sample(np.random.default_rng(seed), cloud, config)


def weights(folder, name="last.safetensors"):
    return load_network(folder / name).state_dict()


def test_one_scene_is_learned_by_heart(scenes):
    own = sample(scenes)
    learner = trainer(steps=100, average=0.0, schedule={"learning_rate": 4e-3})
    for _ in range(100):
        learner.learn([own])
    # As it is used: with the statistics that were remembered, not with those of the scene.
    found = find_masks(InferenceNetwork(learner.average), own, torch.device("cpu"), rule(0.1))
    sure = found.select(found.scores > 0.5)
    assert len(own.masks) == 3
    assert mask_iou(own.masks, sure.masks).max(axis=1).min() > 0.95


def test_superpoints_of_one_scene_are_learned_by_heart_and_go_on_the_card(scenes, tmp_path):
    data = {**SMALL["data"], "kind": "scenes", "superpoints": True, "batch": 1}
    second = {"stage": 2, "loss": {"place_weight": 1.0}, "data": data}
    learner = trainer(steps=100, average=0.0, schedule={"learning_rate": 4e-3}, **second)
    own = sample(scenes, **second)
    for _ in range(100):
        learner.learn([own])
    found = find_masks(InferenceNetwork(learner.average), own, torch.device("cpu"), rule(0.1))
    assert mask_iou(own.masks, found.select(found.scores > 0.5).masks).max(axis=1).min() > 0.8
    assert recipe.train(settings(scenes, steps=1, **second), tmp_path)
    assert Segment3D.from_checkpoint(tmp_path / "last.safetensors").settings.masks == "superpoints"


def test_superpoints_of_frames_are_those_that_the_predictor_finds(scenes):
    frames = settings(scenes, data={**SMALL["data"], "superpoints": True}).data
    folders = find_scene_folders(scenes[:1])
    found = cloud_source(folders, frames).read(0)
    lifted = lift_frame(folders[0].frame(0), folders[0].true_ids(0, "instance"), max_depth_m=frames.max_depth_m).cloud
    assert found.superpoints.max() > 0
    np.testing.assert_array_equal(found.superpoints, cloud_superpoints(lifted, SUPERPOINTS))


def test_resumed_equals_uninterrupted(scenes, tmp_path, monkeypatch):
    config = settings(scenes)
    assert recipe.train(config, tmp_path / "whole")
    learn = Trainer.learn

    def interrupted(self, samples):
        losses = learn(self, samples)
        signals[0].asked = self.step == 3
        return losses

    signals = []
    entered = Interruption.__enter__
    with monkeypatch.context() as patched:
        patched.setattr(Interruption, "__enter__", lambda self: (signals.append(self), entered(self))[1])
        patched.setattr(Trainer, "learn", interrupted)
        assert not recipe.train(config, tmp_path / "parts")
    assert recipe.train(config, tmp_path / "parts")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    assert logged(tmp_path / "parts") == logged(tmp_path / "whole")


def logged(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder(scenes, tmp_path):
    config = settings(scenes, steps=2, validation={"every": 2, "samples": 1, "fewest_voxels": 5, "pictures": 1})
    assert recipe.train(config, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"config.yaml", "environment.txt", "log.csv", "curves.png", "last.pt", "last.safetensors"}
    assert [path.name for path in (tmp_path / "pictures" / "0000002").iterdir()] == ["000.png"]
    assert Segment3DTrainingConfig.from_yaml(tmp_path / "config.yaml") == config
    assert "seed 0" in (tmp_path / "environment.txt").read_text()
    assert len(logged(tmp_path)) == 1 and float(logged(tmp_path)[0]["loss"]) > 0
    assert "0.0 M" not in Segment3D.from_checkpoint(tmp_path / "last.safetensors").description
    assert load_network(tmp_path / "last.safetensors").config.num_queries == 6
    with pytest.raises(ConfigError, match=r"other settings, take another folder: loss.mask_weight was 5.0 and is 1.0"):
        recipe.train(settings(scenes, steps=2, loss={"mask_weight": 1}), tmp_path)
    (tmp_path / "last.pt").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="cannot go on from"):
        recipe.train(config, tmp_path)


@pytest.mark.parametrize("steps", [10, 101])
def test_one_cycle_is_that_of_torch(steps):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], betas=(0.9, 0.999))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-4, total_steps=steps)
    for step in range(steps):
        group = optimiser.param_groups[0]
        assert one_cycle(step, steps, ScheduleConfig.build({})) == pytest.approx((group["lr"], group["betas"][0]))
        optimiser.step()
        if step + 1 < steps:
            schedule.step()


def without_masks(own):
    return VoxelSample(own.coordinates, own.colours, own.xyz, own.masks[:0])


def test_samples_without_masks_are_background(scenes):
    own = sample(scenes)
    learner = trainer()
    assert learner.learn([without_masks(own)]).of_masks == 0
    mixed, alone = trainer().learn([own, without_masks(own)]), trainer().learn([own, own])
    assert mixed.of_masks < alone.of_masks
    assert learner.failed == 0


def test_memory_that_runs_out(scenes, monkeypatch):
    own = sample(scenes)
    fitting = 2 * len(own)

    def scarce(learner):
        def forward(coordinates, *rest):
            if len(coordinates) > fitting:
                raise torch.OutOfMemoryError("out of memory")
            return given(coordinates, *rest)

        given = learner._learner._forward_module.forward
        monkeypatch.setattr(learner._learner._forward_module, "forward", forward)
        return learner

    learner = scarce(trainer())
    assert math.isfinite(learner.learn([own] * 4).loss)
    assert (learner.halved, learner.dropped) == (1, 0)
    fitting = len(own) - 1
    before = learner._network.state_dict()["decoder_norm.weight"].clone()
    assert math.isnan(learner.learn([own] * 2).loss)
    assert (learner.halved, learner.dropped, learner.step) == (2, 2, 2)
    assert torch.equal(learner._network.state_dict()["decoder_norm.weight"], before)


def test_gradients_that_are_not_finite(scenes):
    learner = trainer()
    broken = sample(scenes)
    broken.colours[0] = np.inf
    before = learner._network.mask_embed_head[0].weight.detach().clone()
    learner.learn([broken])
    assert learner.failed == 1
    assert torch.equal(learner._network.mask_embed_head[0].weight, before)


def test_mixed_precision_learns_nearly_the_same(scenes):
    own = [sample(scenes, 1), sample(scenes, 2)]
    exact, mixed = trainer().learn(own), trainer(precision="bf16-mixed").learn(own)
    assert mixed.loss == pytest.approx(exact.loss, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["presett=nano"], "unknown setting presett, did you mean preset?"),
        (["preset=nono"], "preset = 'nono': known are nano"),
        (["preset=nano"], "scenes = (): name scene folders"),
        (["data.kind=scenes"], "data.kind = 'scenes': stage 1 learns from frames"),
        (["stage=2", "data.kind=scenes"], "stage = 2: these settings are not of stage 1"),
        (["preset=nano", "scenes=[nowhere]"], "nowhere"),
    ],
)
def test_bad_settings(tmp_path, capsys, settings, message):
    changes = [text for value in settings for text in ("--set", value)]
    assert main(["train", "stage1", "--folder", str(tmp_path / "run"), *changes]) == 2
    assert message in capsys.readouterr().err


def test_what_cannot_be_judged_is_said_at_the_start(scenes, tmp_path):
    validation = {"every": 2, "samples": 1, "fewest_voxels": 90_000, "pictures": 0}
    with pytest.raises(ConfigError, match="none of 1 held-out samples has a mask of at least 90000 voxels"):
        recipe.train(settings(scenes, validation=validation), tmp_path / "run")
