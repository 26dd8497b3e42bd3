"""The judgement on ranges that differ, as steps for the verifier to do.

A difference is explained when its key has an event that was not reconciled yet while the two tables were read. To know
that, the tail must first have passed a heartbeat issued after the reading. An explained key is inconclusive: it is compared
again, and what never rests is left to be compared under the swap's lock, where nothing moves. Only a difference that no
event explains, twice, is real.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import TypeAlias

from osc.reconcile.pending import PendingSet
from osc.steps import AwaitSettled, Barrier, Compare, MeetTail
from osc.table.key import Key

ROUNDS = 8
"""How often a range with inconclusive keys is compared before those are left for the swap's lock."""

CONFIRMED_AT_ONCE = 1_000

ExamineStep: TypeAlias = Compare | Barrier | MeetTail | AwaitSettled


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of a range that differed."""

    restless: frozenset[Key]
    """Keys that never came to rest."""
    real: frozenset[Key] = frozenset()
    """Keys that differ although nobody changed them."""
    count: int = 0
    """How many differed so at first; the first thousand were looked at again."""


def examine(pending: PendingSet, rounds: int = ROUNDS) -> Generator[ExamineStep, None, Examined]:
    """Narrow a differing range down to keys, until every difference is explained and gone, or is real."""
    restless, unexplained = yield from _look(pending, None)
    for _ in range(rounds):
        if unexplained:
            count = len(unexplained)
            changed, real = yield from _look(pending, sorted(unexplained)[:CONFIRMED_AT_ONCE])
            if real:
                return Examined(frozenset(restless), frozenset(real), count)
            restless |= changed
        if not restless:
            return Examined(frozenset())
        yield AwaitSettled(restless)
        restless, unexplained = yield from _look(pending, sorted(restless))
    return Examined(frozenset(restless | unexplained))


def _look(
    pending: PendingSet, keys: Collection[Key] | None
) -> Generator[Compare | Barrier | MeetTail, None, tuple[set[Key], set[Key]]]:
    """The keys that differ: those that an event explains, and those that none does."""
    with pending.watching() as watch:
        look = Compare(keys)
        yield look
        if not look.differing:
            return set(), set()
        barrier = Barrier()
        yield barrier
        yield MeetTail(barrier.beat)
        explained = pending.touched(watch, look.differing)
    return explained, look.differing - explained
