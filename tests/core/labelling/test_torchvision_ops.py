from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.labelling.torchvision_ops import import_torchvision, suppressed  # noqa: E402

numbers = st.integers(0, 8)
boxes = st.lists(st.tuples(numbers, numbers, st.integers(1, 6), st.integers(1, 6)), max_size=12)


def plainly(boxes, scores, limit):
    """One by one, best first."""

    def iou(a, b):
        shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
        return shared / (sum(areas) - shared)

    kept = []
    for row in sorted(range(len(boxes)), key=lambda row: -scores[row]):
        if all(iou(boxes[row], boxes[other]) <= limit for other in kept):
            kept.append(row)
    return kept


@given(boxes, st.randoms(use_true_random=False), st.sampled_from([0.3, 0.55, 0.7]))
def test_worse_boxes_over_better_ones_go(sizes, random, limit):
    corners = [(left, top, left + width, top + height) for left, top, width, height in sizes]
    scores = [random.randrange(5) / 4 for _ in corners]
    found = suppressed(torch.tensor(corners, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores), limit)
    assert found.tolist() == plainly(corners, scores, limit)


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_torchvision_is_whole_enough_whatever_it_was_compiled_for():
    assert import_torchvision() is import_torchvision()
    from torchvision.ops.boxes import batched_nms
    from torchvision.transforms.functional import resize

    assert resize(torch.zeros(1, 4, 6), [2, 3]).shape == (1, 2, 3)
    pair = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9]], dtype=torch.float32)
    scores = torch.tensor([0.5, 0.9])
    assert batched_nms(pair, scores, torch.zeros(2, dtype=torch.int64), 0.7).tolist() == [1]
    assert batched_nms(pair, scores, torch.tensor([0, 1]), 0.7).tolist() == [1, 0]
