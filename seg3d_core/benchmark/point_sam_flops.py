"""Floating-point operations of Point-SAM, counted from the sizes of its layers: two for each weight and row."""

from __future__ import annotations

from dataclasses import dataclass

from seg3d_core.point_sam.decoder import MASK_TOKENS
from seg3d_core.point_sam_config import PointSamConfig

_CHANNELS_OF_COLOURED, _CHANNELS_OF_MASKED = 6, 4


@dataclass(frozen=True)
class Operations:
    """Matrix products alone: norms, activations and softmax are left out.

    Attributes:
        config: of the network.
        points: of the cloud.
        patches, patch_size: their number, and their points.
    """

    config: PointSamConfig
    points: int
    patches: int
    patch_size: int

    def stages(self) -> dict[str, float]:
        """Billions of operations of each stage: a cloud, its first click, and a second one with the mask before."""
        first, second = self._decoder(clicks=1, masks=MASK_TOKENS - 1), self._decoder(clicks=2, masks=1)
        cells = self.config.tokenizer == "voronoi"
        masked = self._mask_of_cells() if cells else self._pointnet(_CHANNELS_OF_MASKED - 3, self.config.hidden_dim)
        coloured = self._cells() if cells else self._pointnet(_CHANNELS_OF_COLOURED, self.config.patch_channels)
        weights = {
            "patches": coloured,
            "transformer": self._transformer(),
            "click": first,
            "click with mask": second + masked,
        }
        return {name: 2e-9 * multiplications for name, multiplications in weights.items()}

    def _pointnet(self, channels: int, out: int) -> int:
        of_point, of_patch = self.config.patch_hidden_channels
        member = channels * of_point + of_point**2 + of_point * of_patch + of_patch * out
        return self.patches * (self.patch_size * member + of_point * of_patch)

    def _cells(self) -> int:
        dim, blocks = self.config.cell_channels, 3 * 2 * self.config.cell_channels**2
        return self.points * (7 * dim + blocks) + self.patches * (blocks + dim * self.config.patch_channels)

    def _mask_of_cells(self) -> int:
        dim = self.config.cell_mask_channels
        return self.points * 4 * dim + self.patches * (4 * dim**2 + dim * self.config.hidden_dim)

    def _transformer(self) -> int:
        config, dim = self.config, self.config.encoder_dim
        matrices = 3 if config.blocks == "gated" else 2
        block = 4 * dim**2 + matrices * dim * config.encoder_feedforward_dim + 2 * self.patches * dim
        ends = (config.patch_channels + config.hidden_dim) * dim
        return self.patches * (config.encoder_depth * block + ends)

    def _decoder(self, clicks: int, masks: int) -> int:
        """Of the work on patches and points; that on a handful of tokens is less than a hundredth."""
        config, dim = self.config, self.config.hidden_dim
        tokens, inner = 1 + MASK_TOKENS + clicks, config.hidden_dim // 2
        look = 2 * dim * inner + 2 * tokens * inner  # keys and values, or queries and what they take
        layer = 2 * look
        on_tokens = tokens * config.decoder_depth * 2 * dim * config.decoder_feedforward_dim
        return (
            self.patches * (config.decoder_depth * layer + look + dim**2)
            + self.points * (dim**2 + 3 * dim + masks * dim)
            + on_tokens
        )
