"""The pending set: no key is forgotten, and the oldest unsettled transaction is always known."""

from __future__ import annotations

import pytest

from osc.reconcile.pending import PendingSet


def test_a_key_keeps_the_first_transaction_in_which_it_was_seen() -> None:
    pending = PendingSet()
    pending.add([(1,)], 5)
    pending.add([(1,), (2,)], 7)
    assert pending.take() == {(1,): 5, (2,): 7}


def test_a_key_that_changes_again_during_its_cycle_waits_for_the_next_one() -> None:
    pending = PendingSet()
    pending.add([(1,)], 5)
    pending.take()
    pending.add([(1,)], 9)
    pending.settle([(1,)])
    assert pending.oldest() == 9
    assert pending.take() == {(1,): 9}


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
    pending.settle([(2,)])
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
    pending.settle([(9,)])
    assert pending.oldest() == 5
    pending.settle([(1,)])
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
        pending.settle([(1,)])
        pending.add([(3,)], 2)
        assert pending.touched(watch, [(1,), (2,), (3,), (4,)]) == {(1,), (2,), (3,)}
    assert pending.unsettled([(1,), (2,), (3,), (4,)]) == {(2,), (3,)}


def test_waiting_for_keys_ends_at_once_when_there_are_some() -> None:
    pending = PendingSet()
    assert not pending.wait_for_keys(0.0)
    pending.add([(1,)], 1)
    assert pending.wait_for_keys(0.0)
