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
from osc.steps import Barrier, Compare, MeetTail
from osc.table.key import Key

CONFIRMED_AT_ONCE = 1_000

ExamineStep: TypeAlias = Compare | Barrier | MeetTail


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of a look at rows that differ."""

    restless: frozenset[Key]
    """Keys to be compared again: somebody changed them, or there were too many to look at them twice."""
    real: frozenset[Key] = frozenset()
    """Keys that differ although nobody changed them."""
    count: int = 0
    """How many differed so at first; the first thousand were looked at again."""


def examine(pending: PendingSet, keys: Collection[Key] | None = None) -> Generator[ExamineStep, None, Examined]:
    """Tell explained differences from real ones, among these keys or in the range that is being verified (None)."""
    restless, unexplained = yield from _look(pending, keys)
    if not unexplained:
        return Examined(frozenset(restless))
    ordered = sorted(unexplained)
    changed, real = yield from _look(pending, ordered[:CONFIRMED_AT_ONCE])
    later = changed.union(ordered[CONFIRMED_AT_ONCE:])
    return Examined(frozenset(restless | later), frozenset(real), len(unexplained))


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
