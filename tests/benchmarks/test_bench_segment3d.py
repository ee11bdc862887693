"""The whole of Segment3D: inference against the network that is trained, its parts, its memory, a training step."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.segment3d.inference import FoldedBackbone, InferenceNetwork  # noqa: E402
from seg3d_core.segment3d.model import NetworkOutput, Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def network() -> Segment3DNetwork:
    torch.manual_seed(0)
    return Segment3DNetwork(SEGMENT3D_PRESETS["base"]).eval()


@pytest.fixture
def scene(request: pytest.FixtureRequest, room_voxels: Callable[[int], np.ndarray]) -> Callable[[int], torch.Tensor]:
    """Voxels of a room with that many thousands of them, or a fiftieth where nothing is timed."""
    timed = request.config.getoption("--bench")
    return lambda thousands: torch.from_numpy(room_voxels(thousands * (1000 if timed else 20)))


def inputs(voxels: torch.Tensor) -> tuple[SparseTensor, torch.Tensor]:
    """Fresh, so that maps are made anew."""
    colours = torch.rand(len(voxels), 3, generator=torch.Generator().manual_seed(1))
    return SparseTensor.from_coordinates(voxels, colours), voxels[:, 1:] * 0.02


@torch.no_grad()
def test_inference(
    network: Segment3DNetwork, scene: Callable[[int], torch.Tensor], compare: Callable[..., None]
) -> None:
    voxels = scene(50)
    inference = InferenceNetwork(network, "torch")
    compare(
        f"Segment3D inference, {len(voxels)} voxels, 150 queries",
        lambda: inference(*inputs(voxels)),
        "the network that is trained",
        lambda: network(*inputs(voxels)),
        at_least=1,
        rounds=3,
        clock=time.thread_time,
    )


@torch.no_grad()
@pytest.mark.parametrize("thousands", [50, 150])
def test_the_decoder_is_a_small_part(
    network: Segment3DNetwork, scene: Callable[[int], torch.Tensor], compare: Callable[..., None], thousands: int
) -> None:
    voxels = scene(thousands)
    inference = InferenceNetwork(network, "torch")
    backbone = FoldedBackbone(network.backbone, choose_engine("torch", CPU), torch.float32)
    compare(
        f"Segment3D inference, {len(voxels)} voxels, 150 queries",
        lambda: inference(*inputs(voxels)),
        "its backbone alone",
        lambda: backbone(inputs(voxels)[0]),
        at_least=1 - 0.35,
        bound="1 if the decoder took no time",
        rounds=3,
        clock=time.thread_time,
    )


def test_a_training_step(
    network: Segment3DNetwork, scene: Callable[[int], torch.Tensor], compare: Callable[..., None]
) -> None:
    voxels = scene(50)

    def step(backward: bool) -> None:
        output: NetworkOutput = network.train()(*inputs(voxels))
        losses = [p.class_logits.square().mean() + p.mask_logits[0].square().mean() for p in output.auxiliary]
        if backward:
            torch.stack(losses).sum().backward()

    compare(
        f"Segment3D training step, {len(voxels)} voxels",
        partial(step, backward=True),
        "its forward pass",
        partial(step, backward=False),
        at_least=1 / 3.3,
        rounds=3,
        clock=time.thread_time,
    )
    network.eval()


MEASURE = """
import sys, numpy as np, torch
from seg3d_core.benchmark.memory import peak_bytes
from seg3d_core.config import SEGMENT3D_PRESETS
from seg3d_core.segment3d.inference import InferenceNetwork
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.sparse.tensor import SparseTensor

voxels = torch.from_numpy(np.load(sys.argv[1]))
network = InferenceNetwork(Segment3DNetwork(SEGMENT3D_PRESETS["base"]), "torch")

def run(rows):
    x = SparseTensor.from_coordinates(voxels[:rows], torch.rand(rows, 3))
    network(x, voxels[:rows, 1:] * 0.02)

run(1000)  # compiles
print(peak_bytes(lambda: run(len(voxels)), torch.device("cpu")) or -1)
"""


def test_peak_memory(scene: Callable[[int], torch.Tensor], tmp_path: Path) -> None:
    """At 150,000 voxels inference needs at most 1.2 GB more than before, in a process of its own."""
    voxels = scene(150)
    np.save(tmp_path / "voxels.npy", voxels.numpy())
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "voxels.npy")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    peak = int(result.stdout)
    if peak < 0:
        pytest.skip("this system does not tell")
    print(f"peak memory of inference, {len(voxels)} voxels: {peak / 1e6:.0f} MB")
    assert peak <= 1.2e9
