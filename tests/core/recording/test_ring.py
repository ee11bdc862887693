from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.recording.latched import MAX_TRANSFORM_MESSAGES, LatchedMemory
from seg3d_core.recording.message import OVERHEAD_BYTES, RecordedMessage
from seg3d_core.recording.ring import Ring
from seg3d_core.recording.settings import RingConfig
from seg3d_core.recording.topics import TypeDefinitions

S = 1_000_000_000
TYPES = TypeDefinitions()
CHATTER = TYPES.topic("/chatter", "std_msgs/msg/String")
MAP = TYPES.topic("/map", "std_msgs/msg/String", is_latched=True)
TF = TYPES.topic("/tf_static", "tf2_msgs/msg/TFMessage", is_latched=True)


def message(second: float, data: bytes = b"x", topic=CHATTER) -> RecordedMessage:
    return RecordedMessage(topic, round(second * S), round(second * S), data)


class Kept:
    def __init__(self, **limits: object) -> None:
        self.latched = LatchedMemory()
        self.ring = Ring(RingConfig.build(limits), self.latched)

    def add(self, each: RecordedMessage) -> None:
        self.latched.see(each)
        self.ring.add(each)

    def seconds(self) -> list[float]:
        return [each.log_ns / S for each in self.ring.messages()]


def test_the_last_seconds_are_kept_and_what_is_latched() -> None:
    kept = Kept(seconds=5)
    kept.add(message(0, b"a", TF))
    kept.add(message(0, b"b", TF))
    kept.add(message(0, b"a", TF))
    kept.add(message(0, b"old", MAP))
    kept.add(message(1, b"new", MAP))
    for second in range(2, 20):
        kept.add(message(second))
    found = [(each.topic.name, each.log_ns // S, each.data) for each in kept.ring.messages()]
    assert found[:3] == [("/tf_static", 14, b"b"), ("/tf_static", 14, b"a"), ("/map", 14, b"new")]
    assert [second for _, second, _ in found[3:]] == [14, 15, 16, 17, 18, 19]
    assert kept.ring.span_s == 5.0


def test_what_is_latched_and_still_in_the_ring_is_there_once() -> None:
    kept = Kept(seconds=5)
    kept.add(message(3, b"map", MAP))
    kept.add(message(4))
    assert kept.seconds() == [3, 4]


def test_a_clock_that_went_back_empties_it() -> None:
    kept = Kept(seconds=5)
    for second in (100, 101, 3, 4):
        kept.add(message(second))
    assert kept.seconds() == [3, 4]
    assert kept.ring.size_bytes == 2 * (1 + OVERHEAD_BYTES)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400_000)), max_size=60))
def test_it_holds_no_more_than_its_bounds(steps: list[tuple[int, int]]) -> None:
    kept = Kept(seconds=10, max_mb=1)
    now = 0
    sent = []
    for step, size in steps:
        now += step
        sent.append(message(now, bytes(size)))
        kept.add(sent[-1])
        inside = kept.ring.messages()
        assert kept.ring.size_bytes == sum(each.cost_bytes for each in inside) <= 1_000_000
        assert inside == sent[len(sent) - len(inside) :]
        assert all(each.log_ns >= (now - 10) * S for each in inside)


def test_an_endless_number_of_transforms_is_not_kept() -> None:
    latched = LatchedMemory()
    for number in range(MAX_TRANSFORM_MESSAGES + 50):
        latched.see(message(number, b"%d" % number, TF))
    assert len(latched.at(0)) == MAX_TRANSFORM_MESSAGES
