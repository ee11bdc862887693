"""Changes as text."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.relabel.labelling_kernels import changed_rows, count_ids
from seg3d_core.relabel.packing import ids_from_json, ids_to_json, rows_from_json, rows_to_json

ROWS = st.lists(st.integers(0, 2_000), unique=True).map(sorted)


def old(numbers):
    """As journals of format 1 have them."""
    return base64.b64encode(zlib.compress(np.array(numbers, "<i4").tobytes(), 1)).decode()


@given(ROWS, st.sampled_from([1, 7, 1_000_000]))
def test_rows_come_back(rows, apart):
    rows = apart * np.array(rows, np.int64)
    text = rows_to_json(rows)
    back = rows_from_json(text)
    assert (back.dtype, back.tolist()) == (np.int64, rows.tolist())
    assert rows_from_json(old(np.diff(rows, prepend=0))).tolist() == rows.tolist()
    if len(rows) > 1:
        assert ("steps" in text) == (rows[-1] - rows[0] >= 16 * len(rows))


@given(st.lists(st.integers(0, 2**31 - 1)))
def test_ids_come_back(ids):
    given_ids = np.array(ids, np.int32)
    assert ids_from_json(ids_to_json(given_ids), len(ids)).tolist() == ids
    assert ids_from_json(old(ids), len(ids)).tolist() == ids


def test_most_of_a_scene_in_one_instance_is_small():
    rows = np.flatnonzero(np.random.default_rng(0).random(800_000) < 0.9)
    assert len(str(rows_to_json(rows))) < 140_000
    assert ids_to_json(np.full(len(rows), 7, np.int32)) == 7


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (lambda: rows_from_json({**rows_to_json(np.arange(9)), "count": 8}), "9 rows instead of 8"),
        (lambda: ids_from_json(old([1, 2, 3]), 2), "2 points but 3 ids"),
        (lambda: rows_from_json("?"), "base64"),
    ],
)
def test_damage_is_noticed(damaged, message):
    with pytest.raises(ValueError, match=message):
        damaged()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_what_differs(pairs):
    before, after = np.array(pairs, np.int32).reshape(-1, 2).T
    rows, ids = changed_rows(np.ascontiguousarray(before), np.ascontiguousarray(after))
    assert rows.tolist() == np.flatnonzero(before != after).tolist()
    assert ids.tolist() == after[before != after].tolist()


@given(st.lists(st.integers(0, 9)))
def test_how_often_each_id_is_there(ids):
    counts = count_ids(np.array(ids, np.int32))
    assert counts.tolist() == [ids.count(number) for number in range(max(ids, default=-1) + 1)]
