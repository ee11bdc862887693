"""The commands of training/README.md, run one after the other in a small setting, end with weights and a table."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric is not installed")

from seg3d_core.cli import main  # noqa: E402
from seg3d_core.data.scenes import find_scene_folders  # noqa: E402
from seg3d_core.learning.segment3d.pseudo_files import read_pseudo_masks  # noqa: E402
from seg3d_core.segment3d.predictor import Segment3D  # noqa: E402

TRAINING = Path(__file__).resolve().parents[2] / "training"

ROOMS = (
    "--frames 4 --workers 1 --set width=96 --set height=72 --set fused_only=4 --set fused_width=96 "
    "--set fusion.voxel_size_m=0.04 --set fusion.max_blocks=3000 --set room.min_length_m=3 --set room.max_length_m=3.4 "
    "--set room.min_width_m=3 --set room.max_width_m=3.4 --set room.min_objects=1 --set room.things_per_m2=0"
)
TRAIN = (
    "--set device=cpu --set num_queries=12 --set data.voxel_size_m=0.03 --set data.max_voxels=1500 "
    "--set data.batch=2 --set data.workers=0 --set data.fewest_voxels=5 --set validation.every=100 "
    "--set validation.samples=2 --set validation.pictures=1 --set validation.fewest_voxels=5 --set average=0"
)
# Masks are empty after a few steps of cross entropy, and large after a few of dice loss; no network is sure of them.
STAGE_1 = f"{TRAIN} --set steps=4 --set seed=2 --set loss.mask_weight=0"
LABEL = "--set device=cpu --set voxel_size_m=0.03 --set num_queries=12 --set score_threshold=0.0001"
EVALUATE = "--set segment3d.device=cpu --set segment3d.voxel_size_m=0.03"

SMALL_ROOMS = {
    "seg3d data synth --to data/train": f"--rooms 6 {ROOMS}",
    "seg3d data synth --to data/held": f"--rooms 2 {ROOMS}",
    "seg3d label frames": "",
    "seg3d train stage1": f"{STAGE_1} --set data.fewest_pixels=20",
    "seg3d label scenes": LABEL,
    "seg3d train stage2": f"{TRAIN} --set steps=3 --set data.min_score=0",
    "seg3d eval scenes": EVALUATE,
}
"""What is smaller than in the document, by the beginning of the command."""

SMALL_RECORDINGS = {
    "seg3d data import": "--set fusion.voxel_size_m=0.04 --set fusion.max_blocks=8000",
    "seg3d label frames": "",
    "seg3d train stage1": STAGE_1,
    "seg3d label scenes": LABEL,
    "seg3d train stage2": f"{TRAIN} --set steps=3 --set data.min_score=0",
}


def documented(name: str) -> list[str]:
    """Commands of the block that is marked as tested, without installation."""
    text = (TRAINING / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- tested: {name} -->\n```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if not line.startswith("pip install")]


def run_small(name: str, changes: dict[str, str]) -> Iterator[str]:
    """Run the documented commands with these changes; yields each after it was run."""
    for command, (beginning, change) in zip(documented(name), changes.items(), strict=True):
        assert command.startswith(beginning)
        program, *arguments = shlex.split(command, comments=True)
        assert (program, main([*arguments, *shlex.split(change)])) == ("seg3d", 0), command
        yield command


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder beside the settings of training, to be in."""
    (tmp_path / "training").symlink_to(TRAINING)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def masks_for_the_second_stage(folder: str) -> int:
    scenes = find_scene_folders([folder])
    return sum(len(read_pseudo_masks(scene.pseudo_path("stage1"), scene.cloud().cloud).proposals) for scene in scenes)


def last_losses(run: str) -> dict[str, float]:
    with (Path("runs") / run / "log.csv").open(newline="") as file:
        *_, row = csv.DictReader(file)
    return {name: float(value) for name, value in row.items() if value}


def test_rooms_become_weights_and_a_table(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = list(run_small("rooms", SMALL_ROOMS))
    assert len(done) == 7
    assert masks_for_the_second_stage("data/train") > 0
    for run in ("stage1", "stage2"):
        assert last_losses(run)["loss_of_masks"] > 0
        assert Segment3D.from_checkpoint(Path("runs") / run / "best.safetensors") is not None
    table = capsys.readouterr().out
    models = ("graph", "sam3d", "runs/stage1/last.safetensors", "runs/stage2/last.safetensors")
    assert all(re.search(rf"^\| {re.escape(model)} +\| +\d+ \| +\d+ \|", table, flags=re.MULTILINE) for model in models)
    with Path("runs/table/figures.csv").open(newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} == set(models)


def test_a_recording_becomes_weights(workplace: Path, shared_data: Path) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    (workplace / "recordings").symlink_to(shared_data)
    done = list(run_small("recordings", SMALL_RECORDINGS))
    assert len(done) == 5
    (scene,) = find_scene_folders(["data/kitchen"])
    assert scene.frame_count + len(scene.description.skipped) == 5
    assert scene.frame_count >= 3
    assert masks_for_the_second_stage("data/kitchen") > 0
    for run in ("kitchen1", "kitchen2"):
        assert last_losses(run)["loss_of_masks"] > 0
        assert Segment3D.from_checkpoint(Path("runs") / run / "last.safetensors") is not None
