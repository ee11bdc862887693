"""Res16UNet34C: the sparse U-Net of Choy et al. (2019), layers named as in released checkpoints.

The numbers in a name are the stride (p) that a layer reads and the stride (s) of its step: ``conv1p1s2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from seg3d_core.segment3d_config import Segment3DConfig
from seg3d_core.sparse.layers import BatchNorm, Convolution, TransposedConvolution
from seg3d_core.sparse.tensor import SparseTensor

_MOMENTUM = 0.02
"""Of all batch norms outside residual branches, where the released network keeps torch's 0.1."""

_DOWN = ("conv1p1s2", "conv2p2s2", "conv3p4s2", "conv4p8s2")
_UP = ("convtr4p16s2", "convtr5p8s2", "convtr6p4s2", "convtr7p2s2")

Layer = Callable[[SparseTensor], SparseTensor]


class BasicBlock(nn.Module):
    """Two convolutions of size 3 beside a short cut (a matrix where the number of channels changes)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = Convolution(in_channels, channels, 3)
        self.norm1 = BatchNorm(channels)
        self.conv2 = Convolution(channels, channels, 3)
        self.norm2 = BatchNorm(channels)
        self.downsample = None
        if in_channels != channels:
            self.downsample = nn.Sequential(
                Convolution(in_channels, channels, 1), BatchNorm(channels, momentum=_MOMENTUM)
            )

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features of the same voxels."""
        inner = self.norm2(self.conv2(_relu(self.norm1(self.conv1(x)))))
        short_cut = x if self.downsample is None else self.downsample(x)
        return _relu(inner.replace(inner.features + short_cut.features))


class Res16UNet34C(nn.Module):
    """Features at five resolutions from one encoder-decoder."""

    def __init__(self, config: Segment3DConfig) -> None:
        super().__init__()
        stem, channels = config.stem_channels, config.stage_channels
        self.conv0p1s1 = Convolution(config.in_channels, stem, 5)
        self.bn0 = BatchNorm(stem, momentum=_MOMENTUM)
        width = stem
        for stage in range(4):
            self.add_module(_DOWN[stage], Convolution(width, width, 2, stride=2))
            self.add_module(f"bn{stage + 1}", BatchNorm(width, momentum=_MOMENTUM))
            width = self._add_block(stage, width, config)
        for stage, skipped in zip(range(4, 8), (channels[2], channels[1], channels[0], stem), strict=True):
            self.add_module(_UP[stage - 4], TransposedConvolution(width, channels[stage]))
            self.add_module(f"bntr{stage}", BatchNorm(channels[stage], momentum=_MOMENTUM))
            width = self._add_block(stage, channels[stage] + skipped, config)
        # Never applied: there so that released checkpoints load strictly.
        self.final = Convolution(width, config.unused_classes, 1, bias=True)

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """Features of the levels of stride 16, 8, 4, 2 and 1; the last has the voxels and rows of ``x``."""
        steps = [partial(_normalised_step, step, norm) for step, norm, _ in self.stages()]
        return u_net(_relu(self.bn0(self.conv0p1s1(x))), steps, [blocks for _, _, blocks in self.stages()])

    def stages(self) -> list[tuple[Convolution | TransposedConvolution, BatchNorm, nn.Sequential]]:
        """The eight stages: the step to the level, its normalisation, the residual blocks there."""
        norms = [f"bn{i + 1}" for i in range(4)] + [f"bntr{i}" for i in range(4, 8)]
        names = zip(_DOWN + _UP, norms, (f"block{i + 1}" for i in range(8)), strict=True)
        return [cast(Any, tuple(map(self.get_submodule, stage))) for stage in names]

    def _add_block(self, stage: int, in_channels: int, config: Segment3DConfig) -> int:
        channels = config.stage_channels[stage]
        inputs = [in_channels] + [channels] * (config.stage_blocks[stage] - 1)
        self.add_module(f"block{stage + 1}", nn.Sequential(*(BasicBlock(width, channels) for width in inputs)))
        return channels


def u_net(x: SparseTensor, steps: Sequence[Layer], blocks: Sequence[Layer]) -> list[SparseTensor]:
    """Four stages down and four up, each a step and its blocks; on the way up the finer features are joined in.

    Returns:
        What the last five stages give, from the coarsest level to the finest.
    """
    skipped, levels = [], []
    for stage, (step, block) in enumerate(zip(steps, blocks, strict=True)):
        if stage < 4:
            skipped.append(x)
        x = step(x)
        x = block(_joined(x, skipped.pop()) if stage >= 4 else x)
        if stage >= 3:
            levels.append(x)
    return levels


def _normalised_step(step: nn.Module, norm: nn.Module, x: SparseTensor) -> SparseTensor:
    return _relu(cast(SparseTensor, norm(step(x))))


def _relu(x: SparseTensor) -> SparseTensor:
    return x.replace(x.features.relu())


def _joined(x: SparseTensor, skipped: SparseTensor) -> SparseTensor:
    """The channels of both, row by row."""
    return x.replace(torch.cat([x.features, skipped.features], dim=1))
