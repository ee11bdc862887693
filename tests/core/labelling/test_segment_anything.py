"""segment-anything's own classes, with a few random weights."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
if not all(importlib.util.find_spec(name) for name in ("segment_anything", "torchvision")):
    pytest.skip("segment-anything or torchvision is not installed", allow_module_level=True)

from seg3d_core.errors import CheckpointError, ConfigError, DeviceError, InputError  # noqa: E402
from seg3d_core.geometry.camera import Camera  # noqa: E402
from seg3d_core.labelling.sam_settings import SegmentAnythingConfig  # noqa: E402
from seg3d_core.labelling.segment_anything import SegmentAnythingMasks, open_source  # noqa: E402
from seg3d_core.labelling.source import FrameToLabel  # noqa: E402
from seg3d_core.labelling.torchvision_ops import import_torchvision  # noqa: E402
from seg3d_core.types import RgbdFrame  # noqa: E402

import_torchvision()

import segment_anything  # noqa: E402
from segment_anything import SamAutomaticMaskGenerator  # noqa: E402
from segment_anything.modeling import (  # noqa: E402
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

DIM, SIDE = 32, 128
FILTERS = {"points_per_side": 5, "points_per_batch": 7, "pred_iou": 0.4, "stability": 0.3, "stability_offset": 0.02}


def tiny_network(seed=0):
    torch.manual_seed(seed)
    encoder = ImageEncoderViT(
        img_size=SIDE, embed_dim=DIM, depth=2, num_heads=2, out_chans=DIM, use_rel_pos=True, window_size=4,
        global_attn_indexes=(1,),
    )  # fmt: skip
    prompts = PromptEncoder(DIM, (SIDE // 16, SIDE // 16), (SIDE, SIDE), mask_in_chans=4)
    transformer = TwoWayTransformer(depth=1, embedding_dim=DIM, num_heads=2, mlp_dim=DIM)
    decoder = MaskDecoder(transformer_dim=DIM, transformer=transformer, iou_head_depth=2, iou_head_hidden_dim=DIM)
    # Ratings around the filter's limit, masks with some contrast and of few pixels: others fill the image.
    decoder.iou_prediction_head.layers[-1].bias.data += 0.5
    for head in decoder.output_hypernetworks_mlps:
        head.layers[-1].weight.data *= 20
    network = Sam(encoder, prompts, decoder).eval()
    network.mask_threshold = 0.55
    return network


def frame(width=64, height=48, seed=0, name="a/0"):
    rng = np.random.default_rng(seed)
    rgb = np.zeros((height, width, 3), np.float32)
    for _ in range(6):
        left, top = rng.integers(0, width - 8), rng.integers(0, height - 8)
        rgb[top : top + rng.integers(8, 30), left : left + rng.integers(8, 30)] = rng.random(3)
    camera = Camera(width, height, np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]))
    return FrameToLabel(name, RgbdFrame(np.ones((height, width), np.float32), camera, rgb))


def source(network=None, **settings):
    config = SegmentAnythingConfig.build({"width": 0, "height": 0, **FILTERS, **settings})
    return SegmentAnythingMasks(network or tiny_network(), config, torch.device("cpu"))


def renumbered(labels):
    numbers = {number: dense for dense, number in enumerate(np.unique(labels[labels >= 0]).tolist())}
    return np.vectorize(lambda number: numbers.get(number, -1))(labels)


def test_the_papers_rule_on_the_masks_of_the_real_generator():
    network, one = tiny_network(), frame()
    generator = SamAutomaticMaskGenerator(
        network, points_per_side=5, points_per_batch=7, pred_iou_thresh=0.4, stability_score_thresh=0.3,
        stability_score_offset=0.02, box_nms_thresh=0.7,
    )  # fmt: skip
    found = generator.generate(np.rint(one.rgbd.rgb * 255).astype(np.uint8))
    assert len(found) > 3
    painted = np.full((48, 64), -1)
    for number, mask in reversed(list(enumerate(found))):
        painted[mask["segmentation"]] = number
    assert np.array_equal(source(network, merge="highest-iou").label([one])[0], renumbered(painted))


def large_only(network):
    """A network that rates the first two of its three answers badly."""
    network.mask_decoder.iou_prediction_head.layers[-1].bias.data[1:3] -= 10
    return network


def test_the_released_rule_prefers_the_third_answer_of_every_point():
    one = frame()
    large = source(large_only(tiny_network()), merge="highest-iou").label([one])[0]
    merged = source(merge="large-first").label([one])[0]
    assert large.max() >= 1
    assert not np.array_equal(merged, source(merge="highest-iou").label([one])[0])
    # Nothing that a large mask covers is left without; finer masks only fill, or lie on top as a whole.
    assert (merged[large >= 0] >= 0).all()
    assert np.array_equal(source(large_only(tiny_network())).label([one])[0], large)


def test_several_frames_at_once_have_the_masks_of_each():
    frames = [frame(seed=0), frame(seed=1), frame(40, 56, seed=2)]
    network = tiny_network()
    together = source(network, frames_per_batch=3).label(frames)
    for one, masks in zip(frames, together, strict=True):
        assert np.array_equal(masks, source(network).label([one])[0])
        assert masks.shape == one.rgbd.depth_m.shape


def test_masks_come_back_in_the_size_of_the_frame():
    one = frame(96, 80)
    found = source(width=64, height=48).label([one])[0]
    assert found.shape == (80, 96)
    assert set(np.unique(found).tolist()) - {-1} == set(range(found.max() + 1))


def test_an_image_where_every_mask_is_rejected_has_none():
    assert (source(pred_iou=1.0).label([frame()])[0] == -1).all()


def test_a_frame_without_colour_is_refused():
    blind = FrameToLabel("scan/7", RgbdFrame(np.ones((48, 64), np.float32), frame().rgbd.camera))
    with pytest.raises(InputError, match=r"^scan/7: the frame has no colour image"):
        source().label([blind])


@pytest.fixture
def registry(monkeypatch):
    """The smallest network under the name of a large one."""
    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_b", tiny_network)


def test_weights_come_from_a_file(tmp_path, registry):
    network = tiny_network(seed=3)
    torch.save(network.state_dict(), tmp_path / "sam.pth")
    settings = {"checkpoint": str(tmp_path / "sam.pth"), "model": "vit_b", "width": 0, "height": 0, **FILTERS}
    opened = open_source(SegmentAnythingConfig.build({**settings, "device": "cpu"}), 0)
    assert np.array_equal(opened.label([frame()])[0], source(network).label([frame()])[0])


@pytest.mark.parametrize(
    ("contents", "model", "message"),
    [
        (None, "auto", r"cannot read weights from .*sam.pth: .*No such file"),
        (b"<html>not found</html>", "auto", r"cannot read weights from .*sam.pth: "),
        ([1, 2], "auto", r"sam.pth holds a list, expected weights by name"),
        ({"image_encoder.pos_embed": 24}, "auto", r"pos_embed has 24 channels, expected one of 768, 1024, 1280"),
        ({"weight": 1}, "auto", r"sam.pth holds no segment-anything: image_encoder.pos_embed has None channels"),
        ({"image_encoder.pos_embed": 768}, "vit_b", r"sam.pth does not hold vit_b: Error\(s\) in loading"),
    ],
)
def test_files_that_are_no_weights(tmp_path, registry, contents, model, message):
    path = tmp_path / "sam.pth"
    if isinstance(contents, bytes):
        path.write_bytes(contents)
    elif isinstance(contents, dict):
        torch.save({name: torch.zeros(1, 2, 2, width) for name, width in contents.items()}, path)
    elif contents is not None:
        torch.save(contents, path)
    with pytest.raises(CheckpointError, match=message):
        open_source(SegmentAnythingConfig(checkpoint=str(path), model=model, device="cpu"), 0)


def test_what_the_settings_must_say():
    with pytest.raises(ConfigError, match=r"segment-anything needs weights: --checkpoint FILE"):
        open_source(SegmentAnythingConfig(), 0)
    with pytest.raises(ConfigError, match=r"precision float16 needs a CUDA device, the network runs on the CPU"):
        source(precision="float16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_asked_for_by_name_must_be_there():
    with pytest.raises(DeviceError, match=r"device cuda:2 was asked for, .* finds no CUDA device"):
        open_source(SegmentAnythingConfig(checkpoint="x.pth", device="cuda"), 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_mixed_precision_finds_nearly_the_same_masks():
    config = SegmentAnythingConfig.build({"width": 0, "height": 0, **FILTERS})
    mixed = SegmentAnythingMasks(tiny_network(), config, torch.device("cuda", 0)).label([frame()])[0]
    assert (mixed == source().label([frame()])[0]).mean() > 0.95
