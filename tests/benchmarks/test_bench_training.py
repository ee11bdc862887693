"""A step of training nano, with matching and loss, against its forward pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric")

from seg3d_core.learning.segment3d.batches import batch_of  # noqa: E402
from seg3d_core.learning.segment3d.criterion import Criterion  # noqa: E402
from seg3d_core.learning.segment3d.processes import start_processes  # noqa: E402
from seg3d_core.learning.segment3d.samples import VoxelSample  # noqa: E402
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig  # noqa: E402
from seg3d_core.learning.segment3d.trainer import Trainer, first_network  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

CONFIG = Segment3DTrainingConfig.build({"preset": "nano", "device": "cpu", "threads": 1, "clip": 1.0})
MASKS = 25


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def sample(request: pytest.FixtureRequest, room_voxels: Callable[[int], np.ndarray]) -> VoxelSample:
    """A partial cloud of 15,000 voxels, or few where nothing is timed, cut into slices."""
    voxels = room_voxels(15_000 if request.config.getoption("--bench") else 600)[:, 1:].astype(np.int32)
    slices = np.linspace(0, MASKS, len(voxels), endpoint=False).astype(int)
    colours = np.random.default_rng(0).normal(size=voxels.shape).astype(np.float32)
    masks = slices == np.arange(MASKS)[:, None]
    return VoxelSample(voxels, colours, (voxels * 0.02).astype(np.float32), masks)


def test_a_step(sample: VoxelSample, compare: Callable[..., None]) -> None:
    trainer, network = Trainer(CONFIG, start_processes(CONFIG)), first_network(CONFIG).train()
    batch = batch_of([sample], torch.device("cpu"))

    def forward() -> None:
        output = network(SparseTensor.from_coordinates(batch.coordinates, batch.colours), batch.xyz)
        for prediction in (*output.auxiliary, output.prediction):
            assert len(prediction.mask_logits) == 1

    compare(
        f"training step of nano, {len(sample)} voxels, {MASKS} masks, all of it",
        lambda: trainer.learn([sample]),
        "its forward pass alone",
        forward,
        at_least=1 / 3.3,
        rounds=7,
        clock=time.thread_time,
    )


def test_the_loss(sample: VoxelSample, compare: Callable[..., None]) -> None:
    network = first_network(CONFIG).train()
    batch = batch_of([sample], torch.device("cpu"))
    output = network(SparseTensor.from_coordinates(batch.coordinates, batch.colours), batch.xyz)
    predictions = [*output.auxiliary, output.prediction]
    fewer = Criterion(CONFIG.loss.model_copy(update={"matching_voxels": 1024}))
    losses = fewer(predictions, batch.masks)
    assert torch.isfinite(losses.total)
    assert [len(found.queries) for of_scenes in losses.matches for found in of_scenes] == [MASKS] * len(predictions)
    compare(
        "matching by 1024 voxels, losses and their gradients",
        lambda: fewer(predictions, batch.masks),
        "matching by all",
        lambda: Criterion(CONFIG.loss)(predictions, batch.masks),
        at_least=1,
        rounds=7,
        clock=time.thread_time,
    )
