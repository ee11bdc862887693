"""The image of an organised view from its points."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from seg3d_core.errors import InputError
from seg3d_core.evaluation.kinect_view import KINECT, KinectView, pixels_of
from seg3d_core.evaluation.scenes import find_scenes
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.types import Cloud, LabelledCloud, RgbdFrame


def view_of(rng: np.random.Generator) -> tuple[RgbdFrame, Cloud, np.ndarray]:
    depth_m = rng.uniform(0.5, 3, (KINECT.height, KINECT.width)).astype(np.float32)
    depth_m[rng.random(depth_m.shape) < 0.9] = 0
    frame = RgbdFrame(depth_m, KINECT, rng.random((*depth_m.shape, 3), np.float32))
    cloud = backproject(frame, 0.0, 10.0)
    order = rng.permutation(len(cloud))
    assert cloud.source_index is not None
    return frame, Cloud(cloud.points[order], cloud.rgb[order]), cloud.source_index[order]


def test_points_find_their_pixels() -> None:
    _, cloud, expected = view_of(np.random.default_rng(0))
    np.testing.assert_array_equal(pixels_of(cloud), expected)


def test_the_image_is_the_one_that_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, cloud, _ = view_of(np.random.default_rng(1))
    ids = np.random.default_rng(2).integers(-1, 4, len(cloud)).astype(np.int32)
    shown = []

    class Halves:
        def label(self, frames):
            shown.extend(frames)
            return [np.repeat([[0], [1]], 240, axis=0).repeat(640, axis=1).astype(np.int32)]

    monkeypatch.setattr("seg3d_core.evaluation.kinect_view.make_source", lambda config: Halves())
    view = KinectView(Path("a.npz"), lambda path: LabelledCloud(cloud, ids, {}))
    (masked,) = view.masked("graph")
    np.testing.assert_array_equal(masked.frame.depth_m, frame.depth_m)
    seen = frame.depth_m > 0
    np.testing.assert_array_equal(masked.frame.rgb[seen], frame.rgb[seen])
    assert (masked.mask_ids[:240] == 0).all()
    assert (shown[0].true_instance > 0).sum() == (ids > 0).sum()


def test_what_is_no_view_of_a_kinect() -> None:
    _, cloud, _ = view_of(np.random.default_rng(3))
    with pytest.raises(InputError, match="px off the pixels of a Kinect"):
        pixels_of(Cloud(cloud.points + np.float32(0.01)))
    with pytest.raises(InputError, match="behind the camera"):
        pixels_of(Cloud(-cloud.points))
    with pytest.raises(InputError, match="several points of one pixel"):
        pixels_of(Cloud(np.concatenate([cloud.points, cloud.points[:1]])))


def test_unknown_masks_are_refused() -> None:
    _, cloud, _ = view_of(np.random.default_rng(4))
    view = KinectView(Path("a.npz"), partial(_read, cloud))
    with pytest.raises(InputError, match="its 2-D masks cannot be made"):
        view.masked("oracle")
    assert view.fingerprint("oracle") == "oracle"
    assert view.fingerprint("graph") != "graph"


def _read(cloud: Cloud, path: Path) -> LabelledCloud:
    return LabelledCloud(cloud, np.ones(len(cloud), np.int32), {})


def test_real_views_have_images(shared_data: Path) -> None:
    pytest.importorskip("skimage")
    source = find_scenes([f"osd:{shared_data / 'osd'}"])[0]
    (masked,) = source.load(lambda share, words: None).views.masked("graph")
    assert (masked.frame.depth_m > 0).mean() > 0.5
    assert masked.mask_ids.max() > 3
