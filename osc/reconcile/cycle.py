"""The reconcile cycle, as steps for the reconciler to do.

1. Release the keys of XA transactions that were decided and have left the server's list. 2. Take the pending keys. 3. The
barrier: their changes are visible now. 4. Judge each against the watermarks: drop what the copy will read, hold what a
range in flight may just be reading, reconcile the rest. Whatever happens, no key of the cycle is forgotten: what was not
settled is held.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from osc.reconcile.pending import PendingSet
from osc.reconcile.watermarks import Watermarks
from osc.steps import Apply, AskPrepared, AwaitRanges, Barrier

CycleStep: TypeAlias = AskPrepared | Barrier | AwaitRanges | Apply


def cycle(pending: PendingSet, watermarks: Watermarks) -> Generator[CycleStep, None, int]:
    """One cycle; returns how many keys it took."""
    # Known before the server is asked: one that is prepared and decided after the answer would be missing in it as well.
    decided = pending.decided()
    if decided:
        asked = AskPrepared()
        yield asked
        pending.release(number for number, xid in decided.items() if xid not in asked.listed)
    batch = pending.take()
    try:
        if batch:
            yield Barrier()
            verdict = watermarks.sort(batch)
            pending.dropped(verdict.drop)
            pending.hold(verdict.hold)
            if verdict.after_ranges:
                yield AwaitRanges(verdict.after_ranges)
            if verdict.reconcile:
                yield Apply(verdict.reconcile)
            pending.reconciled(verdict.reconcile)
    finally:
        pending.hold()
    return len(batch)


def opening() -> Generator[AskPrepared | Barrier, None, None]:
    """What stands between taking the binlog's coordinate and handing out the first range, with the tail under way.

    The coordinate may already include a transaction that no read sees yet, and no event for it will follow: the barrier
    waits for it. The rows of XA transactions that were prepared by then will not be delivered either: they must end. One
    that is in the binlog already is listed only when its commit there is through, so the barrier comes before the question
    as well.
    """
    yield Barrier()
    asked = AskPrepared()
    yield asked
    # Those that are listed now; rows of later ones will be delivered.
    waited_for = asked.listed
    while waited_for:
        asked = AskPrepared(waited_for)
        yield asked
        waited_for &= asked.listed
    yield Barrier()
