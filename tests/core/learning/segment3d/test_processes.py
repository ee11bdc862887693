"""Two processes learn what one learns from all their samples."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric is not installed")

ROOT = Path(__file__).resolve().parents[4]

WORKER = """
import sys
import torch
from seg3d_core.data.scenes import find_scene_folders
from seg3d_core.learning.segment3d.loading import Share, load_samples
from seg3d_core.learning.segment3d.processes import any_process, joined_processes
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig
from seg3d_core.learning.segment3d.trainer import Trainer

out, scene, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = Segment3DTrainingConfig.build({
    "preset": "nano", "num_queries": 6, "device": "cpu", "threads": 1, "steps": 2, "clip": 1.0,
    "schedule": {"learning_rate": 1e-3},
    "data": {"targets": "instance", "voxel_size_m": 0.1, "batch": batch, "workers": 0},
})
with joined_processes(config) as fabric:
    trainer = Trainer(config, fabric)
    share = Share(fabric.global_rank, fabric.world_size)
    samples = load_samples(config.data, find_scene_folders([scene]), 0, 2, 0, share)
    losses = [trainer.learn(own) for _, own in samples]
    assert any_process(fabric, fabric.global_rank == fabric.world_size - 1) and not any_process(fabric, False)
    if fabric.is_global_zero:
        torch.save([[vars(one) for one in losses], trainer.average.state_dict(), fabric.world_size], out)
"""


def learned(folder: Path, scene: str, processes: int, batch: int):
    (folder / "worker.py").write_text(WORKER)
    out = folder / f"{processes}.pt"
    # By address: a machine's own name need not resolve, and gloo looks it up unless it is told an interface.
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    torchrun += ["--nproc-per-node", str(processes)]
    launch = torchrun if processes > 1 else []
    command = [sys.executable, *launch, str(folder / "worker.py"), str(out), scene, str(batch)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    ended = subprocess.run(command, check=False, env=environment, timeout=250, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return torch.load(out, weights_only=True)


def test_two_processes_learn_what_one_learns_from_both_batches(tmp_path):
    from table_scene import write_table_scene

    scene = str(write_table_scene(tmp_path / "scene", frames=4).path)
    losses, weights, processes = learned(tmp_path, scene, 2, 1)
    expected_losses, expected, alone = learned(tmp_path, scene, 1, 2)
    assert (processes, alone) == (2, 1)
    for ours, theirs in zip(losses, expected_losses, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    # Not of all weights: AdamW makes steps of one size out of gradients that are nothing but rounding.
    for name, value in expected.items():
        if name.startswith("backbone.bn0.bn.running"):
            torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-5, msg=name)
