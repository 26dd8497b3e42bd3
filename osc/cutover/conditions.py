"""What must have happened under the swap's lock before the rename, as steps for the handover to do.

Nobody can write the original now, and every transaction that did is visible. So:

1. Commit a heartbeat: it comes after every row event of the original in the binlog.
2. Wait until the tail has met it: every key that changed is in the pending set.
3. Reconcile those keys. None may be left; one that is belongs to an XA transaction that is not decided yet.
4. Compare the keys that never came to rest during verification; now they do.
5. Make sure that no later run has begun.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import TypeAlias

from osc.errors import OscError
from osc.reconcile.pending import PendingSet
from osc.steps import Apply, Barrier, CheckEpoch, Compare, MeetTail
from osc.table.key import Key

LastStep: TypeAlias = Barrier | MeetTail | Apply | Compare | CheckEpoch


class AttemptFailed(OscError):
    """This attempt at the swap was given up in time; nothing changed, and another may succeed."""

    resumable = True


@dataclass(frozen=True, slots=True)
class LastLook:
    """What came of the last reconciling."""

    keys: int
    """How many were reconciled."""
    differing: frozenset[Key]
    """Keys that differ at rest: there must be none."""


def last_steps(pending: PendingSet, restless: Collection[Key]) -> Generator[LastStep, None, LastLook]:
    """Make the ghost equal to the original, for good. Raises AttemptFailed when a transaction is not decided."""
    barrier = Barrier()
    yield barrier
    yield MeetTail(barrier.beat)
    pending.rest_no_more()
    batch = pending.take()
    try:
        yield Apply(list(batch))
        pending.reconciled(batch)
    finally:
        pending.hold()
    if len(pending):
        raise AttemptFailed("a prepared XA transaction has changed rows of the table, and is not decided yet")
    look = Compare(restless)
    yield look
    yield CheckEpoch()
    return LastLook(len(batch), frozenset(look.differing))
