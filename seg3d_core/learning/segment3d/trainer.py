"""One step of training: losses, gradients, the running mean of weights; and all that the next step depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64
from lightning_fabric import Fabric
from torch import Tensor, nn

from seg3d_core.checkpoints.audit import load_weights
from seg3d_core.errors import CheckpointError
from seg3d_core.learning.averaging import RunningMean
from seg3d_core.learning.segment3d.batches import batch_of
from seg3d_core.learning.segment3d.criterion import Criterion
from seg3d_core.learning.segment3d.processes import means_over_processes, share_batch_statistics
from seg3d_core.learning.segment3d.samples import VoxelSample
from seg3d_core.learning.segment3d.schedule import one_cycle
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig
from seg3d_core.segment3d.checkpoint import load_network
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS
from seg3d_core.sparse.scratch import free_scratch
from seg3d_core.sparse.tensor import SparseTensor


@dataclass(frozen=True)
class StepLosses:
    """Of one step: the whole loss, and the parts of the result's without their weights."""

    loss: float
    of_classes: float
    of_masks: float
    of_dice: float

    def words(self) -> str:
        """For people."""
        return f"loss {self.loss:.2f}, class {self.of_classes:.3f}, mask {self.of_masks:.3f}, dice {self.of_dice:.3f}"


class Learner(nn.Module):
    """A network with its loss: plain tensors in and out, so that it can be spread over processes."""

    def __init__(self, network: Segment3DNetwork, criterion: Criterion) -> None:
        super().__init__()
        self.network, self._criterion = network, criterion

    def forward(
        self,
        coordinates: Int32[Tensor, "V 4"],
        colours: Float32[Tensor, "V 3"],
        xyz: Float32[Tensor, "V 3"],
        masks: list[Bool[Tensor, "_ _"]],
        segments: Int64[Tensor, " V"] | None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "3"]]:
        """The loss, and the result's of classes, masks and dice without their weights."""
        output = self.network(SparseTensor.from_coordinates(coordinates, colours), xyz, segments)
        places = _columns(output.query_voxels, coordinates, segments)
        losses = self._criterion([*output.auxiliary, output.prediction], masks, places)
        parts = torch.stack([losses.of_classes[-1], losses.of_masks[-1], losses.of_dice[-1]])
        return losses.total, parts.detach()


class Trainer:
    """A network, the running mean of its weights, its optimiser, and the number of the next step.

    Attributes:
        step: the next one, from 0.
        halved: batches that were worked on in parts since memory did not suffice.
        dropped: samples that memory did not suffice for at all.
        failed: steps whose gradients were not finite: nothing was learned.

    Raises:
        CheckpointError: ``config.start_from`` cannot be read or does not fit.
    """

    def __init__(self, config: Segment3DTrainingConfig, fabric: Fabric) -> None:
        self._config, self._fabric = config, fabric
        network = first_network(config).to(fabric.device)
        # Never applied: without this, processes would wait for its gradients.
        network.backbone.final.requires_grad_(False)
        if fabric.world_size > 1:
            share_batch_statistics(network)
        criterion = Criterion(config.loss, partial(means_over_processes, fabric))
        groups = _parameter_groups(network, config.schedule.decoder_factor)
        rate, momentum = one_cycle(0, config.steps, config.schedule)
        optimiser = torch.optim.AdamW(groups, rate, (momentum, 0.999), weight_decay=config.weight_decay, fused=True)
        self._learner, self._optimiser = fabric.setup(Learner(network, criterion), optimiser)
        self._network = network
        self._mean = RunningMean(network, config.average)
        self.step = self.halved = self.dropped = self.failed = 0
        self._since: list[StepLosses] = []

    @property
    def average(self) -> Segment3DNetwork:
        """With the running mean of weights: what is judged and kept."""
        return self._mean.network

    def learn(self, samples: Sequence[VoxelSample]) -> StepLosses:
        """One step on ``samples``; NaN where memory sufficed for none of them."""
        self._learner.train()
        rate, momentum = one_cycle(self.step, self._config.steps, self._config.schedule)
        for group in self._optimiser.param_groups:
            group["lr"], group["betas"] = rate * group["factor"], (momentum, group["betas"][1])
        losses = self._accumulate(samples)
        self._apply()
        self._mean.update(self.step)
        self.step += 1
        if math.isfinite(losses.loss):
            self._since.append(losses)
        return losses

    def recent(self) -> dict[str, float]:
        """Means since this was asked last, what went wrong so far, and the learning rate."""
        since, self._since = self._since, []
        names = {field.name: f"loss_{field.name}".replace("loss_loss", "loss") for field in fields(StepLosses)}
        return {
            **{said: _mean([getattr(one, name) for one in since]) for name, said in names.items()},
            "learning_rate": self._optimiser.param_groups[0]["lr"],
            "halved": float(self.halved),
            "dropped": float(self.dropped),
            "failed": float(self.failed),
        }

    def state(self, best: float) -> dict[str, Any]:
        """All that the next step depends on, and the best figure so far."""
        return {
            "step": self.step,
            "best": best,
            "config": self._config.model_dump(mode="json"),
            "network": self._network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "counts": [self.halved, self.dropped, self.failed],
            "since": [astuple(losses) for losses in self._since],
        }

    def restore(self, state: dict[str, Any] | None) -> float:
        """Go on from ``state``; the best figure so far, -1 where there is none.

        Raises:
            CheckpointError: it is of another network.
        """
        if state is None:
            return -1.0
        try:
            self._network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._fabric.strategy.precision.load_state_dict(state["precision"])
            self.halved, self.dropped, self.failed = state["counts"]
            self._since = [StepLosses(*values) for values in state["since"]]
            self.step = int(state["step"])
            return float(state["best"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"the last checkpoint does not fit this training: {error}") from error

    def _accumulate(self, samples: Sequence[VoxelSample]) -> StepLosses:
        """Gradients of all samples, in halves where memory does not suffice, without those that are too large alone."""
        parts, count = [list(samples)], len(samples)
        while True:
            self._optimiser.zero_grad(set_to_none=True)
            done = []
            for part in parts:
                losses = self._gradients(part, len(part) / count)
                if losses is None:
                    break
                done.append((losses, len(part)))
            else:
                return _weighted(done)
            free_scratch()
            part = parts[len(done)]
            self.halved += len(part) > 1
            self.dropped += len(part) == 1
            middle = len(part) // 2
            halves = [part[:middle], part[middle:]] if middle else []
            parts = [*parts[: len(done)], *halves, *parts[len(done) + 1 :]]

    def _gradients(self, samples: list[VoxelSample], share: float) -> StepLosses | None:
        """Add the gradients of these samples, times ``share``; None where memory does not suffice.

        Of several processes none can go on without the others: there it is an error.
        """
        batch = batch_of(samples, self._fabric.device)
        try:
            with torch.random.fork_rng(devices=_cuda(self._fabric.device)):
                # What is drawn in a step depends on nothing before it.
                torch.manual_seed(_mixed(self._config.seed, self.step, self._fabric.global_rank))
                total, parts = self._learner(batch.coordinates, batch.colours, batch.xyz, batch.masks, batch.segments)
            self._fabric.backward(total * share)
        except torch.OutOfMemoryError:
            if self._fabric.world_size > 1:
                raise
            return None
        said = means_over_processes(self._fabric, torch.cat([total.detach()[None], parts]))
        return StepLosses(*said.tolist())

    def _apply(self) -> None:
        norm = self._fabric.clip_gradients(
            self._learner, self._optimiser, max_norm=self._config.clip or math.inf, error_if_nonfinite=False
        )
        # Half precision lowers its own factor in a step that fails, and takes back the step.
        if cast(Tensor, norm).isfinite() or self._config.precision == "16-mixed":
            self._optimiser.step()
        else:
            self.failed += 1


def first_network(config: Segment3DTrainingConfig) -> Segment3DNetwork:
    """With random weights, or those of ``config.start_from``.

    Raises:
        CheckpointError: that file cannot be read or is of another network.
    """
    shape = SEGMENT3D_PRESETS[config.preset].model_copy(update={"num_queries": config.num_queries})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = Segment3DNetwork(shape)
    if config.start_from:
        load_weights(network, load_network(config.start_from).state_dict(), config.start_from)
    return network


def _parameter_groups(network: Segment3DNetwork, decoder_factor: float) -> list[dict[str, Any]]:
    """What is trained of the backbone, and of the decoder, with the factors of their learning rates."""
    own = [parameter for parameter in network.backbone.parameters() if parameter.requires_grad]
    known = {id(parameter) for parameter in network.backbone.parameters()}
    decoder = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [{"params": own, "factor": 1.0}, {"params": decoder, "factor": decoder_factor}]


def _columns(
    query_voxels: list[Int64[Tensor, " Q"]], coordinates: Int32[Tensor, "V 4"], segments: Int64[Tensor, " V"] | None
) -> list[Int64[Tensor, " Q"]]:
    """Of each scene, the columns of its masks in which its queries stand."""
    if segments is None:
        return query_voxels
    return [segments[coordinates[:, 0] == scene][rows] for scene, rows in enumerate(query_voxels)]


def _weighted(parts: list[tuple[StepLosses, int]]) -> StepLosses:
    """Means over parts of a batch of so many samples each."""
    if not parts:
        return StepLosses(*[math.nan] * 4)
    weights = [count for _, count in parts]
    return StepLosses(*np.average([astuple(losses) for losses, _ in parts], axis=0, weights=weights).tolist())


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _mixed(*numbers: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _cuda(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
