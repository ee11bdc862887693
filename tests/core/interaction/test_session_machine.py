"""Everything that people may do, in any order: what holds after each step, whatever was done before."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from seg3d_core.errors import InputError
from seg3d_core.interaction.session import ObjectSession
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.tracking.ids import ACCEPTED_IDS
from seg3d_core.types import Cloud

ROWS = st.integers(0, 59)
NOWHERE = np.array([9.0, 9.0, 9.0])
SETTINGS = InteractionConfig.build({"max_clicks": 4})


def labels_of(cloud):
    return np.arange(len(cloud)) // 20


def make_cloud(stamp_ns):
    points = np.random.default_rng(stamp_ns).random((60, 3)).astype(np.float32)
    return Cloud(points, frame_id="map", stamp_ns=stamp_ns)


def bits(selection):
    """All of a selection that can be seen."""
    if selection is None:
        return None
    found = selection.candidates
    arrays = (found.mask_logits, found.iou_predictions, found.stability, selection.prompt.points)
    return (
        *(array.tobytes() for array in arrays), selection.prompt.is_foreground.tolist(),
        selection.cloud, selection.chosen, selection.source, selection.snap_distance_m,
    )  # fmt: skip


class AnyOrder(RuleBasedStateMachine):
    """A session beside the list of what was selected before, which undoing must give back."""

    def __init__(self, oracle_class):
        super().__init__()
        self.oracle = oracle_class(labels_of)
        self.session = ObjectSession(self.oracle, SETTINGS)
        self.steps = [None]
        self.stamp_ns, self.newest = 0, None
        self.ids = []

    def seen(self):
        session = self.session
        return session.cloud, session.waiting, bits(session.selection), len(session.accepted), session.accepted.next_id

    def attempt(self, action, *arguments):
        """What the action gives; None where it is refused, which must not leave a trace."""
        before, encoded = self.seen(), len(self.oracle.encoded)
        try:
            return action(*arguments)
        except InputError:
            assert self.seen() == before
            assert len(self.oracle.encoded) == encoded
            return None

    def prompted(self, selection):
        if selection is not None:
            assert selection is self.session.selection
            self.steps.append(bits(selection))

    def place(self, row):
        return NOWHERE if self.session.cloud is None else self.session.cloud.points[row].astype(np.float64)

    @rule()
    def cloud_comes(self):
        self.stamp_ns += 1
        self.newest = make_cloud(self.stamp_ns)
        busy, before = self.session.busy, self.session.cloud
        self.session.set_cloud(self.newest)
        assert self.session.cloud is (before if busy else self.newest)
        if not busy:
            self.steps = [None]

    @rule()
    def bad_cloud_comes(self):
        """Refused at once, or, while an object is in progress, not even looked at."""
        if not self.session.busy:
            self.attempt(self.session.set_cloud, Cloud(np.zeros((1, 3), np.float32)))

    @rule(row=ROWS, is_foreground=st.booleans())
    def click(self, row, is_foreground):
        self.prompted(self.attempt(self.session.click, self.place(row), is_foreground))

    @rule()
    def click_nowhere(self):
        assert self.attempt(self.session.click, NOWHERE) is None

    @rule(label=st.integers(0, 3))
    def mask(self, label):
        self.prompted(self.attempt(self.session.select_mask, np.arange(60) // 20 == label))

    @rule(rows=st.tuples(ROWS, ROWS))
    def box(self, rows):
        self.prompted(self.attempt(self.session.select_box, *map(self.place, rows)))

    @rule(x_m=st.floats(-3, 3), y_m=st.floats(-3, 3))
    def goal(self, x_m, y_m):
        self.prompted(self.attempt(self.session.select_goal, x_m, y_m))

    @rule()
    def next_candidate(self):
        before = self.session.selection
        found = self.attempt(self.session.next_candidate)
        if found is not None:
            assert found.candidates is before.candidates
            self.steps[-1] = bits(found)

    @rule()
    def undo(self):
        asked, possible, waits = len(self.oracle.asked), len(self.steps) > 1, self.session.waiting
        self.attempt(self.session.undo)
        assert len(self.oracle.asked) == asked
        if possible:
            self.steps.pop()
        self._newest_taken(waits)

    @rule()
    def clear(self):
        waits = self.session.waiting
        if self.session.busy:
            self.steps.append(None)
        self.session.clear()
        assert not self.session.busy
        self._newest_taken(waits)

    @rule(end=st.sampled_from(["accept", "reject", "new_object"]))
    def end(self, end):
        busy, mask = self.session.busy, busy_mask(self.session)
        done = self.attempt(getattr(self.session, end))
        if end == "accept" and done is not None:
            assert done.instance_id > max(self.ids, default=ACCEPTED_IDS.start - 1)
            self.ids.append(done.instance_id)
            assert len(done.points) == mask.sum()
        if end == "new_object" or (busy and (end == "reject" or done is not None)):
            assert not self.session.busy
            self.steps = [None]

    @rule()
    def forget_accepted(self):
        for instance in self.session.accepted:
            self.session.accepted.remove(instance.instance_id)

    def _newest_taken(self, waits):
        """What was undone belongs to the cloud before, if another one waited."""
        if not self.session.busy and waits is not None:
            self.steps = [None]

    @invariant()
    def nothing_but_the_last_step_is_selected(self):
        assert bits(self.session.selection) == self.steps[-1]
        assert self.session.busy == (self.steps[-1] is not None)
        assert self.session.undo_steps == len(self.steps) - 1

    @invariant()
    def the_newest_cloud_is_used_or_waits(self):
        assert self.newest is (self.session.waiting or self.session.cloud)
        assert self.session.busy or self.session.waiting is None

    @invariant()
    def clicks_are_points_of_the_snapshot(self):
        selection = self.session.selection
        if selection is not None:
            assert selection.cloud is self.session.cloud
            assert len(selection.prompt.points) <= SETTINGS.max_clicks
            assert set(map(tuple, selection.prompt.points)) <= set(map(tuple, selection.cloud.points))

    @invariant()
    def no_cloud_is_encoded_twice(self):
        stamps = [cloud.stamp_ns for cloud in self.oracle.encoded]
        assert stamps == sorted(set(stamps))


def busy_mask(session):
    return None if session.selection is None else session.selection.mask


def test_any_order(oracle_class):
    run_state_machine_as_test(
        lambda: AnyOrder(oracle_class), settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
