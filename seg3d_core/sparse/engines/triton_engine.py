"""The engine for CUDA: one fused kernel per layer, compiled by Triton for the GPU that is there."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float

from seg3d_core.errors import ConfigError
from seg3d_core.sparse.engines.choice import TRITON_CAPABILITY
from seg3d_core.sparse.engines.interface import FusedConvolution, Step
from seg3d_core.sparse.engines.packages import Abilities, Kernel, imported
from seg3d_core.sparse.engines.triton_layers import Launcher, Layer, Weights
from seg3d_core.sparse.engines.triton_maps import tiles_of
from seg3d_core.sparse.tensor import SparseTensor

_INSTALL = "pip install triton==3.7.1 (Linux; that is what PyTorch 2.13 is made for, whose CUDA builds bring it along)"


class TritonEngine:
    """Runs layers as implicit matrix products on tensor cores.

    Sums are made in float32 whatever the type of the features, always in the same order. Layers are compiled when they
    are made, each kind once (under a second; Triton keeps it on disk), never while a cloud waits.

    Raises:
        ConfigError: Triton is missing (with how to install it), or the device is none that it compiles for.
    """

    name = "triton"
    abilities = Abilities(
        "triton",
        {"same": (1, 3, 5, 7), "down": (2, 3, 5), "up": (2,)},
        (torch.float16, torch.bfloat16, torch.float32),
    )

    def __init__(self, device: torch.device) -> None:
        runtime = imported("triton", self.name, _INSTALL).knobs.runtime
        kernels = imported("seg3d_core.sparse.engines.triton_kernels", self.name, _INSTALL)
        # Triton's interpreter runs kernels on the CPU, for tests.
        processors = 1 if runtime.interpret else _processors(device)
        self._launcher = Launcher(kernels, device, processors, compiles=not runtime.interpret)

    def convolution(
        self, kernel: Kernel, bias: Float[torch.Tensor, " Cout"] | None, step: Step, relu: bool = False
    ) -> FusedConvolution:
        """The layer with these weights, compiled.

        Raises:
            ConfigError: no such kernel size or type, or the kernel is on another device.
        """
        self.abilities.check(kernel, step, self._launcher.device)
        layer = Layer(Weights.of(kernel, bias), step, 0.0 if relu else -math.inf, self._launcher)
        self._launcher.compile(layer.weights)
        return layer

    def prepare(self, x: SparseTensor, steps: list[tuple[int, Step]]) -> None:
        """Make the tiles of layers that read the level of a stride and take a step."""
        for stride, step in [*steps, *((stride, Step(1)) for stride in {stride for stride, _ in steps})]:
            tiles_of(x.maps, stride, step, self._launcher.processors)


def _processors(device: torch.device) -> int:
    """Number of multiprocessors of a GPU that Triton compiles for.

    Raises:
        ConfigError: it is none.
    """
    if device.type != "cuda":
        raise ConfigError(f"engine triton runs on CUDA devices, {device} was asked for")
    properties = torch.cuda.get_device_properties(device)
    if (properties.major, properties.minor) < TRITON_CAPABILITY:
        raise ConfigError(
            f"engine triton needs compute capability {TRITON_CAPABILITY[0]}.{TRITON_CAPABILITY[1]} or later, "
            f"{properties.name} has {properties.major}.{properties.minor}"
        )
    return int(properties.multi_processor_count)
