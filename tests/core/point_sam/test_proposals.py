"""Segment everything: what is clicked, kept, joined and dropped.

The oracle sees objects by their colour; its three candidates are the object, half of it, and everything.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.config import SegmentConfig  # noqa: E402
from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.point_sam.clicks_everywhere import propose_masks  # noqa: E402
from seg3d_core.point_sam.decoder import MaskPrediction  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam, stability_of  # noqa: E402
from seg3d_core.point_sam.proposals import PointSamProposals  # noqa: E402
from seg3d_core.point_sam_config import PointSamConfig, PointSamProposalsConfig, PointSamSettings  # noqa: E402
from seg3d_core.segmenter import Segmenter, make_segmenter  # noqa: E402
from seg3d_core.types import Cloud  # noqa: E402

NETWORK = PointSamConfig.build(
    {
        "patch_hidden_channels": (8, 8),
        "patch_channels": 8,
        "encoder_dim": 16,
        "encoder_depth": 1,
        "encoder_heads": 1,
        "encoder_feedforward_dim": 16,
        "hidden_dim": 16,
        "decoder_feedforward_dim": 16,
        "iou_hidden_dim": 8,
    }
)


class Oracle(PointSam):
    """Predicts IoUs of 0.9 for objects, 0.8 for halves, 0.95 for everything; with ``doubt`` logits are that small."""

    def __init__(self, doubt=9.0, ious=(0.9, 0.8, 0.95)):
        torch.manual_seed(0)
        super().__init__(
            PointSamNetwork(NETWORK), PointSamSettings.build({"device": "cpu", "patches": 12, "patch_size": 8})
        )
        self.doubt, self.ious, self.asked = doubt, ious, []

    def answer_each(self, scene, points):
        self.asked.append((len(points), len(scene.cloud)))
        table = scene.encoded.table
        assert table.rows.shape[1] == table.weights.shape[1] == len(scene.cloud)
        nearest = np.linalg.norm(scene.cloud.points[None] - points[:, None], axis=2).argmin(axis=1)
        same = np.abs(scene.cloud.rgb[None] - scene.cloud.rgb[nearest][:, None]).max(axis=2) < 1e-3
        half = same & (scene.cloud.points[:, 1] > 0)
        masks = np.stack([same, half, np.ones_like(same)], axis=1)
        logits = np.where(masks, np.float32(self.doubt), np.float32(-self.doubt))
        ious = np.tile(np.float32(self.ious), (len(points), 1))
        return MaskPrediction(torch.from_numpy(logits)[None], torch.from_numpy(ious)[None])


def floor_with_boxes(length_m=2.0, boxes=4, count=4000):
    """A floor along x, with plates above it; the one in the middle is half as long as the floor."""
    random = np.random.default_rng(0)
    points = [random.uniform(-0.5, 0.5, (count, 3)) * [length_m, 0.5, 0] + [0, 0, -0.3]]
    rgb = [np.full((count, 3), 0.1)]
    for box in range(boxes):
        size_m = length_m / 2 if box == 0 else 0.12
        at = 0.0 if box == 0 else (box - (boxes + 1) / 2) * length_m / boxes
        plate = random.uniform(-0.5, 0.5, (count // 4, 3)) * [size_m, 0.4, 0] + [at, 0, 0.1 * box]
        points.append(plate)
        rgb.append(np.full((count // 4, 3), 0.2 + 0.1 * box))
    return Cloud(np.concatenate(points).astype(np.float32), np.concatenate(rgb).astype(np.float32))


def objects(cloud):
    return {tuple(np.flatnonzero((cloud.rgb == colour).all(axis=1))) for colour in np.unique(cloud.rgb, axis=0)}


def as_sets(instances):
    return {tuple(np.flatnonzero(mask)) for mask in instances.masks}


def test_every_object_once_at_full_resolution():
    cloud, oracle = floor_with_boxes(), Oracle()
    found = PointSamProposals(oracle, PointSamProposalsConfig.build({"clicks": 64})).segment(cloud)
    assert isinstance(found.instance_ids, np.ndarray)
    # Halves overlap the better wholes, and everything is more than max_share.
    assert as_sets(found) == objects(cloud)
    assert np.allclose(found.scores, 0.9)
    assert found.instance_ids.tolist() == [1, 2, 3, 4, 5]


def test_many_clicks_are_looked_at_on_few_points_first():
    cloud, oracle = floor_with_boxes(count=12_000), Oracle()
    PointSamProposals(oracle, PointSamProposalsConfig.build({"clicks": 40, "clicks_at_once": 16})).segment(cloud)
    preview, last = oracle.asked[:3], oracle.asked[3:]
    assert [clicks for clicks, _ in preview] == [16, 16, 8]
    assert max(points for _, points in preview) <= 2500
    assert [clicks for clicks, _ in last] == [5]
    assert last[0][1] > 2500


def test_tiles_are_joined_again():
    cloud = floor_with_boxes(length_m=6.0, count=6000)
    done = []
    config = {"clicks": 64, "tile_voxels": 4000, "overlap_m": 0.4, "max_share": 0.9}
    model = PointSamProposals(Oracle(), PointSamProposalsConfig.build(config))
    found = model.segment(cloud, lambda *progress: done.append(progress))
    assert len(done) > 1
    assert done == [(i + 1, len(done)) for i in range(len(done))]
    assert as_sets(found) == objects(cloud)


@pytest.mark.parametrize(
    ("doubt", "ious", "values", "count"),
    [
        (9.0, (0.9, 0.8, 0.95), {"max_instances": 2}, 2),
        (9.0, (0.4, 0.3, 0.45), {}, 0),
        (9.0, (0.4, 0.3, 0.45), {"min_iou": 0.35}, 5),
        (0.5, (0.9, 0.8, 0.95), {}, 0),
        (0.5, (0.9, 0.8, 0.95), {"min_stability": 0}, 0),
        (9.0, (0.9, 0.8, 0.95), {"max_iou": 0.6}, 10),
        (9.0, (0.9, 0.8, 0.95), {"max_share": 1, "max_iou": 0.01}, 1),
        (9.0, (0.9, 0.8, 0.95), {"min_voxels": 100_000}, 0),
        (9.0, (1.3, 0.8, -2.0), {}, 5),
    ],
)
def test_what_is_kept(doubt, ious, values, count):
    """Of 5 objects and their halves. Stability of logits of 0.5 is 0: nothing is above 1, all above -1."""
    cloud = floor_with_boxes()
    found = PointSamProposals(Oracle(doubt, ious), PointSamProposalsConfig.build({"clicks": 64, **values})).segment(
        cloud
    )
    assert len(found) == count
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (np.diff(found.scores) <= 0).all()


def test_stability():
    logits = torch.tensor([[2.0, 0.5, -0.5, -2.0], [2, 2, -2, -2], [-2, -2, -2, -2]])
    assert stability_of(logits).tolist() == [pytest.approx(1 / 3), 1, 0]


def test_real_networks_are_deterministic_whatever_the_batches():
    """Untrained, and not asked to be any good."""
    cloud = floor_with_boxes()
    results = []
    for at_once in (5, 16, 16):
        torch.manual_seed(0)
        network = PointSamNetwork(NETWORK)
        torch.nn.init.constant_(network.mask_decoder.iou_prediction_head.layers[-1].bias, 0.8)
        for mlp in network.mask_decoder.output_hypernetworks_mlps:
            torch.nn.init.normal_(mlp.layers[-1].weight, std=100)
        sam = PointSam(network, PointSamSettings.build({"device": "cpu", "patches": 32}))
        config = {
            "clicks": 20,
            "clicks_at_once": at_once,
            "min_iou": 0,
            "min_stability": 0,
            "max_share": 1,
            "min_voxels": 1,
        }
        results.append(PointSamProposals(sam, PointSamProposalsConfig.build(config)).segment(cloud))
    assert len(results[0])
    assert np.array_equal(results[1].masks, results[2].masks)
    assert results[0].masks.shape == results[1].masks.shape
    assert (results[0].masks != results[1].masks).mean() < 1e-3


def test_a_tile_with_two_points_has_no_masks():
    points = np.eye(3, dtype=np.float32)[:2]
    assert len(propose_masks(Oracle(), Cloud(points), PointSamProposalsConfig.build({}))) == 0
    with pytest.raises(InputError, match="the cloud has 2 points, Point-SAM needs 3 at least"):
        PointSamProposals(Oracle()).segment(Cloud(points))


def test_as_a_model_of_scenes(caplog):
    values = {"model": "tiny", "clicks": 8, "point_sam": {"device": "cpu", "patches": 16, "patch_size": 8}}
    model = make_segmenter(SegmentConfig.build({"model": "point_sam_proposals", "point_sam_proposals": values}))
    assert isinstance(model, Segmenter)
    assert "Point-SAM tiny is untrained" in caplog.text
    assert model.description.startswith("proposals of Point-SAM with ")
    found = model.segment(floor_with_boxes())
    assert len(found.cloud) == 8000
