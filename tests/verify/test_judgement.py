"""The judgement on differences: what an event explains is looked at again, what none explains is real."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from osc.reconcile.pending import PendingSet
from osc.steps import Compare, carry_out
from osc.table.key import Key
from osc.verify.judgement import Examined, ExamineStep, examine

A, B = (1,), (2,)


def judged(pending: PendingSet, looks: Iterable[Callable[[], set[Key]]], rounds: int = 2) -> Examined:
    """What comes of it when each look finds what the next of `looks` says."""
    answers = iter(looks)

    def do(step: ExamineStep) -> None:
        if isinstance(step, Compare):
            step.differing = next(answers)()

    return carry_out(examine(pending, rounds), do)


def finds(*keys: Key) -> Callable[[], set[Key]]:
    return lambda: set(keys)


def changed(pending: PendingSet, *keys: Key) -> Callable[[], set[Key]]:
    """The keys differ, and change while they are looked at."""

    def look() -> set[Key]:
        pending.add(keys, 1)
        pending.settle(pending.take())
        return set(keys)

    return look


def test_a_difference_that_no_event_explains_twice_is_real() -> None:
    assert judged(PendingSet(), [finds(A, B), finds(A)]) == Examined(frozenset(), frozenset({A}), 2)


def test_a_key_that_is_not_settled_explains_its_difference() -> None:
    pending = PendingSet()
    pending.add([A], 1)
    assert judged(pending, [finds(A), finds()]) == Examined(frozenset())


def test_a_key_that_never_rests_is_left_for_the_swap() -> None:
    pending = PendingSet()
    look = changed(pending, A)
    assert judged(pending, [look, look, look]) == Examined(frozenset({A}))


def test_a_key_that_changes_while_its_difference_is_confirmed_is_looked_at_again() -> None:
    pending = PendingSet()
    outcome = judged(pending, [finds(A), changed(pending, A), finds(A), finds(A)])
    assert outcome == Examined(frozenset(), frozenset({A}), 1)


def test_a_difference_of_the_last_round_that_nothing_explains_is_not_forgotten() -> None:
    pending = PendingSet()
    look = changed(pending, A)
    assert judged(pending, [look, look, finds(A)]) == Examined(frozenset({A}))
