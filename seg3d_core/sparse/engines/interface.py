"""What a network asks of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float

from seg3d_core.sparse.tensor import SparseTensor


@dataclass(frozen=True)
class Step:
    """Which voxels a convolution reads and writes.

    Attributes:
        kernel_size: odd where the voxels stay (1 is a matrix), 2 where they do not.
        direction: ``same`` voxels, ``down`` to every voxel of twice the edge that holds one, ``up`` to the voxels that
            the next finer level had.
    """

    kernel_size: int
    direction: Literal["same", "down", "up"] = "same"


@runtime_checkable
class FusedConvolution(Protocol):
    """One layer, its weights where and as its engine wants them."""

    def __call__(self, x: SparseTensor, residual: Float[torch.Tensor, "W Cout"] | None = None) -> SparseTensor:
        """Convolution of ``x`` plus bias plus ``residual``, then ReLU where the layer has one.

        Rows come and go in the order of ``x.maps``, whatever the engine does in between; the type stays.
        """
        ...


@runtime_checkable
class Engine(Protocol):
    """Runs convolutions without gradients; all engines give the same results within the tolerance of the type.

    What an engine needs to know of an input (its own indices, sorted rows) is made once per input and kept in
    ``x.maps`` (``CoordinateMaps.cached``).
    """

    name: str

    def convolution(
        self,
        kernel: Float[torch.Tensor, "K3 Cin Cout"] | Float[torch.Tensor, "Cin Cout"],
        bias: Float[torch.Tensor, " Cout"] | None,
        step: Step,
        relu: bool = False,
    ) -> FusedConvolution:
        """The layer with these weights, on their device and of their type.

        Raises:
            ConfigError: the engine has no such kernel size, type or device; the message says what it has.
        """
        ...


@runtime_checkable
class PreparesMaps(Protocol):
    """An engine that can make all that its layers need to know of an input before the first of them runs.

    On CUDA this is where the device is waited for; the layers themselves then never do.
    """

    def prepare(self, x: SparseTensor, steps: list[tuple[int, Step]]) -> None:
        """Make what layers need that read the level of a stride and take a step; coarser levels exist already."""
        ...
