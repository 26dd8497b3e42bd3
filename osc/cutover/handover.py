"""What both swaps do between getting the lock and the rename, within the budget of the lock.

What must have happened, and in which order, is told in `osc/cutover/conditions.py`; here it is done, on the locking session
(`COMMIT` keeps table locks; `BEGIN` would release them). In the end both tables must still have the structure that was
verified, the ghost is made to count on from where the original's `AUTO_INCREMENT` ended, and what was asked of the server
before is asked once more: old XA transactions, the order of commits. Past the budget the attempt is given up, and the
application goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from osc.cutover.conditions import AttemptFailed, LastStep, last_steps
from osc.cutover.prepare import count_on
from osc.errors import TableChanged
from osc.mysql.session import Conn
from osc.mysql.sql import qualified
from osc.reconcile.applier import Applier
from osc.reconcile.pending import PendingSet
from osc.state.checkpoint import Fingerprint
from osc.state.table import StateTable
from osc.steps import Apply, Barrier, CheckEpoch, Compare, MeetTail, carry_out
from osc.table.facts import structure_of
from osc.table.key import Key
from osc.verify.compare import Comparison
from osc.verify.verifier import differences

COMPARED_AT_ONCE = 200


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
        last_look: Callable[[Conn], str | None],
    ) -> None:
        """`fingerprint` has the structures of the original and of the complete ghost.

        `last_look` is what has to be asked of the server once more, right before the rename: what is in its way, or None.
        """
        self._pending = pending
        self._applier = applier
        self._comparison = comparison
        self._state = state
        self._epoch = epoch
        self._tail_has_met = tail_has_met
        self._structures = (fingerprint.source, fingerprint.ghost)
        self._last_look = last_look
        self.beat = 0
        """The heartbeat of the latest attempt."""

    @property
    def waiting_keys(self) -> int:
        """How many keys would have to be reconciled under the lock by now."""
        return len(self._pending)

    def prepare(self, connection: Conn, ghost: str) -> None:
        """What the locking session needs before it asks for the lock."""
        self._comparison.with_ghost(ghost).prepare(connection)

    def run(self, connection: Conn, ghost: str, restless: set[Key], budget: Budget) -> int:
        """Make the ghost equal to the original, for good; returns how many keys that took.

        Raises AttemptFailed when time is up, DifferencesFound, TableChanged, and MigrationFailed when a later run has taken
        over.
        """
        comparison = self._comparison.with_ghost(ghost)

        def do(step: LastStep) -> None:
            match step:
                case Barrier():
                    self.beat = step.beat = self._state.beat(connection)
                case MeetTail():
                    if not self._tail_has_met(step.beat, budget.left_s):
                        raise AttemptFailed("the binlog reader did not catch up while the lock was held")
                    budget.check("waiting for the binlog reader")
                case Apply():
                    self._applier.apply_on(connection, step.keys, comparison.projection)
                    connection.commit()
                    budget.check("reconciling the last keys")
                case Compare():
                    step.differing = self._differing(connection, comparison, sorted(step.keys or ()), budget)
                case CheckEpoch():
                    self._state.check_epoch(connection, self._epoch)

        look = carry_out(last_steps(self._pending, restless), do)
        if look.differing:
            raise differences(comparison, look.differing, len(look.differing))
        connection.commit()
        source_statement, ghost_statement = self._unchanged(connection, comparison)
        # A backup lock may have come in between, and what defines tables would wait for it as long as for the lock.
        with connection.cursor() as cursor:
            cursor.execute(f"set session lock_wait_timeout = {max(1, round(budget.left_s))}")
        # Nobody is given a number any more. One whose row was deleted since must not be given out again after the swap.
        count_on(connection, comparison.projection.ghost_table, source_statement, ghost_statement)
        in_the_way = self._last_look(connection)
        if in_the_way is not None:
            raise AttemptFailed(f"in the way: {in_the_way}")
        budget.check("checking the tables")
        return look.keys

    def _differing(self, connection: Conn, comparison: Comparison, keys: Sequence[Key], budget: Budget) -> set[Key]:
        found: set[Key] = set()
        for start in range(0, len(keys), COMPARED_AT_ONCE):
            budget.check("comparing the rows that never rested")
            found |= comparison.differing_keys(connection, keys[start : start + COMPARED_AT_ONCE])
        return found

    def _unchanged(self, connection: Conn, comparison: Comparison) -> list[str]:
        """How the original and the ghost are created; both with the structure that was verified, else TableChanged."""
        projection = comparison.projection
        statements = []
        for table, expected in zip((projection.source, projection.ghost), self._structures, strict=True):
            name = qualified(projection.database, table)
            with connection.cursor() as cursor:
                # In UTC, as they were read: the default of a TIMESTAMP is shown in the session's zone.
                cursor.execute("set @zone = @@session.time_zone, session time_zone = '+00:00'")
                cursor.execute(f"show create table {name}")
                row = cursor.fetchone()
                cursor.execute("set session time_zone = @zone")
            if row is None or Fingerprint.digest(structure_of(str(row[1]))) != expected:
                raise TableChanged(
                    f"{name} no longer has the structure that was verified: somebody altered it. Nothing was swapped; the "
                    "original is in place, as that somebody left it. Run `osc cleanup` and start again"
                )
            statements.append(str(row[1]))
        return statements
