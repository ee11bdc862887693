"""The running mean of a network's weights: what is judged and kept of a training."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class RunningMean(Generic[Network]):
    """Follows a network, each step a little (exponential moving average).

    Attributes:
        network: weights and statistics are the means; nothing is trained in it.

    Args:
        followed: is copied as it is now; the numbers that count are those it has at each ``update``.
        decay: 0..1, share of the mean that stays at each step.
    """

    def __init__(self, followed: Network, decay: float) -> None:
        self.network = copy.deepcopy(followed).eval().requires_grad_(False)
        self._decay = decay
        self._means, self._values = _numbers(self.network), _numbers(followed)

    def update(self, step: int) -> None:
        """After ``step``, counted from 0.

        While there are few steps it is their plain mean: the random weights of the beginning are soon forgotten.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self._means, self._values, 1 - decay)


def _numbers(network: nn.Module) -> list[Tensor]:
    """Weights and statistics."""
    return [value for value in network.state_dict().values() if value.is_floating_point()]
