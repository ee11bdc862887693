"""3-D masks judged by the 2-D masks of the frames that see them."""

from __future__ import annotations

import numpy as np
import pytest
from table_scene import LEFT, RIGHT, WALL, table_frame, table_ids, write_table_scene

from seg3d_core.baselines.sam3d import MaskedFrame
from seg3d_core.cli import main
from seg3d_core.data.scenes.id_images import MASK_NONE, write_id_image
from seg3d_core.learning.segment3d.mask_agreement import UNSEEN, agreement, judged, seen_masks
from seg3d_core.learning.segment3d.pseudo_files import made_by, read_pseudo_masks
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.saving import card_of, save_network
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS
from seg3d_core.types import IGNORE

FRAMES = 3


@pytest.fixture
def scene(tmp_path):
    return write_table_scene(tmp_path / "one", FRAMES)


def masked(ids=None):
    """Frames of the scene; their masks are the true ones, or ``ids``."""
    return [MaskedFrame(table_frame(number), table_ids() if ids is None else ids) for number in range(FRAMES)]


def proposals(*masks):
    return Proposals.from_masks(np.array(masks), np.ones(len(masks), np.float32))


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_true_masks_agree_and_halves_and_pairs_do_not(scene):
    whole = scene.cloud()
    points, ids = whole.cloud.points, whole.instance_id
    left, right = ids == LEFT, ids == RIGHT
    half = left & (points[:, 2] > np.median(points[left, 2]))
    found = agreement(proposals(left, right, half, left | right), points, masked())
    assert found[:2].min() > 0.99
    assert found[2] == pytest.approx(half.sum() / left.sum(), abs=0.02)
    assert found[3] == pytest.approx(right.sum() / (left | right).sum(), abs=0.02)


def test_frames_that_see_more_of_a_mask_weigh_more(scene):
    whole = scene.cloud()
    is_left = whole.instance_id == LEFT
    left, frames = proposals(is_left), masked()
    seen = [np.count_nonzero(seen_masks(whole.cloud.points, frame)[is_left] > UNSEEN) for frame in frames]
    assert len(set(seen)) > 1
    ids = table_ids()
    ids[ids == LEFT] = IGNORE  # one of three frames has no mask there
    frames[0] = MaskedFrame(frames[0].frame, ids)
    expected = (seen[1] + seen[2]) / sum(seen)
    assert agreement(left, whole.cloud.points, frames)[0] == pytest.approx(expected, abs=0.002)
    nowhere = frames[0].frame
    nowhere.depth_m[:] = 0
    assert agreement(left, whole.cloud.points, [MaskedFrame(nowhere, table_ids())]) == [0]


def test_points_take_the_mask_of_the_pixel_that_sees_them(scene):
    frame = table_frame(0)
    cloud = scene.cloud().cloud
    before, behind = cloud.points.copy(), cloud.points.copy()
    before[:, 0] -= 0.3
    behind[:, 0] += 0.3
    aside = cloud.points + np.float32([0, 50, 0])
    ids = table_ids()
    ids[ids == WALL] = IGNORE
    labels = seen_masks(cloud.points, MaskedFrame(frame, ids))
    own = slice(0, np.count_nonzero(frame.depth_m))  # the first points of the cloud are this frame's
    np.testing.assert_array_equal(labels[own], ids[frame.depth_m > 0])
    for hidden in (before, behind, aside, cloud.points - np.float32([10, 0, 0])):
        assert (seen_masks(hidden, MaskedFrame(frame, ids))[own] == UNSEEN).all()


def test_merged_masks_are_candidates_and_the_best_of_each_thing_stays(scene):
    whole = scene.cloud()
    ids, nothing = whole.instance_id, np.zeros((0, len(whole.cloud)), bool)
    alone = judged(Proposals.from_masks(nothing, np.zeros(0, np.float32)), whole.cloud, masked)
    for thing in (WALL, LEFT, RIGHT):
        assert max(iou(mask, ids == thing) for mask in alone.masks) > 0.9
    half = (ids == LEFT) & (np.arange(len(ids)) % 2 == 0)
    both = judged(proposals(half, ids == LEFT), whole.cloud, masked)
    assert len(both) == len(alone) and (np.diff(both.scores) <= 0).all() and both.scores.min() > 0.9


def test_the_command_and_what_is_refused(scene, tmp_path, capsys, caplog):
    checkpoint = tmp_path / "nano.safetensors"
    network = Segment3DNetwork(SEGMENT3D_PRESETS["nano"])
    save_network(checkpoint, network, card_of(network))
    command = ["label", "scenes", str(scene.path), "--checkpoint", str(checkpoint), "--set", "device=cpu"]
    assert main([*command, "--views", "mine"]) == 1
    assert "none of its frames has 2-D masks of 'mine'" in caplog.text
    for number in range(FRAMES):
        scene.mask_path("mine", number).parent.mkdir(parents=True, exist_ok=True)
        write_id_image(scene.mask_path("mine", number), table_ids(), MASK_NONE)
    assert main([*command, "--views", "mine"]) == 0
    path = scene.pseudo_path("stage1")
    assert made_by(path).endswith(" views=mine") and "score_threshold=0.15" in made_by(path)
    assert read_pseudo_masks(path, scene.cloud().cloud).proposals.scores[:3].min() > 0.9
    assert main(command) == 2
    assert "take another name, or delete it" in capsys.readouterr().err
