"""What both swaps do between getting the lock and the rename.

Nobody can write the original now, and every transaction that did is visible. So:

1. Commit a heartbeat, on the locking session: it comes after every row event of the original in the binlog. (`COMMIT`
   keeps table locks; `BEGIN` would release them.)
2. Wait until the tail has met it: every key that changed is in the pending set.
3. Reconcile those keys, on the locking session, and commit.
4. Compare the keys that never came to rest during verification; now they do.
5. Make sure that no later run has begun, and that both tables still have the structure that was verified.

Every step is within the budget of the lock. Past it the attempt is given up, and the application goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from osc.errors import OscError, TableChanged
from osc.mysql.session import Conn
from osc.mysql.sql import qualified
from osc.reconcile.applier import Applier
from osc.reconcile.pending import PendingSet
from osc.state.checkpoint import Fingerprint
from osc.state.table import StateTable
from osc.table.facts import structure_of
from osc.table.key import Key
from osc.verify.compare import Comparison
from osc.verify.verifier import differences


class AttemptFailed(OscError):
    """This attempt at the swap was given up in time; nothing changed, and another may succeed."""

    resumable = True


@dataclass(frozen=True, slots=True)
class Budget:
    """The time that the application may be kept waiting."""

    ends_at: float
    """On the monotonic clock."""

    @classmethod
    def of(cls, seconds: float) -> Budget:
        return cls(time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        return max(0.0, self.ends_at - time.monotonic())

    def check(self, doing: str) -> None:
        """Raise AttemptFailed when there is nothing left."""
        if self.left_s <= 0:
            raise AttemptFailed(f"the lock was held for as long as allowed, while {doing}")


class Handover:
    """The last reconciling, under the lock."""

    def __init__(
        self,
        pending: PendingSet,
        applier: Applier,
        comparison: Comparison,
        state: StateTable,
        epoch: int,
        tail_has_met: Callable[[int, float], bool],
        fingerprint: Fingerprint,
    ) -> None:
        """`fingerprint` has the structures of the original and of the complete ghost."""
        self._pending = pending
        self._applier = applier
        self._comparison = comparison
        self._state = state
        self._epoch = epoch
        self._tail_has_met = tail_has_met
        self._structures = (fingerprint.source, fingerprint.ghost)
        self.beat = 0
        """The heartbeat of the latest attempt."""

    def prepare(self, connection: Conn, ghost: str) -> None:
        """What the locking session needs before it asks for the lock."""
        self._comparison.with_ghost(ghost).prepare(connection)

    def run(self, connection: Conn, ghost: str, restless: set[Key], budget: Budget) -> int:
        """Make the ghost equal to the original, for good; returns how many keys that took.

        Raises AttemptFailed when time is up, DifferencesFound, TableChanged, and MigrationFailed when a later run has taken
        over.
        """
        comparison = self._comparison.with_ghost(ghost)
        self.beat = beat = self._state.beat(connection)
        if not self._tail_has_met(beat, budget.left_s):
            raise AttemptFailed("the binlog reader did not catch up while the lock was held")
        keys = self._drain(connection, comparison, budget)
        if len(self._pending):
            raise AttemptFailed("a prepared XA transaction has changed rows of the table, and is not decided yet")
        differing = comparison.differing_keys(connection, sorted(restless))
        if differing:
            raise differences(comparison, differing, len(differing))
        self._state.check_epoch(connection, self._epoch)
        connection.commit()
        self._check_structures(connection, comparison)
        budget.check("checking the tables")
        return keys

    def _drain(self, connection: Conn, comparison: Comparison, budget: Budget) -> int:
        batch = self._pending.take()
        try:
            budget.check("waiting for the binlog reader")
            self._applier.apply_on(connection, list(batch), comparison.projection)
            connection.commit()
            self._pending.settle(batch)
        finally:
            self._pending.hold()
        budget.check("reconciling the last keys")
        return len(batch)

    def _check_structures(self, connection: Conn, comparison: Comparison) -> None:
        projection = comparison.projection
        for table, expected in zip((projection.source, projection.ghost), self._structures, strict=True):
            name = qualified(projection.database, table)
            with connection.cursor() as cursor:
                cursor.execute(f"show create table {name}")
                row = cursor.fetchone()
            if row is None or Fingerprint.digest(structure_of(str(row[1]))) != expected:
                raise TableChanged(
                    f"{name} no longer has the structure that was verified: somebody altered it. Nothing was swapped; the "
                    "original is in place, as that somebody left it. Run `osc cleanup` and start again"
                )
