"""``seg3d train finetune`` from end to end: what the card decides, what is mixed in, and that forgetting is refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric is not installed")
torch.set_num_threads(1)

from table_scene import write_table_scene  # noqa: E402

from seg3d_core.cli import main  # noqa: E402
from seg3d_core.errors import CheckpointError, ConfigError  # noqa: E402
from seg3d_core.learning.segment3d import finetune  # noqa: E402
from seg3d_core.learning.segment3d.rehearsal import MixedSource  # noqa: E402
from seg3d_core.learning.segment3d.samples import LabelTargets, TrainingCloud  # noqa: E402
from seg3d_core.learning.segment3d.validation import Score, Validation  # noqa: E402
from seg3d_core.segment3d.model import Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d.saving import card_of, read_card, save_network  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS  # noqa: E402

FAST = [
    "steps=2", "device=cpu", "threads=1", "data.workers=0", "validation.samples=1", "validation.fewest_voxels=5",
    "validation.pictures=0",
]  # fmt: skip


def checkpoint(path, **changes):
    torch.manual_seed(0)
    shape = SEGMENT3D_PRESETS["nano"].model_copy(update={"num_queries": 6, **changes})
    network = Segment3DNetwork(shape)
    save_network(path, network, card_of(network, voxel_size_m=0.1, superpoints=True))
    return path


@pytest.fixture
def command(tmp_path):
    """Three scenes and a checkpoint, as the command line has them."""
    for name in ("corrected", "old", "held"):
        write_table_scene(tmp_path / name, frames=2)
    start = checkpoint(tmp_path / "start.safetensors")
    words = ["train", "finetune", "--from", start, "--scenes", tmp_path / "corrected", "--held-out", tmp_path / "held"]
    words += ["--rehearse", tmp_path / "old", "--folder", tmp_path / "run"]
    for setting in FAST:
        words += ["--set", setting]
    return [str(word) for word in words]


def test_goes_on_from_what_the_card_says_and_prints_both_figures(command, tmp_path, capsys):
    assert main([*command, "--tolerance", "1"]) == 0
    said = capsys.readouterr().out
    assert "| | before | after |" in said
    assert "| ap50 | " in said
    assert said.endswith(f"the weights are {tmp_path / 'run' / 'finetuned.safetensors'}\n")
    card = read_card(tmp_path / "run" / "finetuned.safetensors")
    assert (card.voxel_size_m, card.superpoints, card.network.num_queries) == (0.1, True, 6)
    settings = (tmp_path / "run" / "config.yaml").read_text()
    assert "preset: nano" in settings
    assert "learning_rate: 0.0002" in settings


def test_what_forgets_has_another_name_and_an_exit_code(command, tmp_path, capsys, monkeypatch):
    figures = iter([0.5, 0.45, 0.45])
    monkeypatch.setattr(Validation, "score", lambda *unused: Score(next(figures), 0.9, 0.9))
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "| ap | 0.500 | 0.450 |" in said
    assert f"it forgot: the weights are kept as {tmp_path / 'run' / 'forgot.safetensors'}" in said
    assert (tmp_path / "run" / "forgot.safetensors").exists()
    assert not (tmp_path / "run" / "finetuned.safetensors").exists()


def test_checkpoints_that_say_too_little_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"odd\.safetensors has the shape of none of nano, small, base"):
        finetune.settings_of_checkpoint(checkpoint(tmp_path / "odd.safetensors", hidden_dim=32))


class Numbered:
    """So many clouds, named after their numbers."""

    def __init__(self, kind, count):
        self.kind, self.count = kind, count

    def __len__(self):
        return self.count

    def read(self, index):
        assert 0 <= index < self.count
        points = np.zeros((1, 3), np.float32)
        return TrainingCloud(
            points, np.zeros((1, 3), np.uint8), LabelTargets(np.zeros(1, np.int32)), f"{self.kind}{index}"
        )


@pytest.mark.parametrize(
    ("new", "known", "share"), [(1, 9, 0.5), (2, 40, 0.25), (30, 1, 0.1), (1, 1, 0.5), (5, 3, 0.9)]
)
def test_a_mixture_has_every_cloud_and_the_ratio(new, known, share):
    mixed = MixedSource(Numbered("new", new), Numbered("known", known), share)
    names = [mixed.read(index).name for index in range(len(mixed))]
    assert set(names) == {f"new{i}" for i in range(new)} | {f"known{i}" for i in range(known)}
    assert abs(sum(name.startswith("known") for name in names) / len(names) - share) <= 0.5 / len(names) + 1e-9


def test_mixtures_that_are_none():
    with pytest.raises(ConfigError, match="share of rehearsed clouds is 1, must be above 0 and below 1"):
        MixedSource(Numbered("new", 1), Numbered("known", 1), 1.0)
    with pytest.raises(ConfigError, match="there are 0 new clouds and 1 to rehearse"):
        MixedSource(Numbered("new", 0), Numbered("known", 1), 0.5)
