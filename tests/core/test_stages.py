from __future__ import annotations

import time

import pytest

from seg3d_core.stages import recorded, stage


def test_stages_of_one_name_add_up() -> None:
    with recorded() as times:
        for _ in range(2):
            with stage("sleep"):
                time.sleep(0.01)
        with stage("nothing"):
            pass
    assert list(times.milliseconds) == ["sleep", "nothing"]
    assert times.milliseconds["sleep"] >= 20 > times.milliseconds["nothing"] >= 0


def test_nothing_is_kept_outside() -> None:
    with stage("before"):
        pass
    with recorded() as times:
        pass
    with stage("after"):
        pass
    assert times.milliseconds == {}


def test_the_device_is_waited_for_at_both_ends() -> None:
    waits: list[int] = []
    with recorded(lambda: waits.append(1)), stage("on the device"):
        assert len(waits) == 1
    assert len(waits) == 2


def test_a_stage_that_fails_is_not_counted() -> None:
    with recorded() as times:
        with pytest.raises(ZeroDivisionError), stage("fails"):
            _ = 1 / 0
        with stage("works"):
            pass
    assert list(times.milliseconds) == ["works"]
