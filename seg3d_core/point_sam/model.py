"""The network of Point-SAM: a cloud in once, then clicks and masks in, masks out.

Everything here happens in the normalised cloud: the mean of its points is the origin, the farthest point is at
distance 1, and y points up, as in the clouds that released weights were trained on. Frames, metres and colours in 0..1
are the business of whoever calls.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from seg3d_core.errors import InputError
from seg3d_core.point_ops.inputs import require_one_device, require_points
from seg3d_core.point_ops.interpolation import inverse_square_weights
from seg3d_core.point_ops.neighbours import nearest
from seg3d_core.point_sam.decoder import MaskDecoder, MaskPrediction, PointTable
from seg3d_core.point_sam.encoder import CloudEncoder
from seg3d_core.point_sam.patches import FEWEST_PATCHES, PatchGroups, gather_members, gather_rows, group_points
from seg3d_core.point_sam.prompts import MaskEncoder, PointEncoder
from seg3d_core.point_sam.voronoi import CellMaskEncoder, Cells, divide_into_cells
from seg3d_core.point_sam_config import PointSamConfig
from seg3d_core.stages import stage

LARGEST_COORDINATE = 1 + 1e-6
"""Of a normalised cloud and of clicks in it, with room for rounding."""


@dataclass(frozen=True, eq=False)
class EncodedCloud:
    """All that depends on B clouds of N points alone: a click needs nothing else.

    Attributes:
        groups: the patches.
        embeddings: (B, L, C) of the patches.
        places: (B, L, C) positional encodings of the patches' centres.
        table: the patches near each point.
        mask_offsets: (B, L, K, H) the offsets' part of the mask encoder's first layer; (B, N, 4) offsets and distances
            where patches are Voronoi cells.
    """

    groups: PatchGroups | Cells
    embeddings: Float[Tensor, "B L C"]
    places: Float[Tensor, "B L C"]
    table: PointTable
    mask_offsets: Float[Tensor, "B ..."]


class PointSamNetwork(nn.Module):
    """Point-SAM (arXiv 2406.17741) with patches of nearest neighbours (v1), of which weights were released.

    Or with Voronoi cells (v2), see ``voronoi``. Parameters are named as in the released checkpoint.
    """

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        self.config = config
        self.pc_encoder = CloudEncoder(config)
        self.point_encoder = PointEncoder(config.hidden_dim)
        self.mask_encoder = (
            CellMaskEncoder(config.cell_mask_channels, config.hidden_dim)
            if config.tokenizer == "voronoi"
            else MaskEncoder(config.patch_hidden_channels, config.hidden_dim)
        )
        self.mask_decoder = MaskDecoder(config)

    def converted(self, device: torch.device, dtype: torch.dtype) -> PointSamNetwork:
        """This network where it is on ``device`` and of type ``dtype`` already, else a copy that is.

        The projections that encode places keep their precision: they are of many turns.
        """
        weight = self.pc_encoder.out_proj.weight
        if weight.device == device and weight.dtype == dtype:
            return self
        network = copy.deepcopy(self).to(device, dtype)
        name = "positional_encoding_gaussian_matrix"
        matrix: Tensor = getattr(self.point_encoder.pe_layer, name)
        setattr(network.point_encoder.pe_layer, name, matrix.to(device, network._precise))
        return network

    def encode(
        self,
        xyz: Float32[Tensor, "B N 3"],
        rgb: Float[Tensor, "B N 3"],
        patches: int | None = None,
        patch_size: int | None = None,
    ) -> EncodedCloud:
        """What clicks on these clouds need. Patches depend on float32 coordinates, whatever the parameters are.

        Args:
            xyz: normalised clouds, every coordinate in -1..1.
            rgb: colours in -1..1 (0..1 minus 0.5, divided by 0.5); the network has no notion of a missing colour.
            patches: instead of the configured number.
            patch_size: instead of the configured number of points; Voronoi cells have no such thing.

        Raises:
            InputError: values out of range or not finite, two devices, or more patches or larger ones than the points
                allow.
        """
        _require_normalised("points", xyz)
        _require_colours(rgb)
        require_one_device("points", xyz, "colours", rgb)
        config = self.config
        patches = config.patches if patches is None else patches
        patch_size = config.patch_size if patch_size is None else patch_size
        with stage("groups"):
            groups = self._groups(xyz, patches, patch_size)
            table = _point_table(xyz, groups, self._precise)
        embeddings = self.pc_encoder(groups, rgb)
        places = self.point_encoder.encode_places(groups.centres)
        # Each mask encoder is for the groups that ``_groups`` makes for it.
        offsets = cast(Any, self.mask_encoder).encode_offsets(groups)
        return EncodedCloud(groups, embeddings, places, table, offsets)

    def decode(
        self,
        cloud: EncodedCloud,
        points: Float32[Tensor, "B M P 3"],
        is_foreground: Bool[Tensor, "B M P"],
        mask_logits: Float[Tensor, "B M N"] | None = None,
        multimask: bool | None = None,
    ) -> MaskPrediction:
        """Masks of M prompts in each cloud; no work of the encoder is done again.

        Args:
            cloud: what ``encode`` returned.
            points: clicks in the normalised cloud, every coordinate in -1..1; P may be 0 where there is a mask.
            is_foreground: whether a click is on the object.
            mask_logits: an earlier answer to refine, as logits, not limited; no gradient flows into it.
            multimask: three candidates instead of one mask; by default where a single click is all that is known.

        Raises:
            InputError: clicks out of range or not finite, lengths that disagree with each other or with the cloud, or
                neither click nor mask.
        """
        _require_prompts(cloud, points, is_foreground, mask_logits)
        if multimask is None:
            multimask = points.shape[2] == 1 and mask_logits is None
        prompts = self.point_encoder(points.to(self._precise), is_foreground)
        embedded = cloud.embeddings[:, None] + self._dense(cloud, mask_logits)
        prediction: MaskPrediction = self.mask_decoder(prompts, embedded, cloud.places, cloud.table, multimask)
        return prediction

    def forward(
        self,
        xyz: Float32[Tensor, "B N 3"],
        rgb: Float[Tensor, "B N 3"],
        points: Float32[Tensor, "B M P 3"],
        is_foreground: Bool[Tensor, "B M P"],
        mask_logits: Float[Tensor, "B M N"] | None = None,
        multimask: bool | None = None,
    ) -> MaskPrediction:
        """``encode`` and one ``decode``."""
        return self.decode(self.encode(xyz, rgb), points, is_foreground, mask_logits, multimask)

    def _groups(self, xyz: Float32[Tensor, "B N 3"], patches: int, patch_size: int) -> PatchGroups | Cells:
        ties, dtype = self.config.farthest_point_ties, self._precise
        if self.config.tokenizer == "voronoi":
            return divide_into_cells(xyz, patches, ties, dtype)
        return group_points(xyz, patches, patch_size, ties, dtype)

    def _dense(self, cloud: EncodedCloud, mask_logits: Float[Tensor, "B M N"] | None) -> Float[Tensor, "..."]:
        if mask_logits is None:
            return self.mask_encoder.without_mask()
        embedded: Tensor = self.mask_encoder(cloud.mask_offsets, cloud.groups, mask_logits.detach())
        return embedded

    @property
    def _precise(self) -> torch.dtype:
        """Of coordinates: as precise as the parameters, and never less than float32."""
        return torch.promote_types(self.pc_encoder.out_proj.weight.dtype, torch.float32)


def _point_table(xyz: Float32[Tensor, "B N 3"], groups: PatchGroups | Cells, dtype: torch.dtype) -> PointTable:
    rows, _ = nearest(gather_rows(xyz, groups.centre_rows), xyz, FEWEST_PATCHES)
    distances = (xyz.to(dtype)[:, :, None] - gather_members(groups.centres, rows)).norm(dim=-1)
    return PointTable(rows, inverse_square_weights(distances))


def _require_normalised(what: str, xyz: Tensor) -> None:
    require_points(what, xyz)
    largest = float(xyz.abs().max())
    if largest > LARGEST_COORDINATE:
        raise InputError(f"{what} have a coordinate of magnitude {largest:.6g}, a normalised cloud is within -1..1")


def _require_colours(rgb: Tensor) -> None:
    largest = float(rgb.abs().max()) if rgb.numel() else 0.0
    if not largest <= LARGEST_COORDINATE:  # NaN is not, either
        raise InputError(f"colours have a value of magnitude {largest:.6g}, the network takes -1..1")


def _require_prompts(cloud: EncodedCloud, points: Tensor, is_foreground: Tensor, mask_logits: Tensor | None) -> None:
    batch, length = cloud.table.rows.shape[:2]
    if points.shape[:-1] != is_foreground.shape or points.shape[0] != batch:
        raise InputError(
            f"clicks have shape {tuple(points.shape)} and labels {tuple(is_foreground.shape)}, must be"
            f" ({batch}, M, P, 3) and ({batch}, M, P) for {batch} clouds"
        )
    if points.shape[2]:
        _require_normalised("clicks", points)
    elif mask_logits is None:
        raise InputError("there is neither a click nor a mask, at least one is needed")
    expected = (*points.shape[:2], length)
    if mask_logits is not None and tuple(mask_logits.shape) != expected:
        raise InputError(f"mask logits have shape {tuple(mask_logits.shape)}, must be {expected} for {length} points")
    if mask_logits is not None and not mask_logits.isfinite().all():
        raise InputError(f"{int((~mask_logits.isfinite()).sum())} of {mask_logits.numel()} mask logits are not finite")
    for name, given in (("clicks", points), ("labels", is_foreground), ("mask logits", mask_logits)):
        if given is not None:
            require_one_device(name, given, "the encoded cloud", cloud.embeddings)
