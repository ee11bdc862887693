"""The Voronoi tokenizer against loops over cells, and the size of the file that the authors' program would write."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import save_file  # noqa: E402
from torch.nn.functional import gelu  # noqa: E402

from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.point_sam import voronoi  # noqa: E402
from seg3d_core.point_sam.checkpoint import UNUSED, config_of, load_network  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam.voronoi import CellEmbedding, CellMaskEncoder, divide_into_cells  # noqa: E402
from seg3d_core.point_sam_config import (  # noqa: E402
    POINT_SAM_PRESETS,
    PointSamConfig,
    PointSamSettings,
    patches_for,
)
from seg3d_core.types import Cloud, Prompt  # noqa: E402

SMALL = PointSamConfig.build(
    {
        "tokenizer": "voronoi",
        "patches": 12,
        "cell_channels": 10,
        "cell_mask_channels": 14,
        "patch_channels": 24,
        "encoder_dim": 64,
        "encoder_depth": 1,
        "encoder_heads": 1,
        "encoder_feedforward_dim": 48,
        "hidden_dim": 32,
        "decoder_heads": 2,
        "decoder_feedforward_dim": 40,
        "iou_hidden_dim": 16,
    }
)


def clouds(batch=2, points=90):
    generator = torch.Generator().manual_seed(3)
    xyz = torch.rand(batch, points, 3, generator=generator) - 0.5
    return xyz, torch.rand(batch, points, 3, generator=generator, dtype=torch.float64) * 2 - 1


def test_every_point_is_in_the_cell_of_its_nearest_centre():
    xyz, _ = clouds()
    cells = divide_into_cells(xyz, 12, "released", torch.float64)
    for b in range(2):
        centres = xyz[b, cells.centre_rows[b]]
        assert torch.equal(cells.centres[b].float(), centres)
        distances = (xyz[b, :, None].double() - centres.double()).norm(dim=-1)
        assert torch.equal(cells.cell[b], distances.argmin(dim=1))
        torch.testing.assert_close(cells.distances[b, :, 0], distances.min(dim=1).values)
        assert torch.equal(cells.cell[b, cells.centre_rows[b]], torch.arange(12))


def norm(x, layer):
    scaled = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return scaled * layer.weight + layer.bias


def linear(x, layer):
    return x @ layer.weight.T + layer.bias


def tokenizer_block(x, block):
    widen, _, inner, last = block.mlp
    return x + linear(norm(gelu(linear(norm(x, block.norm), widen)), inner), last)


@torch.no_grad()
@pytest.mark.parametrize("at_once", [4096, 7])
def test_tokens_by_hand(monkeypatch, at_once):
    """Each cell by itself; however many points are looked at together."""
    monkeypatch.setattr(voronoi, "_POINTS_AT_ONCE", at_once)
    torch.manual_seed(0)
    net, (xyz, rgb) = CellEmbedding(10, 6).double(), clouds()
    cells = divide_into_cells(xyz, 12, "released", torch.float64)
    found = net(cells, rgb)
    assert found.shape == (2, 12, 6)
    for b, cell in np.ndindex(2, 12):
        rows = torch.nonzero(cells.cell[b] == cell)[:, 0]
        offsets = xyz[b, rows].double() - xyz[b, cells.centre_rows[b, cell]].double()
        length = offsets.norm(dim=1, keepdim=True)
        x = linear(torch.cat([offsets / length.clamp(min=1e-8), length, rgb[b, rows]], dim=1), net.in_proj)
        for block in net.blocks1:
            x = tokenizer_block(x, block)
        token = x.max(dim=0).values
        for block in net.blocks2:
            token = tokenizer_block(token, block)
        torch.testing.assert_close(found[b, cell], linear(norm(token, net.norm), net.out_proj), atol=1e-10, rtol=0)


@torch.no_grad()
def test_masks_by_hand():
    """Every mask of every cloud has its own cells, and negative features are kept: two faults of the authors'."""
    torch.manual_seed(0)
    net, (xyz, _) = CellMaskEncoder(14, 6).double(), clouds()
    cells, logits = divide_into_cells(xyz, 12, "released", torch.float64), torch.randn(2, 3, 90, dtype=torch.float64)
    found = net(net.encode_offsets(cells), cells, logits)
    assert found.shape == (2, 3, 12, 6)
    first, norm1, _, *blocks, last = net.second_nn.mlp
    below_zero = 0
    for b, m, cell in np.ndindex(2, 3, 12):
        rows = torch.nonzero(cells.cell[b] == cell)[:, 0]
        offsets = xyz[b, rows].double() - xyz[b, cells.centre_rows[b, cell]].double()
        points = torch.cat([logits[b, m, rows, None], offsets, offsets.norm(dim=1, keepdim=True)], dim=1)
        x = linear(points, net.first_nn).max(dim=0).values
        below_zero += int((x < 0).sum())
        x = gelu(norm(linear(x, first), norm1))
        for block in blocks:
            x = x + gelu(norm(linear(x, block.mlp[0]), block.mlp[1]))
        torch.testing.assert_close(found[b, m, cell], linear(x, last), atol=1e-10, rtol=0)
    assert below_zero


@torch.no_grad()
@pytest.mark.parametrize("mask", [None, "mask"])
def test_a_batch_is_its_clouds_and_its_prompts(mask):
    torch.manual_seed(0)
    network, (xyz, rgb) = PointSamNetwork(SMALL).double().eval(), clouds()
    points, labels = xyz[:, :3, None], torch.ones(2, 3, 1, dtype=torch.bool)
    logits = torch.randn(2, 3, 90, dtype=torch.float64) if mask else None
    together = network(xyz, rgb, points, labels, logits)
    for b, m in np.ndindex(2, 3):
        one = (slice(b, b + 1), slice(m, m + 1))
        given = (points[one], labels[one], None if logits is None else logits[one])
        alone = network(xyz[b : b + 1], rgb[b : b + 1], *given)
        torch.testing.assert_close(alone.mask_logits, together.mask_logits[one], atol=1e-10, rtol=0)


def test_gradients_reach_every_parameter():
    network, (xyz, rgb) = PointSamNetwork(SMALL), clouds()
    encoded = network.encode(xyz, rgb)
    clicks = (xyz[:, :3, None], torch.tensor([True, False, True]).expand(2, 3)[..., None])
    answers = [network.decode(encoded, *clicks, torch.randn(2, 3, 90)), network.decode(encoded, *clicks)]
    sum(found.mask_logits.square().mean() + found.iou_predictions.sum() for found in answers).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
def test_copies_of_one_point():
    """All but one of the cells are empty."""
    network, (xyz, rgb) = PointSamNetwork(SMALL).eval(), clouds()
    clicks = (torch.zeros(2, 1, 1, 3), torch.ones(2, 1, 1, dtype=torch.bool), torch.randn(2, 1, 90))
    assert network(torch.zeros_like(xyz), rgb, *clicks).mask_logits.isfinite().all()


@pytest.mark.parametrize("patches", [2, 91])
def test_numbers_of_cells_that_are_refused(patches):
    with pytest.raises(InputError, match=f"{patches} patches were asked of 90 points, from 3 to 90 are possible"):
        PointSamNetwork(SMALL).encode(*clouds(), patches=patches)


def test_a_click_on_a_cloud(tmp_path):
    """From a file, whose tensors say which tokenizer it is of."""
    torch.manual_seed(0)
    path, network = tmp_path / "model.safetensors", PointSamNetwork(SMALL)
    save_file(network.state_dict(), path)
    loaded = load_network(path, SMALL)
    assert config_of(network.state_dict()) == SMALL.model_copy(
        update={"patches": 1024, "decoder_heads": 8, "encoder_heads": 1}
    )
    sam = PointSam(loaded, PointSamSettings.build({"device": "cpu"}))
    points = np.random.default_rng(0).uniform(-1, 1, (300, 3)).astype(np.float32)
    sam.set_cloud(Cloud(points))
    first = sam.predict(Prompt.click(*points[7].tolist()))
    second = sam.predict(Prompt.click(*points[7].tolist()).with_click(*points[9].tolist()), first.mask_logits[0])
    assert first.mask_logits.shape == (3, 300) and second.mask_logits.shape == (1, 300)


@pytest.mark.parametrize(("points", "cells"), [(500, 500), (10_000, 1024), (100_000, 1024), (100_001, 2048)])
def test_numbers_of_cells(points, cells):
    assert patches_for(points, PointSamSettings.build({}), "voronoi")[0] == cells
    assert patches_for(points, PointSamSettings.build({"patches": 20}), "voronoi")[0] == 20


def test_a_file_of_the_authors_program_has_our_tensors():
    """It has 1,263,093,736 bytes: every name, shape and number counts."""
    with torch.device("meta"):
        shapes = {
            name: list(value.shape)
            for name, value in PointSamNetwork(POINT_SAM_PRESETS["large_voronoi"]).state_dict().items()
        }
    of_images = ([1, 1, 1024], [1, 1025, 1024], [1024, 3, 14, 14], [1024], [1000, 1024], [1000])
    shapes.update(zip(UNUSED, of_images, strict=True))
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in sorted(shapes.items()):
        start, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    length = len(json.dumps(header, separators=(",", ":")))
    assert 8 + -(-length // 8) * 8 + end == 1_263_093_736
