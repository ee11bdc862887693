"""The command line with networks: segment, convert, doctor; and without PyTorch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

import seg3d_core
from seg3d_core.cli import main
from seg3d_core.data.cloud_files import read_labelled, write_cloud
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS
from seg3d_core.types import Cloud

ROOT = Path(seg3d_core.__file__).parent.parent

WITHOUT_TORCH = """
import sys
from importlib.abc import MetaPathFinder

class NoTorch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name="torch")

sys.meta_path.insert(0, NoTorch())
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    points = (rng.random((3000, 3)) * (0.8, 0.8, 0.05)).astype(np.float32)
    write_cloud(tmp_path / "room.ply", Cloud(points, rng.random(points.shape, np.float32)))
    return tmp_path / "room.ply"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(2)  # whose masks are not empty
    state = Segment3DNetwork(SEGMENT3D_PRESETS["nano"]).state_dict()
    torch.save({"state_dict": {f"model.{name}": value for name, value in state.items()}}, tmp_path / "nano.ckpt")
    return tmp_path / "nano.ckpt"


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_segment_with_a_preset_says_what_it_runs_on(
    room: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = room.with_name("out.ply")
    arguments = ["segment", str(room), "-o", str(out), "--model", "small", "--set", "segment3d.device=cpu"]
    with caplog.at_level("INFO"):
        assert main(arguments) == 0
    assert "small is untrained" in caplog.text
    assert re.search(r"Segment3D with \d\.\d M parameters on cpu, engine torch, float32", caplog.text)
    assert " instances on " in capsys.readouterr().out
    assert len(read_labelled(out).cloud) == 3000


def test_the_model_that_comes_with_the_package_is_trained(room: Path, caplog: pytest.LogCaptureFixture) -> None:
    arguments = ["segment", str(room), "-o", str(room.with_name("out.ply")), "--model", "nano"]
    with caplog.at_level("INFO"):
        assert main([*arguments, "--set", "segment3d.device=cpu"]) == 0
    assert "Segment3D with 1.0 M parameters on cpu, engine torch, float32" in caplog.text
    assert "untrained" not in caplog.text


def test_a_converted_checkpoint_segments_as_the_original(
    room: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    converted = checkpoint.with_suffix(".safetensors")
    assert main(["convert", str(checkpoint), "-o", str(converted), "--voxel-size-m", "0.025"]) == 0
    card = converted.with_suffix(".card.json")
    assert f"1.0 M parameters, float32: {converted}, card: {card}" in capsys.readouterr().out
    assert json.loads(card.read_text())["voxel_size_m"] == 0.025
    labels = []
    for model in (checkpoint, converted):
        out = str(room.with_name("out.npz"))
        rules = ["--set", "segment3d.postprocess=released", "--set", "segment3d.device=cpu"]
        rules += ["--set", "segment3d.voxel_size_m=0.025"]  # which the card alone knows
        assert main(["segment", str(room), "-o", out, "--model", str(model), *rules]) == 0
        labels.append(read_labelled(out).instance_id)
    assert np.array_equal(*labels)
    assert (labels[0] > 0).any()


def test_checkpoints_that_do_not_fit_are_reported_with_code_two(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    saved["state_dict"]["model.extra"] = torch.zeros(1)
    del saved["state_dict"]["model.decoder_norm.bias"]
    saved["state_dict"]["model.class_embed_head.bias"] = torch.zeros(3)
    torch.save(saved, tmp_path / "odd.ckpt")
    out = tmp_path / "out.safetensors"
    assert main(["convert", str(tmp_path / "odd.ckpt"), "-o", str(out)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"seg3d: {tmp_path / 'odd.ckpt'} does not fit the network, nothing was loaded:",
        "1 missing: decoder_norm.bias",
        "1 unexpected: extra",
        "1 mis-shaped: class_embed_head.bias: (3,) instead of (2,)",
    ]
    (tmp_path / "half.ckpt").write_bytes(checkpoint.read_bytes()[:100_000])
    assert main(["convert", str(tmp_path / "half.ckpt"), "-o", str(out)]) == 2
    assert "half.ckpt is damaged, or not written by torch.save" in capsys.readouterr().err
    assert main(["convert", str(checkpoint), "-o", str(tmp_path / "out.pt")]) == 2
    assert "unknown suffix '.pt', networks are written as .safetensors" in capsys.readouterr().err
    assert not out.exists()


def test_without_pytorch_it_is_said_what_to_install(room: Path) -> None:
    out = room.with_name("out.ply")
    call = f"from seg3d_core.cli import main; main(['segment', {str(room)!r}, '-o', {str(out)!r}, '--model', '%s'])"
    done = without_torch(call % "nano")
    assert done.stderr == (
        "seg3d: model = 'nano' needs PyTorch (model = 'graph' does not), which is not installed: "
        "python -m pip install 'torch>=2.6'\n"
    )
    done = without_torch("from seg3d_core import Segment3D")
    assert "ConfigError: Segment3D needs PyTorch, which is not installed: python -m pip" in done.stderr
    done = without_torch(call % "graph")
    assert done.returncode == 0
    assert out.exists(), done.stderr


def test_doctor_says_what_would_be_chosen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["doctor", "--no-dds"]) == 0
    said = capsys.readouterr().out
    assert "would run on cpu, engine torch" in said
    assert "engine torch: ready" in said
    assert "engine spconv: not here: " in said
