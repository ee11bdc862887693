"""A session with the real network, small and untrained: undone is bit for bit, and nothing is computed for it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.interaction.session import ObjectSession  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam.scene_crops import SceneCrops  # noqa: E402
from seg3d_core.point_sam_config import PointSamSettings, SceneCropConfig  # noqa: E402


@pytest.fixture(scope="module")
def sam():
    torch.set_num_threads(1)
    return PointSam.from_preset("tiny", PointSamSettings.build({"device": "cpu", "patches": 48, "patch_size": 16}))


@pytest.fixture(params=["whole", "crop"])
def model(request, sam):
    return SceneCrops(sam, SceneCropConfig.build({"mode": request.param}))


def test_undo_is_bit_for_bit_and_computes_nothing(world, model, sam, monkeypatch):
    session = ObjectSession(model)
    session.set_cloud(world[0])
    clicks = [np.array([0.2, 0.2, 0.41]), np.array([0.3, 0.2, 0.41]), np.array([0.1, 0.1, 0.4])]
    steps = [session.click(clicks[0])]
    steps.append(session.next_candidate())
    steps.append(session.click(clicks[1], is_foreground=False))
    steps.append(session.select_box(np.zeros(3), np.full(3, 0.5)))
    steps.append(session.click(clicks[2]))
    kept = [(step.candidates.mask_logits.tobytes(), step.candidates.iou_predictions.tobytes()) for step in steps]
    assert len({logits for logits, _ in kept}) == 4

    def never(*_, **__):
        raise AssertionError("nothing is to be computed")

    with monkeypatch.context() as patched:
        for name in ("encode", "answer", "predict"):
            patched.setattr(sam, name, never)
        for step, (logits, ious) in list(zip(steps, kept, strict=True))[-2:0:-1]:
            found = session.undo()
            assert found.candidates.mask_logits.tobytes() == logits
            assert found.candidates.iou_predictions.tobytes() == ious
            assert (found.chosen, found.source) == (step.chosen, step.source)
        assert session.undo() is None
    # The same clicks give the same answers again.
    assert session.click(clicks[0]).candidates.mask_logits.tobytes() == kept[0][0]
    session.next_candidate()
    assert session.click(clicks[1], is_foreground=False).candidates.mask_logits.tobytes() == kept[2][0]


def test_masks_that_something_else_found(world, model):
    session = ObjectSession(model)
    session.set_cloud(world[0])
    session.select_mask(world[1] == 1)
    refined = session.click(np.array([1.2, 0.16, 0.8]), is_foreground=False)
    assert len(refined.candidates.mask_logits) == 1
    assert np.isfinite(refined.mask_logits).all()


def test_accepted_objects_name_the_model(world, model):
    session = ObjectSession(model)
    session.set_cloud(world[0])
    session.select_mask(world[1] == 1)
    assert session.accept().model == model.description
