"""The judgement on differences: what an event explains is looked at again, what none explains is real."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from osc.reconcile.pending import PendingSet
from osc.steps import Compare, carry_out
from osc.table.key import Key
from osc.verify.judgement import Examined, ExamineStep, examine

A, B = (1,), (2,)


def judged(pending: PendingSet, looks: Iterable[Callable[[], set[Key]]]) -> Examined:
    """What comes of it when each look finds what the next of `looks` says."""
    answers = iter(looks)

    def do(step: ExamineStep) -> None:
        if isinstance(step, Compare):
            step.differing = next(answers)()

    return carry_out(examine(pending), do)


def finds(*keys: Key) -> Callable[[], set[Key]]:
    return lambda: set(keys)


def changed(pending: PendingSet, *keys: Key) -> Callable[[], set[Key]]:
    """The keys differ, and change while they are looked at."""

    def look() -> set[Key]:
        pending.add(keys, 1)
        pending.reconciled(pending.take())
        return set(keys)

    return look


def test_a_difference_that_no_event_explains_twice_is_real() -> None:
    assert judged(PendingSet(), [finds(A, B), finds(A)]) == Examined(frozenset(), frozenset({A}), 2)


def test_a_key_that_is_not_settled_explains_its_difference() -> None:
    pending = PendingSet()
    pending.add([A], 1)
    assert judged(pending, [finds(A)]) == Examined(frozenset({A}))


def test_a_key_that_changes_while_its_difference_is_confirmed_is_looked_at_again() -> None:
    pending = PendingSet()
    assert judged(pending, [finds(A), changed(pending, A)]) == Examined(frozenset({A}), frozenset(), 1)


def test_a_difference_that_is_gone_when_it_is_confirmed_is_none() -> None:
    assert judged(PendingSet(), [finds(A), finds()]) == Examined(frozenset(), frozenset(), 1)
