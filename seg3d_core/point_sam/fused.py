"""What most of a click's time goes to, as it is run on a CPU without gradients: blocks of rows that stay in cache.

Packed weights are copies of a call's length: nothing is kept that training could leave behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from seg3d_core.point_sam.linear import by_onednn
from seg3d_core.point_sam.norm_kernels import norm_interpolated, norm_members, norm_patches
from seg3d_core.sparse.matmul import packed_for_onednn
from seg3d_core.sparse.scratch import SCRATCH

_NUMBERS_AT_ONCE = 2**18
"""Of every thread: 1 MB, as much as the second-level cache of one core holds."""


def _rows_in_cache(*layers: nn.Linear) -> int:
    """Rows of which the results of any of ``layers`` stay in the caches."""
    return max(1, _NUMBERS_AT_ONCE * torch.get_num_threads() // max(layer.out_features for layer in layers))


@dataclass(frozen=True, eq=False)
class FusedPointNet:
    """Layers of a ``PatchPointNet`` after its first linear one.

    Attributes:
        column: (H,) weights of the first layer for its last input channel.
        norms: of the members, of members that know their patch.
        inner, of_patch, of_point, last: weights, packed but for ``of_patch``.
        inner_bias, patch_bias, last_bias: theirs.
        rows_at_once: members that are described together.
    """

    column: Float32[np.ndarray, " H"]
    norms: tuple[_Norm, _Norm]
    inner: Tensor
    inner_bias: Tensor
    of_patch: Float[Tensor, "W H"]
    of_point: Tensor
    patch_bias: Tensor
    last: Tensor
    last_bias: Tensor
    rows_at_once: int

    @classmethod
    def of(cls, conv1: nn.Sequential, conv2: nn.Sequential) -> FusedPointNet:
        """The layers of both halves: linear, norm, GELU, linear."""
        first, norm1, _, inner = cast("tuple[nn.Linear, nn.LayerNorm, nn.GELU, nn.Linear]", tuple(conv1))
        widen, norm2, _, last = cast("tuple[nn.Linear, nn.LayerNorm, nn.GELU, nn.Linear]", tuple(conv2))
        of_patch, of_point = widen.weight.detach().chunk(2, dim=1)
        rows = _rows_in_cache(inner, widen, last)
        return cls(
            _array(first.weight[:, -1]),
            (_Norm.of(norm1), _Norm.of(norm2)),
            packed_for_onednn(inner.weight, rows),
            inner.bias,
            of_patch.contiguous(),
            packed_for_onednn(of_point, rows),
            widen.bias,
            packed_for_onednn(last.weight, rows),
            last.bias,
            rows,
        )

    def __call__(
        self, hidden: Float[Tensor, "*#B L K H"], last_channel: Float[Tensor, "*B L K"]
    ) -> Float[Tensor, "*B L D"]:
        """Features of patches, see ``PatchPointNet.after_first``."""
        *batch, patches, size = last_channel.shape
        hidden = hidden.expand(*last_channel.shape, -1)
        out = hidden.new_empty(*batch, patches, len(self.last_bias))
        at_once = max(1, self.rows_at_once // size)
        for index in np.ndindex(*batch):
            for start in range(0, patches, at_once):
                some = (*index, slice(start, start + at_once))
                out[some] = self._describe(hidden[some], last_channel[some])
        return out

    def _describe(self, hidden: Float[Tensor, "P K H"], last_channel: Float[Tensor, "P K"]) -> Float[Tensor, "P D"]:
        patches, size, channels = hidden.shape
        inner, outer = self.norms
        normed = SCRATCH.matrix("members", patches * size, hidden, channels)
        rows, values = _array(hidden.flatten(0, 1)), _array(last_channel.flatten())
        cast(Any, norm_members)(rows, values, self.column, *inner.numbers, _array(normed))
        members = by_onednn(normed, self.inner, self.inner_bias)
        # What every member is told about its patch is the same for all: computed once, not for each of them.
        told = by_onednn(members.view(patches, size, channels).amax(dim=1), self.of_patch, self.patch_bias)
        wide = by_onednn(members, self.of_point)
        cast(Any, norm_patches)(_array(wide), _array(told), *outer.numbers)
        return by_onednn(wide, self.last, self.last_bias).view(patches, size, -1).amax(dim=1)


@dataclass(frozen=True, eq=False)
class FusedUpscaling:
    """Features of points from those of patches, after their first linear layer.

    Attributes:
        norm: the first thing that is done to them.
        last: weight of the layer after it, packed.
        bias: its own.
        rows_at_once: points that are best asked for together.
    """

    norm: _Norm
    last: Tensor
    bias: Tensor
    rows_at_once: int

    @classmethod
    def of(cls, layers: nn.Sequential) -> FusedUpscaling:
        """Of linear, norm, GELU, linear, GELU."""
        _, norm, _, last, _ = cast("tuple[nn.Linear, nn.LayerNorm, nn.GELU, nn.Linear, nn.GELU]", tuple(layers))
        rows = _rows_in_cache(last)
        return cls(_Norm.of(norm), packed_for_onednn(last.weight, rows), last.bias, rows)

    def __call__(
        self, widened: Float[Tensor, "L C"], rows: Int64[Tensor, "N 3"], weights: Float[Tensor, "N 3"]
    ) -> Float[Tensor, "N C"]:
        """Features of the points whose table is given."""
        mixed = SCRATCH.matrix("mixed", len(rows), widened, widened.shape[1])
        table = (_array(rows), _array(weights))
        cast(Any, norm_interpolated)(_array(widened), *table, *self.norm.numbers, _array(mixed))
        return by_onednn(mixed, self.last, self.bias, "gelu")


@dataclass(frozen=True, eq=False)
class _Norm:
    scale: Float32[np.ndarray, " C"]
    shift: Float32[np.ndarray, " C"]
    eps: float

    @classmethod
    def of(cls, norm: nn.LayerNorm) -> _Norm:
        return cls(_array(norm.weight), _array(norm.bias), norm.eps)

    @property
    def numbers(self) -> tuple[np.ndarray, np.ndarray, np.float32]:
        return self.scale, self.shift, np.float32(self.eps)


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().contiguous().numpy()
    return array
