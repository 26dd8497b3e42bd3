"""Where the tail delivers what the binlog tells; called on its thread."""

from __future__ import annotations

from osc.reconcile.barrier import Heartbeat
from osc.reconcile.intake import Intake
from osc.reconcile.pending import PendingSet


class Sink:
    """Changed keys go into the pending set, heartbeats to who waits for them."""

    def __init__(self, intake: Intake, pending: PendingSet, heartbeat: Heartbeat) -> None:
        self.changed = intake.add
        self.prepared = pending.prepare
        self._pending = pending
        self.heartbeat = heartbeat.seen

    def decided(self, xid: str, committed: bool, transaction: int) -> None:
        """Committed or rolled back: in both cases the rows can be read."""
        self._pending.decide(xid)
