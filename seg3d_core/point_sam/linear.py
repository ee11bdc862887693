"""Linear layers as they are run: on a CPU and without gradients oneDNN multiplies, and activates what it writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.sparse.matmul import onednn_linear

Activation = Literal["none", "relu", "gelu", "swish"]

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "swish": functional.silu,
}

_WORTHWHILE = 2**20
"""Multiplications; of fewer, the call of oneDNN alone takes as long as PyTorch's whole product."""


class Linear(nn.Linear):
    """``nn.Linear``, by ``linear``."""

    def forward(self, x: Float[Tensor, "*B C"], then: Activation = "none") -> Float[Tensor, "*B D"]:
        """Each row by itself; ``then`` is applied to the result."""
        return linear(x, self.weight, self.bias, then)


def linear(
    x: Float[Tensor, "*B C"],
    weight: Float[Tensor, "D C"],
    bias: Float[Tensor, " D"] | None = None,
    then: Activation = "none",
) -> Float[Tensor, "*B D"]:
    """``x @ weight.T + bias``, then the activation; differentiable. The way to it changes the last digits alone."""
    if not (without_gradients(x) and x[..., 0].numel() * weight.numel() >= _WORTHWHILE):
        return _ACTIVATIONS[then](functional.linear(x, weight, bias))
    return by_onednn(x, weight, bias, then)


def by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None, then: Activation = "none") -> Tensor:
    """``linear`` of values that ``without_gradients`` holds for; ``weight`` may be packed."""
    operator: Any = onednn_linear()
    if operator is None:
        return _ACTIVATIONS[then](functional.linear(x, weight, bias))
    result: Tensor = operator(x, weight, bias, then, [], "none" if then == "gelu" else "")
    return result


def without_gradients(x: Tensor) -> bool:
    """Whether ``x`` is float32 on a CPU and nothing but the result of what is computed from it counts."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )
