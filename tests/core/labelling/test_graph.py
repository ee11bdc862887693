from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed")

from seg3d_core.geometry.camera import Camera
from seg3d_core.labelling.graph import GraphMasks
from seg3d_core.labelling.graph_settings import GraphMasksConfig
from seg3d_core.labelling.source import FrameToLabel
from seg3d_core.types import RgbdFrame

HEIGHT, WIDTH = 90, 120
CAMERA = Camera(WIDTH, HEIGHT, np.array([[110.0, 0, 59.5], [0, 110.0, 44.5], [0, 0, 1]]))


def masks(depth_m, rgb=None, **settings):
    frame = FrameToLabel("a/0", RgbdFrame(depth_m.astype(np.float32), CAMERA, rgb))
    return GraphMasks(GraphMasksConfig.build(settings)).label([frame])[0]


def agree(found, expected):
    """Share of pixels in the region that covers each expected region best."""
    return np.mean(
        [(found == np.bincount(found[expected == e]).argmax())[expected == e].mean() for e in np.unique(expected)]
    )


def scene():
    """A box in front of a wall."""
    box = np.zeros((HEIGHT, WIDTH), int)
    box[30:70, 30:80] = 1
    return box


def test_things_in_front_stand_apart():
    box = scene()
    found = masks(np.where(box, 1.0, 1.5))
    assert agree(found, box) > 0.9
    assert found[50, 50] != found[10, 10]


def test_a_slanted_plane_is_one_region():
    rays = CAMERA.rays()
    slanted = 1.0 / (rays @ np.array([0.3, -0.6, 1.0], np.float32))
    assert agree(masks(slanted), np.zeros((HEIGHT, WIDTH), int)) > 0.9


def test_directions_set_faces_apart():
    # A wall that meets another at a right angle, in the middle of the image.
    depth_m = 2.0 / (1 + np.abs(CAMERA.rays()[:, :, 0]))
    expected = (CAMERA.rays()[:, :, 0] > 0).astype(int)
    found = masks(depth_m, depth_weight=0.0)
    assert agree(found, expected) > 0.9
    assert found[45, 20] != found[45, 100]


def test_colours_alone_where_there_is_no_depth():
    box = scene()
    rgb = np.where(box[:, :, None] > 0, np.float32(0.9), np.float32([0.1, 0.2, 0.1]))
    found = masks(np.zeros((HEIGHT, WIDTH)), rgb)
    assert agree(found, box) > 0.85
    assert found[50, 50] != found[10, 10]


def test_holes_in_the_depth_are_no_borders():
    depth_m = np.full((HEIGHT, WIDTH), 1.2)
    depth_m[20:40, 20:60] = 0
    assert len(np.unique(masks(depth_m))) == 1


def test_where_nothing_was_measured_there_is_no_mask():
    depth_m = np.where(scene(), 1.2, 0.0)
    rgb = np.where(scene()[:, :, None] > 0, np.float32([0.9, 0.9, 0.9]), np.float32([0.1, 0.2, 0.1]))
    found = masks(depth_m, rgb)
    assert (found[:20, :20] == -1).all()
    assert found[50, 50] >= 0


def test_nothing_to_see_is_one_region():
    assert (masks(np.zeros((HEIGHT, WIDTH))) == 0).all()


def test_the_same_image_gives_the_same_masks(shared_data):
    from seg3d_core.data.sequences import open_sequence

    frame = open_sequence(shared_data / "kitchen", registration_frames=0)[0]
    source = GraphMasks(GraphMasksConfig())
    first, again = source.label([FrameToLabel("kitchen/0", frame)] * 2)
    assert np.array_equal(first, again)
    assert 10 < len(np.unique(first)) < 200
    assert np.array_equal(np.unique(first), np.arange(-1, first.max() + 1))
