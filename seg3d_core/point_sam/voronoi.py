"""The Voronoi tokenizer of the 2024-12 revision of Point-SAM: every point belongs to its nearest centre alone.

Parameters are named as in the authors' program, of which no such weights were released. Theirs has three faults that
are not repeated here: it pools the masks of all clouds and prompts of a batch into the cells of the first; its pooled
mask features start from 0, so that negative ones are lost; and its inference asks for neighbours that this tokenizer
does not have, and stops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.config_base import FarthestPointTies
from seg3d_core.point_ops.neighbours import nearest
from seg3d_core.point_sam.linear import Linear
from seg3d_core.point_sam.patches import gather_rows, rows_at_once, sample_centres

_BLOCKS = 3
"""Before and after points become cells, and after a mask has become cells."""
_SMALLEST_DISTANCE = 1e-8
_POINTS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Cells:
    """Which cell each point belongs to.

    Attributes:
        centre_rows: (B, L) row of each cell's centre.
        centres: (B, L, 3) in the unit of the cloud.
        cell: (B, N) the cell of each point; of equally near ones the first. Cells of repeated centres are empty.
        offsets: (B, N, 3) points minus their centres.
        distances: (B, N, 1) their lengths.
    """

    centre_rows: Int64[Tensor, "B L"]
    centres: Float[Tensor, "B L 3"]
    cell: Int64[Tensor, "B N"]
    offsets: Float[Tensor, "B N 3"]
    distances: Float[Tensor, "B N 1"]

    def largest(self, describe: Callable[[slice], Float[Tensor, "..."]]) -> Float[Tensor, "..."]:
        """The largest of each feature among the points of each cell, 0 where there are none.

        Args:
            describe: features (B, N, C) or (B, M, N, C) of the points whose rows it is given.

        Returns:
            (B, L, C) or (B, M, L, C).
        """
        at_once = rows_at_once(_POINTS_AT_ONCE, self.centres.device)
        pooled: Tensor | None = None
        for start in range(0, self.cell.shape[1], at_once):
            some = slice(start, start + at_once)
            features = describe(some)
            if pooled is None:
                shape = (*features.shape[:-2], self.centres.shape[1], features.shape[-1])
                pooled = features.new_full(shape, -torch.inf)
            rows = self.cell[:, some].reshape(len(self.cell), *[1] * (features.ndim - 3), -1, 1)
            pooled = pooled.scatter_reduce_(-2, rows.expand_as(features), features, "amax")
        assert pooled is not None
        return pooled.masked_fill(pooled.isneginf(), 0)


def divide_into_cells(
    xyz: Float32[Tensor, "B N 3"], cells: int, ties: FarthestPointTies, dtype: torch.dtype = torch.float32
) -> Cells:
    """Cells around ``cells`` farthest points from row 0 on. No gradients.

    Raises:
        InputError: points that are not finite, fewer than 3 cells, or more cells than points.
    """
    xyz = xyz.detach()
    centre_rows = sample_centres(xyz, cells, ties)
    centres = gather_rows(xyz, centre_rows)
    cell = nearest(centres, xyz, 1)[0][..., 0]
    offsets = xyz.to(dtype) - gather_rows(centres, cell).to(dtype)
    return Cells(centre_rows, centres.to(dtype), cell, offsets, offsets.norm(dim=-1, keepdim=True))


class CellEmbedding(nn.Module):
    """Cells of a coloured cloud as tokens."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_proj = Linear(7, channels)
        self.blocks1 = nn.Sequential(*(_OfTokenizer(channels) for _ in range(_BLOCKS)))
        self.blocks2 = nn.Sequential(*(_OfTokenizer(channels) for _ in range(_BLOCKS)))
        self.norm = nn.LayerNorm(channels)
        self.out_proj = Linear(channels, out_channels)

    def forward(self, cells: Cells, rgb: Float[Tensor, "B N 3"]) -> Float[Tensor, "B L C"]:
        """A token of each cell, from directions and distances to its centre and colours (-1..1) of its points."""
        dtype = self.in_proj.weight.dtype
        directions = cells.offsets / cells.distances.clamp(min=_SMALLEST_DISTANCE)
        points = torch.cat([directions.to(dtype), cells.distances.to(dtype), rgb.to(dtype)], dim=-1)
        pooled = cells.largest(lambda some: self.blocks1(self.in_proj(points[:, some])))
        tokens: Tensor = self.out_proj(self.norm(self.blocks2(pooled)))
        return tokens


class CellMaskEncoder(nn.Module):
    """What a mask says about each cell; the counterpart of ``MaskEncoder``."""

    def __init__(self, hidden_channels: int, channels: int) -> None:
        super().__init__()
        self.first_nn = nn.Linear(5, hidden_channels)
        self.second_nn = _AfterCells(hidden_channels, channels)
        self.no_mask_embed = nn.Embedding(1, channels)

    def encode_offsets(self, cells: Cells) -> Float[Tensor, "B N 4"]:
        """What of the first layer's input depends on the cloud alone: offsets, not of unit length, and distances."""
        return torch.cat([cells.offsets, cells.distances], dim=-1).to(self.first_nn.weight.dtype)

    def forward(
        self, offsets: Float[Tensor, "B N 4"], cells: Cells, mask_logits: Float[Tensor, "B M N"]
    ) -> Float[Tensor, "B M L C"]:
        """Embeddings of masks given as logits; ``offsets`` is what ``encode_offsets`` made of ``cells``."""
        weight, bias = self.first_nn.weight, self.first_nn.bias
        logits = mask_logits.to(weight.dtype)[..., None]

        def first_layer(some: slice) -> Tensor:
            return functional.linear(offsets[:, None, some], weight[:, 1:], bias) + logits[:, :, some] * weight[:, 0]

        embedded: Tensor = self.second_nn(cells.largest(first_layer))
        return embedded

    def without_mask(self) -> Float[Tensor, "C"]:
        """The embedding of every cell where there is no mask."""
        embedded: Tensor = self.no_mask_embed.weight[0]
        return embedded


class _OfTokenizer(nn.Module):
    """A norm and two layers with another norm between, added to what comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            Linear(channels, channels), nn.GELU(), nn.LayerNorm(channels), Linear(channels, channels)
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        """Each row by itself."""
        result: Tensor = x + self.mlp(self.norm(x))
        return result


class _OfMask(nn.Module):
    """A layer, a norm and GELU, added to what comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(Linear(channels, channels), nn.LayerNorm(channels), nn.GELU())

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        """Each row by itself."""
        result: Tensor = x + self.mlp(x)
        return result


class _AfterCells(nn.Module):
    """From pooled features of a mask to embeddings."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        blocks = [_OfMask(hidden) for _ in range(_BLOCKS)]
        self.mlp = nn.Sequential(
            Linear(hidden, hidden), nn.LayerNorm(hidden), nn.GELU(), *blocks, Linear(hidden, channels)
        )

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B D"]:
        """Each row by itself."""
        result: Tensor = self.mlp(x)
        return result
