"""The sparse U-Net against the recorded features of the original."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.segment3d.backbone import Res16UNet34C  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

PREFIX = "model.backbone."


def _by_coordinate(coordinates, features):
    order = sorted(range(len(coordinates)), key=lambda row: coordinates[row].tolist())
    return coordinates[order], features[order]


def test_every_level_is_that_of_the_original(tiny, tiny_config):
    backbone = Res16UNet34C(tiny_config)
    weights = {k.removeprefix(PREFIX): v for k, v in tiny["state_dict"].items() if k.startswith(PREFIX)}
    backbone.load_state_dict(weights)
    backbone.double().eval()
    with torch.no_grad():
        levels = backbone(SparseTensor.from_coordinates(tiny["coords"], tiny["feats"].double()))
    for level, expected in zip(levels, tiny["levels"], strict=True):
        coordinates, features = _by_coordinate(level.coordinates, level.features)
        expected_coordinates, expected_features = _by_coordinate(expected["coords"], expected["feats"])
        assert level.stride == expected["tensor_stride"][0]
        assert torch.equal(coordinates, expected_coordinates)
        torch.testing.assert_close(features, expected_features, rtol=0, atol=1e-10)


def test_parameters_are_named_and_sized_as_released(released_keys):
    backbone = Res16UNet34C(SEGMENT3D_PRESETS["base"])
    expected = {k.removeprefix(PREFIX): v for k, v in released_keys.items() if k.startswith(PREFIX)}
    assert {name: tuple(value.shape) for name, value in backbone.state_dict().items()} == expected
    assert sum(p.numel() for p in backbone.parameters()) == 37_856_052


def test_batch_norms_inside_blocks_keep_another_momentum(tiny_config):
    momenta = {
        name: module.momentum
        for name, module in Res16UNet34C(tiny_config).named_modules()
        if isinstance(module, torch.nn.BatchNorm1d)
    }
    assert momenta["bn0.bn"] == momenta["bntr7.bn"] == momenta["block5.0.downsample.1.bn"] == 0.02
    assert momenta["block1.0.norm1.bn"] == momenta["block8.1.norm2.bn"] == 0.1


@pytest.mark.parametrize("preset", ["nano", "small"])
def test_smaller_presets_run(preset):
    config = SEGMENT3D_PRESETS[preset]
    coordinates = torch.tensor([[0, 0, 0, 0], [0, -1, 3, 7], [0, 20, 3, 7]], dtype=torch.int32)
    levels = Res16UNet34C(config).eval()(SparseTensor.from_coordinates(coordinates, torch.rand(3, 3)))
    assert [level.features.shape[1] for level in levels] == list(config.stage_channels[3:])
    assert torch.equal(levels[-1].coordinates, coordinates)
