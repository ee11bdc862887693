"""Segment3D as it is run, not trained: normalisations folded into the kernels, layers made by an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seg3d_core.segment3d.backbone import BasicBlock, Layer, Res16UNet34C, u_net
from seg3d_core.segment3d.layout import lay_out
from seg3d_core.segment3d.model import NetworkOutput, SceneDecoder, Segment3DNetwork
from seg3d_core.sparse.engines.choice import choose_engine
from seg3d_core.sparse.engines.interface import Engine, FusedConvolution, PreparesMaps, Step
from seg3d_core.sparse.layers import BatchNorm, Convolution, TransposedConvolution
from seg3d_core.sparse.tensor import SparseTensor
from seg3d_core.stages import stage

_SAME = Step(3)
_DOWN = Step(2, "down")
_UP = Step(2, "up")
_STRIDES = (1, 2, 4, 8, 16)

_STEPS = [
    (1, Step(5)),
    *((stride, step) for stride in _STRIDES for step in (Step(1), _SAME)),
    *((fine, _DOWN) for fine, _ in pairwise(_STRIDES)),
    *((coarse, _UP) for _, coarse in pairwise(_STRIDES)),
]
"""Every stride and step of the backbone."""


class InferenceNetwork:
    """What ``Segment3DNetwork.eval()`` computes, faster; a copy that does not follow later training.

    Args:
        network: on the device where it is to run.
        engine: or its name, see ``choose_engine``.
        dtype: of the features and kernels of the backbone; that of the network unless given. The decoder keeps the
            type of the network.

    Raises:
        ConfigError, DeviceError: see ``choose_engine``.
    """

    def __init__(
        self, network: Segment3DNetwork, engine: Engine | str = "auto", dtype: torch.dtype | None = None
    ) -> None:
        own = network.mask_features_head.kernel
        self.engine = choose_engine(engine, own.device) if isinstance(engine, str) else engine
        self._backbone = FoldedBackbone(network.backbone, self.engine, dtype or own.dtype)
        self._decoder = _decoder_of(network)
        self.config = network.config

    @torch.no_grad()
    def __call__(
        self,
        x: SparseTensor,
        xyz: Float[Tensor, "N 3"],
        voxel_to_segment: Int64[Tensor, " M"] | None = None,
        num_queries: int | None = None,
    ) -> NetworkOutput:
        """Instances of every scene, see ``Segment3DNetwork.forward``.

        All that depends on the voxels alone is made first; on CUDA nothing after that waits for the device.

        Raises:
            InputError: ``x`` has no voxels, a scene of the batch has none, or a number of rows or segments is wrong.
        """
        with stage("layout"):
            layout = lay_out(x, xyz, self.config, voxel_to_segment, num_queries)
        with stage("maps"):
            if isinstance(self.engine, PreparesMaps):
                self.engine.prepare(x, _STEPS)
        with stage("backbone"):
            levels = self._backbone(x)
        with stage("decoder"):
            output = self._decoder.predict(layout, levels, xyz, auxiliary=False)
            output.prediction.mask_logits  # noqa: B018  (made here, where it counts as the decoder's time)
            return output


class FoldedBackbone:
    """Res16UNet34C without normalisations: kernels are scaled, what is left of them is a bias.

    Args:
        backbone: as trained; its running means and variances are used, whatever mode it is in.
        engine: makes the layers.
        dtype: of the layers.
    """

    def __init__(self, backbone: Res16UNet34C, engine: Engine, dtype: torch.dtype) -> None:
        self._dtype = dtype
        layer = partial(_folded, engine, dtype)
        self._stem = layer(backbone.conv0p1s1, backbone.bn0, Step(5), relu=True)
        directions = [_DOWN] * 4 + [_UP] * 4
        stages = backbone.stages()
        self._steps = [
            layer(stage[0], stage[1], step, relu=True) for stage, step in zip(stages, directions, strict=True)
        ]
        self._blocks = [
            partial(_run, [_FoldedBlock(cast(BasicBlock, block), layer) for block in blocks]) for _, _, blocks in stages
        ]

    def __call__(self, x: SparseTensor) -> list[SparseTensor]:
        """Features of the levels of stride 16, 8, 4, 2 and 1, in the type of ``x``."""
        levels = u_net(self._stem(x.replace(x.features.to(self._dtype))), self._steps, self._blocks)
        return [level.replace(level.features.to(x.features.dtype)) for level in levels]


class _FoldedBlock:
    def __init__(self, block: BasicBlock, layer: Callable[..., FusedConvolution]) -> None:
        self._first = layer(block.conv1, block.norm1, _SAME, relu=True)
        self._second = layer(block.conv2, block.norm2, _SAME, relu=True)
        self._short_cut = None if block.downsample is None else layer(*block.downsample, Step(1), relu=False)

    def __call__(self, x: SparseTensor) -> SparseTensor:
        short_cut = x if self._short_cut is None else self._short_cut(x)
        return self._second(self._first(x), short_cut.features)


def _run(layers: Sequence[Layer], x: SparseTensor) -> SparseTensor:
    for layer in layers:
        x = layer(x)
    return x


def _folded(
    engine: Engine,
    dtype: torch.dtype,
    convolution: Convolution | TransposedConvolution,
    norm: BatchNorm,
    step: Step,
    relu: bool,
) -> FusedConvolution:
    """The layer that does what ``norm`` does after ``convolution``; folded in double precision."""
    bn = norm.bn
    scale = bn.weight.double() / (_buffer(bn.running_var) + bn.eps).sqrt()
    kernel = convolution.kernel.double() * scale
    bias = bn.bias.double() - _buffer(bn.running_mean) * scale
    return engine.convolution(kernel.detach().to(dtype), bias.detach().to(dtype), step, relu)


def _buffer(values: Tensor | None) -> Float[Tensor, " C"]:
    return cast(Tensor, values).double()


def _decoder_of(network: Segment3DNetwork) -> SceneDecoder:
    """A copy of the network but for its backbone."""
    with torch.device("meta"):
        decoder = SceneDecoder(network.config)
    values = {name: network.state_dict()[name].clone() for name in decoder.state_dict()}
    decoder.load_state_dict(values, assign=True)
    return decoder.eval()
