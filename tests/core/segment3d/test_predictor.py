"""From clouds to instances: what is refused, what must not matter, tiles, memory, devices."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.checkpoints.audit import load_weights  # noqa: E402
from seg3d_core.config import SegmentConfig  # noqa: E402
from seg3d_core.errors import CheckpointError, ConfigError, DeviceError, InputError  # noqa: E402
from seg3d_core.segment3d import predictor as module  # noqa: E402
from seg3d_core.segment3d.model import Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d.postprocess import postprocess  # noqa: E402
from seg3d_core.segment3d.predictor import Segment3D  # noqa: E402
from seg3d_core.segment3d.voxel_input import COLOUR_STATISTICS  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DSettings  # noqa: E402
from seg3d_core.segmenter import Segmenter, make_segmenter  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402
from seg3d_core.types import Cloud  # noqa: E402

ALL = {"postprocess": "pseudo_masks"}


def settings_of(**values):
    return Segment3DSettings.build({"device": "cpu", **values})


def patch(seed=0, points=3000, size_m=(0.8, 0.8, 0.05)):
    rng = np.random.default_rng(seed)
    return Cloud((rng.random((points, 3)) * size_m).astype(np.float32), rng.random((points, 3)).astype(np.float32))


@pytest.fixture(scope="module")
def nano():
    """Random weights whose masks are neither empty nor everything: queries that start as zeros give such."""
    torch.manual_seed(1)
    config = SEGMENT3D_PRESETS["nano"].model_copy(update={"query_content": "zeros", "decoders": 3})
    return Segment3DNetwork(config).eval()


@pytest.fixture
def everything(monkeypatch):
    """Rules that keep whatever an untrained network finds: results that are not empty can be compared."""
    rule = module.POSTPROCESS_RULES["pseudo_masks"]
    monkeypatch.setitem(module.POSTPROCESS_RULES, "pseudo_masks", rule.model_copy(update={"min_score": 0.0}))


def same(one, other):
    return np.array_equal(one.masks, other.masks) and np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("preset", SEGMENT3D_PRESETS)
@pytest.mark.parametrize("rules", ["robot", "released", "paper", "pseudo_masks"])
def test_every_preset_and_rule_gives_instances_of_the_cloud(preset, rules):
    if preset == "base" and rules != "robot":
        pytest.skip("one run of the large network is enough")
    cloud = replace(patch(points=1500), frame_id="map", stamp_ns=7)
    segmenter = Segment3D.from_preset(preset, settings_of(postprocess=rules, num_queries=20))
    found = segmenter.segment(cloud)
    assert isinstance(segmenter, Segmenter)
    assert found.cloud is cloud
    assert found.instance_ids.tolist() == list(range(1, len(found) + 1))
    assert (np.diff(found.scores) <= 0).all()
    assert found.masks.any(axis=1).all()
    assert found.degraded == ""
    if rules == "robot":
        assert (found.masks.sum(axis=0) <= 1).all()
    assert same(found, segmenter.segment(cloud))


def test_presets_warn_that_they_know_nothing_and_are_drawn_from_their_seed(caplog, everything):
    caplog.set_level(logging.WARNING)
    cloud = patch()
    one, again, other = (
        Segment3D.from_preset("nano", settings_of(**ALL), seed=seed).segment(cloud) for seed in (1, 1, 2)
    )
    assert "nano is untrained: its weights are random" in caplog.text
    assert same(one, again)
    assert not same(one, other)
    with pytest.raises(ConfigError, match="preset 'mini' is unknown, known are nano, small, base"):
        Segment3D.from_preset("mini")


@pytest.mark.parametrize("segments", [False, True])
def test_the_original_s_scene_through_the_predictor_s_own_path(tiny, tiny_config, monkeypatch, segments):
    """The recorded scene as a cloud: the same voxels in the same order, and masks the original's recorded ones.

    Colours of the record are already normalised, and beyond those of any cloud: statistics that undo it.
    """
    rows = tiny["coords"][:, 0] == 0
    features = tiny["feats"][rows].numpy().astype(np.float32)
    low, high = features.min(), features.max()
    monkeypatch.setitem(
        module.POSTPROCESS_RULES, "paper", module.POSTPROCESS_RULES["pseudo_masks"].model_copy(update={"min_score": 0})
    )
    monkeypatch.setattr(module, "_ALWAYS_SUPERPOINTS", ("paper",) if segments else ())
    monkeypatch.setitem(COLOUR_STATISTICS, "scannet", ((-low / (high - low),) * 3, (1 / (high - low),) * 3))
    cloud = Cloud(tiny["raw_coordinates"][rows].numpy().astype(np.float32), (features - low) / (high - low))
    network = Segment3DNetwork(tiny_config)
    load_weights(network, {name.removeprefix("model."): value for name, value in tiny["state_dict"].items()})
    predictor = Segment3D(network, settings_of(postprocess="paper", colours="scannet"))
    recorded = tiny["outputs_segments_scene0"] if segments else tiny["outputs"]
    logits, masks = recorded["pred_logits"][0], recorded["pred_masks"][0]
    if segments:
        to_segment = recorded["point2segment"]
        to_segment = (to_segment[0] if isinstance(to_segment, list) else to_segment).numpy().astype(np.int32)
        monkeypatch.setattr(predictor, "_superpoints", lambda cloud: to_segment)
        predictor._rule = predictor._rule.model_copy(update={"smooth": True})
        masks = masks[to_segment]
    expected = postprocess(
        logits.numpy().astype(np.float32),
        np.ascontiguousarray(masks.numpy().T.astype(np.float32)),
        cloud.points,
        predictor._rule,
        None,
        to_segment if segments else None,
    )
    found = predictor.segment(cloud)
    assert len(found) == len(expected) > 0
    assert np.allclose(found.scores, expected.scores, atol=1e-4)
    agreement = [mask & other for mask, other in zip(found.masks, expected.masks, strict=True)]
    either = [mask | other for mask, other in zip(found.masks, expected.masks, strict=True)]
    assert min(a.sum() / b.sum() for a, b in zip(agreement, either, strict=True)) > 0.98


@pytest.mark.parametrize(
    ("cloud", "message"),
    [
        (lambda c: c.select(np.arange(0)), "cloud has 0 points, Segment3D needs at least 2"),
        (lambda c: c.select(np.arange(1)), "cloud has 1 points, Segment3D needs at least 2"),
        (lambda c: replace(c, rgb=c.rgb * 255), r"colours range from 0\S* to 25\S*, .* 0\.\.1: divide 8-bit colours"),
        (lambda c: replace(c, rgb=c.rgb - 1), r"colours range from -\S* to \S*, they must be in 0\.\.1$"),
        (lambda c: replace(c, rgb=np.where(c.points < 0.01, np.nan, c.rgb)), r"cloud has \d+ of 3000 .*NaN or inf"),
        (
            lambda c: replace(c, points=c.points + np.float32([0, 10_486, 0])),
            r"of 3000 points are beyond 10486 m, the reach of voxels of 0\.02 m; point \d+ is at \[.*\] m",
        ),
    ],
)
def test_bad_clouds_are_refused(nano, cloud, message):
    with pytest.raises(InputError, match=message):
        Segment3D(nano, settings_of()).segment(cloud(patch()))


def test_points_that_are_no_numbers_do_not_even_make_a_cloud():
    points = np.zeros((4, 3), np.float32)
    points[1, 2], points[3, 0] = np.nan, np.inf
    with pytest.raises(InputError, match="cloud has 2 of 4 points with NaN or infinite coordinates"):
        Cloud(points)


def test_colourless_clouds_get_the_mean_colour_and_it_is_said_once(nano, caplog, everything):
    caplog.set_level(logging.WARNING)
    predictor = Segment3D(nano, settings_of(**ALL))
    cloud = patch()
    grey = np.tile(np.float32([0.485, 0.456, 0.406]), (len(cloud), 1))
    found = predictor.segment(replace(cloud, rgb=None))
    assert same(found, predictor.segment(replace(cloud, rgb=grey)))
    assert not same(found, predictor.segment(cloud))
    predictor.segment(replace(cloud, rgb=None))
    assert caplog.text.count("the mean colour of the training data is assumed everywhere") == 1


@pytest.mark.parametrize("rules", ["robot", "released", "paper", "pseudo_masks"])
@pytest.mark.parametrize("shape", [(2, 0, 0, 0), (50, 0, 0, 0), (5, 1, 1, 1), (400, 2, 0, 0), (2000, 1, 1, 0)])
def test_flat_thin_and_tiny_clouds_are_segmented(nano, shape, rules):
    points, *size_m = shape
    found = Segment3D(nano, settings_of(postprocess=rules, num_queries=10)).segment(patch(0, points, size_m))
    assert np.isfinite(found.scores).all()


def test_points_follow_the_voxel_that_they_are_in(nano, everything):
    """Whatever comes after the first point of its voxel may come in any order: masks follow it."""
    predictor = Segment3D(nano, settings_of(**ALL))
    cloud = patch(points=6000)
    _, first = np.unique(np.floor(cloud.points / np.float32(0.02)), axis=0, return_index=True)
    others = np.setdiff1d(np.arange(len(cloud)), first)
    order = np.concatenate([np.sort(first), np.random.default_rng(1).permutation(others)])
    found, permuted = predictor.segment(cloud), predictor.segment(cloud.select(order))
    assert len(found) > 0
    assert np.array_equal(found.masks[:, order], permuted.masks)
    assert np.array_equal(found.scores, permuted.scores)


@given(st.tuples(*[st.integers(-200, 200)] * 3))
@settings(max_examples=5)
def test_moving_the_world_by_blocks_of_voxels_moves_nothing_else(nano, shift):
    """By 16 voxels, the coarsest level; of numbers that float32 adds and averages without rounding.

    The original never puts a query on the voxel at the origin: that one is not in it.
    """
    predictor = Segment3D(nano, settings_of(voxel_size_m=1 / 64, num_queries=20, postprocess="paper"))
    predictor._rule = predictor._rule.model_copy(update={"min_score": 0.0, "split": "off", "smooth": False})
    grid = np.stack(np.meshgrid(np.arange(32), np.arange(32), [3]), axis=-1).reshape(-1, 3)
    points = ((grid + 0.5) / 64).astype(np.float32)
    cloud = Cloud(points, np.random.default_rng(0).random(points.shape, np.float32))
    moved = replace(cloud, points=points + np.float32(shift) / 4)
    found = predictor.segment(cloud)
    assert len(found) > 0
    assert same(found, predictor.segment(moved))


def test_outdoors_a_scaled_world_is_the_same_world(nano, everything):
    cloud = patch()
    large = replace(cloud, points=cloud.points * 8)
    one = Segment3D(nano, settings_of(**ALL)).segment(cloud)
    eight = Segment3D(nano, settings_of(coordinate_scale=8, **ALL)).segment(large)
    assert len(one) > 0
    assert same(one, eight)
    assert eight.cloud is large


def test_a_camera_that_knows_which_way_is_up_sees_the_same_world(nano, everything):
    cloud = patch()
    lying = replace(cloud, points=cloud.points[:, [0, 2, 1]] * np.float32([1, -1, 1]), up=np.array([0.0, -2, 0]))
    upright = Segment3D(nano, settings_of(**ALL)).segment(cloud)
    found = Segment3D(nano, settings_of(**ALL)).segment(lying)
    assert len(upright) > 0
    assert same(upright, found)
    assert found.cloud is lying
    assert not same(upright, Segment3D(nano, settings_of(**ALL)).segment(replace(lying, up=None)))


def test_clouds_beyond_max_voxels_are_segmented_in_tiles(nano, everything):
    cloud = patch(points=20_000, size_m=(4, 0.5, 0.05))
    tiled = Segment3D(nano, settings_of(max_voxels=1500, overlap_m=0.1, **ALL))
    sizes = []
    network = tiled._network
    tiled._network = lambda x, *others: sizes.append(len(x)) or network(x, *others)
    found = tiled.segment(cloud)
    assert len(sizes) > 2
    assert max(sizes) <= 1500
    assert found.masks.any(axis=1).all()
    assert found.degraded == ""


class Scarce:
    """A network on a device with memory for ``room`` voxels."""

    def __init__(self, network, room):
        self.network, self.room, self.asked = network, room, []

    def __call__(self, x, *others):
        self.asked.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError(f"no room for {len(x)} voxels")
        return self.network(x, *others)


def test_when_memory_runs_out_smaller_tiles_are_tried_once_and_it_is_said(nano, caplog):
    caplog.set_level(logging.WARNING)
    predictor = Segment3D(nano, settings_of(overlap_m=0.1, **ALL))
    cloud = patch(points=20_000, size_m=(4, 0.5, 0.05))
    predictor._network = scarce = Scarce(predictor._network, 3500)
    found = predictor.segment(cloud)
    whole = scarce.asked[0]
    assert max(scarce.asked[1:]) <= whole // 2
    assert found.degraded == f"memory of cpu is short: tiles of at most {whole // 2} voxels"
    assert f"memory of cpu ran out with {whole} voxels: trying tiles of at most {whole // 2}" in caplog.text
    asked = len(scarce.asked)
    assert predictor.segment(cloud).degraded == found.degraded
    assert max(scarce.asked[asked:]) <= whole // 2, "what did not fit once is not tried again"
    assert predictor.segment(patch(points=300)).degraded == ""


def test_memory_that_runs_out_twice_is_an_error_and_not_the_end(nano):
    predictor = Segment3D(nano, settings_of(overlap_m=0.1, **ALL))
    cloud = patch(points=20_000, size_m=(4, 0.5, 0.05))
    predictor._network = scarce = Scarce(predictor._network, 1500)
    with pytest.raises(
        InputError, match=r"ran out with \d+ voxels, and again in tiles of \d+: lower max_voxels or num"
    ):
        predictor.segment(cloud)
    assert len(scarce.asked) == 2, "one try more, not many"
    found = predictor.segment(patch(points=1000))
    assert found.degraded == ""


def test_devices_engines_and_types_that_are_not_there(nano, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"device cuda:1 was asked for, PyTorch \S+ finds no CUDA device"):
        Segment3D(nano, settings_of(device="cuda:1"))
    assert Segment3D(nano, settings_of(device="auto")).device.type == "cpu"
    with pytest.raises(ConfigError, match="precision float16 needs a CUDA device, the network runs on the CPU"):
        Segment3D(nano, settings_of(precision="float16"))
    with pytest.raises(ConfigError, match="triton"):
        Segment3D(nano, settings_of(engine="triton"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match="device cuda:3 was asked for, there are 1 CUDA devices: cuda:0 to cuda:0"):
        Segment3D(nano, settings_of(device="cuda:3"))
    with pytest.raises(ConfigError, match=r"segment3d\.device = 'gpu'"):
        SegmentConfig.build({"segment3d": {"device": "gpu"}})


def test_networks_that_know_classes_are_refused():
    config = SEGMENT3D_PRESETS["nano"].model_copy(update={"classes": 201})
    with pytest.raises(CheckpointError, match="the network knows 201 classes, Segment3D 2: object and none"):
        Segment3D(Segment3DNetwork(config))


def test_the_network_given_stays_as_it_is(nano):
    network = Segment3DNetwork(nano.config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Segment3D(network, settings_of()).segment(patch(points=300))
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    x = SparseTensor.from_coordinates(torch.zeros(1, 4, dtype=torch.int32), torch.zeros(1, 3))
    assert network.eval()(x, torch.zeros(1, 3)).prediction.class_logits.requires_grad


def test_segmenters_are_made_of_presets_and_of_files(tmp_path, nano):
    alone = {"device": "cpu", "fill": "off"}
    assert isinstance(make_segmenter(SegmentConfig.build({"model": "nano", "segment3d": alone})), Segment3D)
    torch.save(nano.state_dict(), tmp_path / "nano.pt")
    segmenter = make_segmenter(SegmentConfig.build({"model": str(tmp_path / "nano.pt")}))
    assert isinstance(segmenter, Segment3D)
    known = "graph, point_sam_proposals, nano, small, base"
    with pytest.raises(ConfigError, match=f"neither one of {known} nor a file that exists"):
        make_segmenter(SegmentConfig.build({"model": str(tmp_path / "gone.pt")}))
