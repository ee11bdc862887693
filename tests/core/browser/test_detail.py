"""Levels of detail."""

from __future__ import annotations

import numpy as np

from seg3d_core.browser import detail as details
from seg3d_core.browser.detail import detail, overview


def test_large_clouds_are_shown_in_pieces_and_whole_where_somebody_clicked(monkeypatch):
    points = np.random.default_rng(0).uniform(0, 4, (20_000, 3)).astype(np.float32)
    everything = overview(points)
    assert everything.is_whole
    assert np.sort(np.concatenate(everything.pieces)).tolist() == list(range(20_000))
    assert max(np.ptp(points[rows], axis=0).max() for rows in everything.pieces) <= 4 / 12 + 1e-5
    some = overview(points, 2000)
    rows = np.concatenate(some.pieces)
    assert not some.is_whole and 500 < len(rows) <= 2000 and len(set(rows.tolist())) == len(rows)
    place = np.array([2.0, 2, 2])
    near = np.linalg.norm(points - place, axis=1)
    assert detail(points, place).tolist() == np.flatnonzero(near <= 1).tolist()
    monkeypatch.setattr(details, "DETAIL_POINTS", 50)
    assert near[detail(points, place)].max() == np.sort(near)[49]
