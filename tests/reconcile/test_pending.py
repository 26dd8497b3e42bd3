"""The pending set: no key is forgotten, and the oldest unsettled transaction is always known."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable

import pytest

from osc.reconcile.pending import PendingSet, bytes_of
from osc.reconcile.rest import REST_S
from osc.reconcile.watermarks import Watermarks
from osc.table.key import Key


def test_a_key_keeps_the_first_transaction_in_which_it_was_seen() -> None:
    pending = PendingSet()
    pending.add([(1,)], 5)
    pending.add([(1,), (2,)], 7)
    assert pending.take() == {(1,): 5, (2,): 7}


def test_a_key_that_changes_again_during_its_cycle_waits_for_the_next_one() -> None:
    pending = PendingSet()
    pending.rest_no_more()
    pending.add([(1,)], 5)
    pending.take()
    pending.add([(1,)], 9)
    pending.reconciled([(1,)])
    assert pending.oldest() == 9
    assert pending.take() == {(1,): 9}


class Clock:
    """Says what it is set to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_key_that_was_reconciled_a_moment_ago_rests() -> None:
    clock = Clock()
    pending = PendingSet(clock=clock)
    pending.add([(1,), (2,)], 5)
    pending.take()
    pending.reconciled([(1,)])
    pending.dropped([(2,)])
    pending.add([(1,), (2,), (3,)], 9)
    assert pending.take() == {(2,): 9, (3,): 9}
    clock.now_s += REST_S / 2
    pending.reconciled([(2,), (3,)])
    assert (len(pending), pending.due) == (1, 0)
    assert pending.oldest() == 9
    assert pending.unsettled([(1,), (2,)]) == {(1,)}
    with pending.watching() as watch:
        assert pending.touched(watch, [(1,), (2,)]) == {(1,)}
    pending.add([(2,)], 11)
    assert pending.take() == {}
    clock.now_s += REST_S / 2
    assert pending.take() == {(1,): 9}
    pending.reconciled([(1,)])
    clock.now_s += REST_S / 2
    assert pending.take() == {(2,): 11}


def test_a_key_that_rests_keeps_its_first_transaction_while_it_goes_on_changing() -> None:
    pending = PendingSet()
    for transaction in (1, 5, 9):
        pending.add([(1,)], transaction)
        pending.reconciled(list(pending.take()))
    assert pending.oldest() == 5
    pending.rest_no_more()
    assert pending.take() == {(1,): 5}


def test_when_no_key_may_rest_any_more_a_hot_one_is_taken_each_time() -> None:
    pending = PendingSet()
    pending.rest_no_more()
    for transaction in (1, 5, 9):
        pending.add([(1,)], transaction)
        assert pending.take() == {(1,): transaction}
        pending.reconciled([(1,)])


def test_of_too_many_keys_those_reconciled_longest_ago_rest_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osc.reconcile.pending.MOST_REMEMBERED", 2)
    pending = PendingSet()
    pending.add([(1,), (2,)], 1)
    pending.reconciled(sorted(pending.take()))
    pending.add([(1,), (2,), (3,)], 2)
    pending.reconciled(list(pending.take()))
    assert pending.take() == {(1,): 2}
    assert pending.unsettled([(2,)]) == {(2,)}


def test_a_held_key_keeps_its_first_transaction_even_when_it_changes_again() -> None:
    pending = PendingSet()
    pending.add([(1,)], 5)
    pending.take()
    pending.add([(1,)], 9)
    pending.hold([(1,)])
    assert pending.oldest() == 5
    assert pending.take() == {(1,): 5}


def test_everything_that_a_cycle_did_not_settle_can_be_held_at_once() -> None:
    pending = PendingSet()
    pending.add([(1,), (2,), (3,)], 5)
    pending.take()
    pending.reconciled([(2,)])
    pending.hold()
    assert pending.take() == {(1,): 5, (3,): 5}


def test_a_second_cycle_cannot_begin_while_the_first_has_keys() -> None:
    pending = PendingSet()
    pending.add([(1,)], 5)
    pending.take()
    with pytest.raises(AssertionError):
        pending.take()


def test_the_oldest_transaction_counts_keys_that_wait_are_held_in_a_cycle_or_prepared() -> None:
    pending = PendingSet()
    assert pending.oldest() is None
    pending.prepare("x", [(9,)], 3)
    pending.add([(1,)], 5)
    assert pending.oldest() == 3
    pending.decide("x")
    assert pending.oldest() == 3
    pending.release(pending.decided())
    assert pending.oldest() == 3
    pending.take()
    assert pending.oldest() == 3
    pending.reconciled([(9,)])
    assert pending.oldest() == 5
    pending.reconciled([(1,)])
    assert pending.oldest() is None


def test_keys_of_a_prepared_transaction_are_not_taken_before_it_is_decided() -> None:
    pending = PendingSet()
    pending.prepare("x", [(1,)], 3)
    assert pending.take() == {}
    pending.decide("x")
    assert pending.take() == {}
    assert len(pending) == 1
    pending.release(pending.decided())
    assert pending.take() == {(1,): 3}


def test_keys_of_a_transaction_that_uses_an_xid_again_are_not_released_with_the_first_one() -> None:
    pending = PendingSet()
    pending.prepare("x", [(1,)], 1)
    pending.decide("x")
    first = pending.decided()
    pending.prepare("x", [(2,)], 3)
    pending.decide("x")
    pending.release(first)
    assert pending.take() == {(1,): 1}
    assert list(pending.decided().values()) == ["x"]
    assert pending.oldest() == 1
    assert pending.unsettled([(1,), (2,)]) == {(1,), (2,)}


def test_a_transaction_that_was_never_seen_prepared_can_be_decided() -> None:
    pending = PendingSet()
    pending.decide("unknown")
    assert pending.decided() == {}


def test_a_watch_knows_keys_that_were_unsettled_when_it_began_and_those_that_came_later() -> None:
    pending = PendingSet()
    pending.add([(1,)], 1)
    pending.prepare("x", [(2,)], 1)
    with pending.watching() as watch:
        pending.take()
        pending.reconciled([(1,)])
        pending.add([(3,)], 2)
        assert pending.touched(watch, [(1,), (2,), (3,), (4,)]) == {(1,), (2,), (3,)}
    assert pending.unsettled([(1,), (2,), (3,), (4,)]) == {(2,), (3,)}


def test_waiting_for_keys_ends_at_once_when_there_are_some() -> None:
    pending = PendingSet()
    assert not pending.wait_for_keys(0.0)
    pending.add([(1,)], 1)
    assert pending.wait_for_keys(0.0)


@pytest.mark.parametrize(
    "key_of",
    [
        lambda number: (number,),
        lambda number: (number, number % 1_000 + 2**40),
        lambda number: (b"user-%015d" % number,),
        lambda number: (b"0123456789abcdef-%019d" % number, number),
    ],
    ids=["integer", "integers", "string", "string and integer"],
)
def test_what_keys_cost_is_not_guessed_too_low_nor_far_too_high(key_of: Callable[[int], Key]) -> None:
    count = 50_000
    pending, watermarks = PendingSet(), Watermarks(compares=True, may_drop=False)
    watermarks.open_end()
    tracemalloc.start()
    try:
        for first in range(10**6, 10**6 + count, 50):
            pending.add([key_of(number) for number in range(first, first + 50)], first)
        guessed = pending.due_bytes
        verdict = watermarks.sort(pending.take())
        ordered = sorted(verdict.reconcile)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ordered) == count
    assert most <= guessed <= 2 * most


def test_without_room_more_keys_wait_until_others_are_settled() -> None:
    pending = PendingSet(most_bytes=bytes_of((1,)) * 2)
    pending.add([(1,)], 5)
    assert pending.wait_for_room(0)
    pending.add([(2,)], 6)
    assert not pending.wait_for_room(0)
    pending.take()
    assert not pending.wait_for_room(0)
    settler = threading.Thread(target=pending.reconciled, args=([(1,)],))
    settler.start()
    assert pending.wait_for_room(60)
    settler.join()


def test_keys_that_rest_make_room_when_there_is_none() -> None:
    pending = PendingSet(most_bytes=bytes_of((1,)) * 16)
    pending.add([(1,), (2,)], 5)
    pending.reconciled(list(pending.take()))
    pending.add([(1,), (2,)], 6)
    assert pending.take() == {}
    pending.add([(number,) for number in range(3, 15)], 7)
    assert pending.wait_for_room(0)
    assert pending.take().keys() >= {(1,), (2,)}


def test_keys_that_were_reconciled_leave_most_of_the_memory_to_those_that_wait() -> None:
    pending = PendingSet(most_bytes=bytes_of((1,)) * 8)
    pending.add([(number,) for number in range(7)], 5)
    pending.reconciled(list(pending.take()))
    pending.add([(number,) for number in range(7)], 6)
    assert len(pending.take()) == 6


def test_keys_of_prepared_transactions_keep_nobody_waiting() -> None:
    pending = PendingSet(most_bytes=bytes_of((1,)) * 2)
    pending.prepare("x", [(number,) for number in range(100)], 5)
    pending.add([(1,)], 6)
    assert pending.wait_for_room(0)


def test_keys_are_mostly_settled_when_half_of_them_are_and_one_alone_when_it_is() -> None:
    pending = PendingSet()
    keys = [(number,) for number in range(10)]
    pending.add(keys[:6], 1)
    assert not pending.are_mostly_settled(keys)
    assert pending.are_mostly_settled([*keys[1:6], *keys[6:], (10,)])
    assert not pending.are_mostly_settled(keys[:1])
    assert pending.are_mostly_settled(keys[6:7])
