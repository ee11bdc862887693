"""Point-SAM against plain modules of the same weights, on one cloud: the encoder, and clicks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from seg3d_core.benchmark.by_turns import Pair
from seg3d_core.benchmark.plain_point_sam import PlainPointSam
from seg3d_core.benchmark.plain_points import require_close
from seg3d_core.point_sam.model import EncodedCloud, PointSamNetwork
from seg3d_core.point_sam.patches import PatchGroups, gather_members

EMBEDDINGS_WITHIN = 1e-4
_LOGITS_WITHIN, _LOGITS_SHARE = 1e-2, 1e-3
"""The matrix form of ``cdist`` errs by 3e-4 where a point is a centre, and logits there by ten times as much."""


class NetworkPairs:
    """All in the normalised cloud, without gradients: call what these pairs hold under ``torch.inference_mode``.

    Args:
        network: on the CPU, with patches of nearest neighbours.
        xyz: the cloud, every coordinate in -1..1.
        rgb: its colours in -1..1.
        patches, size: number of patches, and points of each.
        rows: of two points, the first on the object, the second beside it.
    """

    def __init__(
        self,
        network: PointSamNetwork,
        xyz: Float32[Tensor, "N 3"],
        rgb: Float32[Tensor, "N 3"],
        patches: int,
        size: int,
        rows: tuple[int, int],
    ) -> None:
        self.network, self.plain = network, PlainPointSam(network)
        self.xyz, self.rgb, self.patches, self.size = xyz, rgb, patches, size
        self.clicks, self.is_foreground = xyz[list(rows)], torch.tensor([True, False])

    def encode(self) -> EncodedCloud:
        """Our way."""
        return self.network.encode(self.xyz[None], self.rgb[None], self.patches, self.size)

    def encoder(self) -> Pair:
        """PointNet of the patches and transformer, the patches given."""
        groups = self.encode().groups
        assert isinstance(groups, PatchGroups)
        features = torch.cat([groups.offsets, gather_members(self.rgb[None], groups.member_rows)], dim=-1)
        return self._encoding(
            f"encoder, {self.patches} patches of {self.size}",
            lambda: self.network.pc_encoder(groups, self.rgb[None]),
            lambda: self.plain.encoder(groups.centres, features),
        )

    def encoding(self) -> Pair:
        """All that happens when a cloud arrives."""

        def theirs() -> Tensor:
            centres, _, features = self.plain.group(self.xyz, self.rgb, self.patches, self.size)
            embeddings: Tensor = self.plain.encoder(centres[None], features[None])
            return embeddings

        return self._encoding(f"encoding, {len(self.xyz):,} points", lambda: self.encode().embeddings, theirs)

    def first_click(self) -> Pair:
        """A click on the encoded cloud against encoding it again for the click."""
        return self._click(f"first click, {len(self.xyz):,} points", 1, None)

    def later_click(self, mask: Float32[Tensor, " N"]) -> Pair:
        """The second click with ``mask`` (logits) as the answer to the first, against encoding again."""
        return self._click(f"second click, {len(self.xyz):,} points", 2, mask)

    def answer(self, encoded: EncodedCloud, clicks: int, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits (T, N) and predicted overlaps (T,), our way."""
        points, labels = self.clicks[None, None, :clicks], self.is_foreground[None, None, :clicks]
        found = self.network.decode(encoded, points, labels, None if mask is None else mask[None, None])
        return found.mask_logits[0, 0], found.iou_predictions[0, 0]

    def _click(self, name: str, clicks: int, mask: Tensor | None) -> Pair:
        encoded = self.encode()
        asked: tuple[Tensor, Bool[Tensor, " P"], Tensor | None]
        asked = self.clicks[:clicks], self.is_foreground[:clicks], mask
        return Pair(
            name,
            lambda: self.answer(encoded, clicks, mask),
            "encoding again",
            lambda: self.plain.click(self.xyz, self.rgb, self.patches, self.size, *asked),
            _same_answers,
        )

    def _encoding(self, name: str, ours: Callable[[], Tensor], theirs: Callable[[], Tensor]) -> Pair:
        return Pair(name, ours, "eager modules", theirs, _same_embeddings)


def _same_embeddings(ours: Tensor, theirs: Tensor) -> None:
    require_close("embeddings", ours, theirs, EMBEDDINGS_WITHIN)


def _same_answers(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> None:
    for what, mine, other in zip(("mask logits", "predicted overlaps"), ours, theirs, strict=True):
        require_close(what, mine, other, _LOGITS_WITHIN, _LOGITS_SHARE)
