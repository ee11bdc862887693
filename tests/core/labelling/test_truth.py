from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.errors import ConfigError, InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.labelling.source import FrameToLabel
from seg3d_core.labelling.truth import TruthMasks
from seg3d_core.labelling.truth_settings import TruthMasksConfig
from seg3d_core.types import RgbdFrame

HEIGHT, WIDTH = 120, 160
CAMERA = Camera(WIDTH, HEIGHT, np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]]))
SHARES = [name for name in TruthMasksConfig.model_fields if name.endswith("_share")]
EXACT = {**dict.fromkeys(SHARES, 0.0), "grid": 0, "jitter_px": 0.0}


def frame(name="room/000000", ids=None, parts=None, rgb=None, depth_m=None):
    """A wall (2), and on it two boxes (3, 4) side by side, the second of two parts, and a corner of nothing."""
    if ids is None:
        ids = np.full((HEIGHT, WIDTH), 2, np.int32)
        ids[30:90, 20:80] = 3
        ids[30:90, 80:140] = 4
        ids[:10, :10] = -1
        parts = ids.copy()
        parts[60:90, 80:140] = 5
    rgb = np.full((*ids.shape, 3), 0.5, np.float32) if rgb is None else rgb
    depth_m = np.ones(ids.shape, np.float32) if depth_m is None else depth_m
    camera = Camera(ids.shape[1], ids.shape[0], CAMERA.K)
    return FrameToLabel(name, RgbdFrame(depth_m, camera, rgb), ids, parts)


def masks(one=None, **degraded):
    """Masks of a frame with nothing wrong but what is said."""
    return TruthMasks(TruthMasksConfig.build({**EXACT, **degraded})).label([one or frame()])[0]


def regions(ids):
    """The set of masks, each as the set of its pixels."""
    return {tuple(np.flatnonzero(ids == number).tolist()) for number in range(ids.max() + 1)}


def test_undegraded_masks_are_the_true_objects():
    one = frame()
    assert np.array_equal(masks(one), np.where(one.true_instance < 0, -1, one.true_instance - 2))


def test_the_same_frame_has_the_same_masks_and_another_one_others():
    source = TruthMasks(TruthMasksConfig())
    first, again, other = source.label([frame("a/0"), frame("a/0"), frame("a/1")])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, TruthMasks(TruthMasksConfig(seed=1)).label([frame("a/0")])[0])


def test_objects_come_apart_into_their_parts():
    assert regions(masks(split_share=1.0)) == regions(frame().true_part - 2)


def test_one_part_stands_apart():
    one = frame()
    # Three parts of the second box: one of them stands apart, two stay together.
    parts = one.true_part.copy()
    parts[60:90, 110:140] = 6
    found = masks(frame(ids=one.true_instance, parts=parts), part_share=1.0)
    assert len(regions(found)) == 4
    kinds = {tuple(sorted(set(parts.ravel()[list(region)]))) for region in regions(found)}
    assert {(2,), (3,)} < kinds
    assert len(kinds) == 4


def test_pieces_of_one_object_stay_one_mask_or_become_several():
    ids = frame().true_instance.copy()
    ids[:, 45:50] = 2
    assert len(regions(masks(frame(ids=ids)))) == 3
    assert len(regions(masks(frame(ids=ids), scatter_share=1.0))) == 4


def test_regions_are_cut_within_themselves():
    found = masks(cut_share=1.0)
    objects = frame().true_instance
    assert len(regions(found)) > 3
    assert all(len(np.unique(objects[found == number])) == 1 for number in range(found.max() + 1))
    assert np.array_equal(found < 0, objects < 0)


def test_regions_of_fewer_pixels_are_not_cut():
    assert np.array_equal(masks(cut_share=1.0, cut_from_px=20_000), masks())


def test_cuts_follow_shades():
    rgb = np.full((HEIGHT, WIDTH, 3), 0.1, np.float32)
    rgb[:, 50:] = 0.9
    found = masks(frame(ids=np.full((HEIGHT, WIDTH), 7, np.int32), rgb=rgb), cut_share=1.0)
    across = (found[:, 43] != found[:, 57]).mean()
    assert across > 0.9


def test_things_that_touch_and_look_alike_become_one():
    assert len(regions(masks(merge_share=1.0))) == 1
    rgb = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    rgb[frame().true_instance == 3] = (1, 0, 0)
    apart = masks(frame(rgb=rgb), merge_share=1.0, merge_contrast=0.01)
    assert len(regions(apart)) == 2


def test_things_that_do_not_touch_in_space_do_not_become_one():
    depth_m = np.where(frame().true_instance == 2, np.float32(2), np.float32(1))
    assert len(regions(masks(frame(depth_m=depth_m), merge_share=1.0))) == 2


def test_regions_between_the_grid_points_are_missed():
    ids = np.full((HEIGHT, WIDTH), 2, np.int32)
    ids[30:33, 40:43] = 3
    ids[60:80, 60:90] = 4
    found = masks(frame(ids=ids), grid=8)
    assert (found[30:33, 40:43] == -1).all()
    assert len(regions(found)) == 2


def test_everything_can_be_missed():
    assert (masks(miss_share=1.0) == -1).all()


def test_holes_take_a_part_of_a_region():
    found, objects = masks(hole_share=1.0), frame().true_instance
    lost = (found < 0)[objects > 0].mean()
    assert 0.08 < lost < 0.25
    assert all(len(np.unique(objects[found == number])) == 1 for number in range(found.max() + 1))


def test_seams_are_along_borders():
    found, exact = masks(seam_share=1.0, seam_px=2), masks()
    lost = (found < 0) & (exact >= 0)
    assert lost[30:90, 78:82].all()
    assert not lost[40:50, 30:70].any()
    assert np.array_equal(masks(seam_share=0.5) < 0, masks(seam_share=0.5) < 0)


def test_borders_tremble_a_little_and_leak_in_places():
    exact = masks()
    trembling, leaking = masks(jitter_px=1.0), masks(leak_share=0.3, leak_px=15.0)
    assert 0 < (trembling != exact).mean() < 0.05
    far = np.zeros(exact.shape, bool)
    far[35:85, 25:75] = True
    assert (trembling == exact)[far].all()
    assert (leaking != exact)[far].any()


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_numbers_are_dense_whatever_is_seen(seed, height, width, with_parts):
    rng = np.random.default_rng(seed)
    ids = rng.integers(-1, 5, (height, width), np.int32)
    ids[ids == 0] = -1
    one = frame(f"any/{seed}", ids, ids * 2 if with_parts else None)
    found = TruthMasks(TruthMasksConfig(cut_from_px=4, cut_share=0.5, miss_share=0.3)).label([one])[0]
    assert found.shape == ids.shape
    assert set(np.unique(found).tolist()) - {-1} == set(range(found.max() + 1))


def test_a_frame_without_truth_is_refused():
    one = FrameToLabel("scan/000003", frame().rgbd)
    with pytest.raises(InputError, match=r"^scan/000003: its true instances are not known"):
        masks(one)


def test_a_frame_without_colour_or_depth_has_masks_nevertheless():
    one = frame()
    blind = RgbdFrame(np.zeros((HEIGHT, WIDTH), np.float32), one.rgbd.camera)
    found = masks(FrameToLabel("dark", blind, one.true_instance, one.true_part), merge_share=1.0, cut_share=1.0)
    assert len(regions(found)) > 3


def test_truth_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"a: true_instance is 5x4 px, the frame 160x120 px"):
        FrameToLabel("a", frame().rgbd, np.ones((4, 5), np.int32))


def test_shares_are_shares():
    with pytest.raises(ConfigError, match=r"merge_share = 1.5"):
        TruthMasksConfig.build({"merge_share": 1.5})
