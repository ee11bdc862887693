"""Places on the things of the table that is relabelled in tests, and what is known of a session between two steps."""

from __future__ import annotations

from seg3d_core.relabel.actions import Accept, Click

TABLE, TALL, FLAT, BALL = 1, 2, 3, 4
ON = {TALL: (0.075, 0.06, 0.3), FLAT: (0.42, 0.25, 0.1), BALL: (0.1, 0.4, 0.16), TABLE: (0.7, 0.7, 0.0)}
"""A place on each, m."""


def accept(session, thing, **how):
    session.apply(Click(ON[thing]))
    session.apply(Accept(**how))


def state(session):
    return session.instance_ids.copy(), session.records, session.editing, mask_of(session)


def mask_of(session):
    return None if session.selection is None else session.selection.mask.tolist()


def same(one, other):
    return bool((one[0] == other[0]).all()) and one[1:] == other[1:]
