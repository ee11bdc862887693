from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_ros.sync import QUEUE_LENGTH, EveryPair, NewestPairs, Pair, StampOrder

MS = 1_000_000
SLOP_S = 0.016


def every_pair(refused: list[InputError] | None = None) -> EveryPair:
    return EveryPair(SLOP_S, 1.0, ([] if refused is None else refused).append)


def feed(pairs: EveryPair | NewestPairs, order: list[tuple[str, int]]) -> list[tuple[int, int]]:
    """Send (stream, stamp in ms) in this order; the pairs that come out, (colour, depth) in ms."""
    out: list[Pair] = []
    for stream, stamp_ms in order:
        add = pairs.add_rgb if stream == "rgb" else pairs.add_depth
        out += add(stamp_ms * MS, stamp_ms)
    assert all(pair.stamp_ns == pair.rgb * MS for pair in out)
    return [(pair.rgb, pair.depth) for pair in out]


def interleaved(rgb: list[int], depth: list[int], choices: list[bool]) -> list[tuple[str, int]]:
    """Both streams, each in its own order, merged as ``choices`` say."""
    left, right = iter(rgb), iter(depth)
    order: list[tuple[str, int]] = []
    for take_rgb in choices:
        stream, source = ("rgb", left) if take_rgb else ("depth", right)
        order += [(stream, stamp) for stamp in itertools.islice(source, 1)]
    return order + [("rgb", stamp) for stamp in left] + [("depth", stamp) for stamp in right]


STREAM = st.lists(st.integers(0, 2000), max_size=25, unique=True).map(sorted)


@settings(max_examples=300)
@given(STREAM, STREAM, st.lists(st.booleans(), max_size=50), st.lists(st.booleans(), max_size=50))
def test_any_interleaving_gives_the_same_pairs(
    rgb: list[int], depth: list[int], one: list[bool], other: list[bool]
) -> None:
    end = [("depth", 10_000)]  # nothing is left undecided
    first = feed(every_pair(), interleaved(rgb, depth, one) + end)
    assert first == feed(every_pair(), interleaved(rgb, depth, other) + end)
    assert len({d for _, d in first}) == len(first), "a depth image is used once"
    assert all(abs(r - d) <= 16 for r, d in first)
    assert [r for r, _ in first] == sorted(r for r, _ in first)


@settings(max_examples=100)
@given(STREAM, st.lists(st.booleans(), max_size=50))
def test_equal_stamps_are_all_paired_at_once(stamps: list[int], choices: list[bool]) -> None:
    assert feed(every_pair(), interleaved(stamps, stamps, choices)) == [(stamp, stamp) for stamp in stamps]


@settings(max_examples=100)
@given(STREAM, STREAM, st.lists(st.booleans(), max_size=50))
def test_everything_is_accounted_for(rgb: list[int], depth: list[int], choices: list[bool]) -> None:
    synchroniser = every_pair()
    pairs = feed(synchroniser, [*interleaved(rgb, depth, choices), ("depth", 10_000)])
    assert synchroniser.unmatched >= len(rgb) - len(pairs)
    assert synchroniser.unmatched <= len(rgb) + len(depth) - 2 * len(pairs)


def test_the_nearest_depth_is_taken_not_the_first() -> None:
    assert feed(every_pair(), [("rgb", 100), ("depth", 90), ("depth", 103)]) == [(100, 103)]
    assert feed(every_pair(), [("rgb", 100), ("depth", 97), ("depth", 104)]) == [(100, 97)]
    assert feed(every_pair(), [("depth", 96), ("depth", 104), ("rgb", 100)]) == [(100, 96)], "ties: the earlier"


def test_nothing_within_reach_is_counted() -> None:
    synchroniser = every_pair()
    assert feed(synchroniser, [("rgb", 100), ("depth", 200), ("rgb", 200)]) == [(200, 200)]
    assert synchroniser.unmatched == 1


@given(st.lists(st.booleans(), max_size=40))
def test_a_bag_that_loops_starts_afresh(choices: list[bool]) -> None:
    loop = [5000, 5033, 5066, 0, 33, 66]
    assert feed(every_pair(), interleaved(loop, loop, choices)) == [(stamp, stamp) for stamp in loop]


def test_a_small_step_back_is_refused_in_words() -> None:
    refused: list[InputError] = []
    feed(every_pair(refused), [("rgb", 500), ("rgb", 400)])
    assert [str(error) for error in refused] == [
        "rgb stamp 0.400 s is 0.100 s older than the input before it: out of order, not used "
        "(a step back of 1 s or more would start afresh)"
    ]


def test_the_last_frame_of_a_recording_is_used_when_nothing_more_comes() -> None:
    synchroniser = every_pair()
    assert feed(synchroniser, [("rgb", 100), ("rgb", 133), ("rgb", 166), ("depth", 90), ("depth", 130)]) == [(100, 90)]
    assert [(pair.stamp_ns // MS, pair.depth) for pair in synchroniser.flush()] == [(133, 130)]
    assert synchroniser.unmatched == 0
    assert feed(synchroniser, [("depth", 166)]) == [(166, 166)], "what had no partner yet has gone on waiting"
    assert synchroniser.flush() == NewestPairs(SLOP_S).flush() == []


def test_live_pairs_as_soon_as_both_are_there() -> None:
    assert feed(NewestPairs(SLOP_S), [("rgb", 0), ("depth", 5), ("depth", 33), ("rgb", 34)]) == [(0, 5), (34, 33)]


def test_live_gives_up_what_is_older_than_a_pair() -> None:
    pairs = NewestPairs(SLOP_S)
    assert feed(pairs, [("rgb", 0), ("rgb", 33), ("rgb", 66), ("depth", 66), ("depth", 0)]) == [(66, 66)]
    assert pairs.unmatched == 2


@given(st.lists(st.tuples(st.sampled_from(["rgb", "depth"]), st.integers(0, 500)), max_size=200))
def test_live_is_bounded_and_within_slop_whatever_comes(order: list[tuple[str, int]]) -> None:
    pairs = NewestPairs(SLOP_S)
    assert all(abs(r - d) <= 16 for r, d in feed(pairs, order))
    assert max(len(pairs._rgb), len(pairs._depth)) <= QUEUE_LENGTH


def test_order_of_stamps() -> None:
    order = StampOrder(1.0)
    assert [order.jumped_back(stamp * MS) for stamp in (5000, 5000, 5100, 4100, 4200)] == [False] * 3 + [True, False]
    with pytest.raises(InputError, match=r"stamp 4.000 s is 0.200 s older than the input before it"):
        order.jumped_back(4000 * MS)
    order.clear()
    assert not order.jumped_back(0)
