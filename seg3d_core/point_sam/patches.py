"""Patches of a cloud: farthest points with their nearest neighbours, and the small PointNet that describes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.config_base import FarthestPointTies
from seg3d_core.errors import InputError
from seg3d_core.point_ops.neighbours import nearest
from seg3d_core.point_ops.sampling import sample_farthest
from seg3d_core.point_sam.fused import FusedPointNet
from seg3d_core.point_sam.linear import without_gradients

FEWEST_PATCHES = 3
"""Every point takes its features from the three nearest patches."""


_MEMBERS_AT_ONCE = 512
"""1 MB of hidden channels; all of a cloud's at once would be written to memory and read back, at half the speed."""


def rows_at_once(on_cpu: int, device: torch.device) -> int:
    """How many rows of wide features to hold at a time: without gradients nothing needs them all.

    On a CPU as few as stay in its caches, ``on_cpu``; elsewhere as many as keep it busy.
    """
    if torch.is_grad_enabled():
        return 2**62
    return on_cpu if device.type == "cpu" else 2**18


@dataclass(frozen=True, eq=False)
class PatchGroups:
    """Which points belong to which patch; a point may belong to several patches, or to none.

    Attributes:
        centre_rows: (B, L) row of each patch's centre.
        member_rows: (B, L, K) rows of the centre's nearest points, the centre among them; nearest first.
        centres: (B, L, 3) in the unit of the cloud.
        offsets: (B, L, K, 3) members minus centre.
    """

    centre_rows: Int64[Tensor, "B L"]
    member_rows: Int64[Tensor, "B L K"]
    centres: Float[Tensor, "B L 3"]
    offsets: Float[Tensor, "B L K 3"]

    def members(self, values: Float[Tensor, "B M N"]) -> Float[Tensor, "B M L K"]:
        """Of M values of every point, those of the members."""
        batch, sets, _ = values.shape
        rows = self.member_rows.flatten(1)[:, None].expand(batch, sets, -1)
        return values.gather(2, rows).reshape(batch, sets, *self.member_rows.shape[1:])


def group_points(
    xyz: Float32[Tensor, "B N 3"],
    patches: int,
    size: int,
    ties: FarthestPointTies,
    dtype: torch.dtype = torch.float32,
) -> PatchGroups:
    """``patches`` farthest points from row 0 on, each with its ``size`` nearest points. No gradients.

    Centres and offsets are of type ``dtype``; which points they are of does not depend on it.

    Raises:
        InputError: points that are not finite, fewer than 3 patches, more patches than points, or ``size`` that is
            below 1 or above the number of points.
    """
    xyz, available = xyz.detach(), xyz.shape[1]
    if not 1 <= size <= available:
        raise InputError(f"patches of {size} points were asked of {available} points, 1 to {available} are possible")
    centre_rows = sample_centres(xyz, patches, ties)
    centres = gather_rows(xyz, centre_rows)
    member_rows, _ = nearest(xyz, centres, size)
    centres, members = centres.to(dtype), gather_members(xyz, member_rows).to(dtype)
    return PatchGroups(centre_rows, member_rows, centres, members - centres[:, :, None])


def sample_centres(xyz: Float32[Tensor, "B N 3"], patches: int, ties: FarthestPointTies) -> Int64[Tensor, "B L"]:
    """Rows of ``patches`` farthest points from row 0 on.

    Raises:
        InputError: points that are not finite, fewer than 3 patches, or more patches than points.
    """
    available = xyz.shape[1]
    if not FEWEST_PATCHES <= patches <= available:
        raise InputError(
            f"{patches} patches were asked of {available} points, from {FEWEST_PATCHES} to {available} are possible"
        )
    return sample_farthest(xyz, patches, ties=ties)


def gather_rows(values: Float[Tensor, "B N C"], rows: Int64[Tensor, "B R"]) -> Float[Tensor, "B R C"]:
    """``values[b, rows[b]]`` for each cloud b."""
    return values.gather(1, rows[..., None].expand(-1, -1, values.shape[2]))


def gather_members(values: Float[Tensor, "B N C"], rows: Int64[Tensor, "B R K"]) -> Float[Tensor, "B R K C"]:
    """``values[b, rows[b, r, k]]`` for each cloud b."""
    return gather_rows(values, rows.flatten(1)).reshape(*rows.shape, -1)


class PatchPointNet(nn.Module):
    """One feature of each patch out of features of its members, whatever their order.

    Names of parameters are those of released checkpoints; the computation is theirs up to rounding.
    """

    def __init__(self, in_channels: int, hidden_channels: tuple[int, int], out_channels: int) -> None:
        super().__init__()
        of_point, of_patch = hidden_channels
        self.conv1 = _two_layers(in_channels, of_point, of_point)
        self.conv2 = _two_layers(2 * of_point, of_patch, out_channels)

    def forward(self, members: Float[Tensor, "*B L K C"]) -> Float[Tensor, "*B L D"]:
        """Features of patches; differentiable."""
        return self.after_first(self.first(members))

    @property
    def first(self) -> nn.Linear:
        """The layer that members meet first."""
        return cast(nn.Linear, self.conv1[0])

    def after_first(
        self, hidden: Float[Tensor, "*#B L K H"], last_channel: Float[Tensor, "*B L K"] | None = None
    ) -> Float[Tensor, "*B L D"]:
        """All but the first linear layer, whose result is ``hidden``; some patches at a time.

        Where the last input channel comes as ``last_channel``, ``hidden`` is the result without it.
        """
        if without_gradients(hidden):
            values = hidden.new_zeros(hidden.shape[:-1]) if last_channel is None else last_channel
            return FusedPointNet.of(self.conv1, self.conv2)(hidden, values)
        if last_channel is not None:
            hidden = torch.addcmul(hidden, last_channel[..., None], self.first.weight[:, -1])
        *batch, size, _ = hidden.shape
        at_once = max(1, rows_at_once(_MEMBERS_AT_ONCE, hidden.device) // size)
        return torch.cat([self._some(part) for part in torch.split(hidden.flatten(0, -3), at_once)]).reshape(*batch, -1)

    def _some(self, hidden: Float[Tensor, "R K H"]) -> Float[Tensor, "R D"]:
        points: Tensor = self.conv1[1:](hidden)
        widen = cast(nn.Linear, self.conv2[0])
        # What every member is told about its patch is the same for all: computed once, not for each of them.
        of_patch, of_point = widen.weight.chunk(2, dim=1)
        told = functional.linear(points.amax(dim=-2, keepdim=True), of_patch, widen.bias)
        result: Tensor = self.conv2[1:](functional.linear(points, of_point) + told).amax(dim=-2)
        return result


class PatchEmbedding(nn.Module):
    """Patches of a coloured cloud as tokens."""

    def __init__(self, hidden_channels: tuple[int, int], out_channels: int) -> None:
        super().__init__()
        self.patch_encoder = PatchPointNet(6, hidden_channels, out_channels)

    def forward(self, groups: PatchGroups, rgb: Float[Tensor, "B N 3"]) -> Float[Tensor, "B L C"]:
        """A token of each patch, from the offsets and the colours (-1..1) of its members."""
        dtype = self.patch_encoder.first.weight.dtype
        colours = gather_members(rgb, groups.member_rows)
        tokens: Tensor = self.patch_encoder(torch.cat([groups.offsets.to(dtype), colours.to(dtype)], dim=-1))
        return tokens


def _two_layers(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, out_channels)
    )
