"""The tail of a run of the model: the real progress and the real pending set, fed with the model's binlog."""

from __future__ import annotations

from osc.mysql.server import Server as ServerFacts
from osc.reconcile.pending import PendingSet
from osc.table.key import Key
from osc.tail.coordinate import Coordinate
from osc.tail.progress import MARK_INTERVAL_S, Progress
from tests.model.server import Event, Server

FILE = "binlog.000001"
_FACTS = ServerFacts("mysql", (9, 7, 0), "9.7.0", {})


class Tail:
    """Delivers the server's binlog event by event."""

    def __init__(self, server: Server, pending: PendingSet, start: Coordinate) -> None:
        self._server = server
        self._pending = pending
        self._begun = 0
        self.progress = Progress(start, _FACTS, clock=self._clock)
        self._at = start.position
        self._group: list[Key] = []
        self.met = 0

    def _clock(self) -> float:
        return self._begun * MARK_INTERVAL_S * 1.1 / self._server.settings.mark_every

    def deliver(self, events: int) -> bool:
        """Deliver that many events; whether there was one."""
        if self._at >= len(self._server.binlog):
            return False
        for event in self._server.binlog[self._at : self._at + events]:
            self._at += 1
            self._read(event)
        return True

    def _read(self, event: Event) -> None:
        match event.kind:
            case "begin" | "other":
                self._begun += 1
                self.progress.begin()
                self._group = []
            case "rows":
                # Which rows belong to an XA transaction is said at the group's beginning.
                if self._is_of_xa():
                    self._group += event.keys
                else:
                    self._pending.add(event.keys, self.progress.number)
            case "prepared":
                self._pending.prepare(event.xid, self._group, self.progress.number)
            case "decided":
                self._pending.decide(event.xid)
            case "beat":
                self.met = max(self.met, event.beat)
        if event.kind in ("end", "prepared", "decided", "other"):
            self.progress.end(FILE, self._at)

    def _is_of_xa(self) -> bool:
        rest = self._server.binlog[self._at :]
        return next(event.kind for event in rest if event.kind in ("end", "prepared")) == "prepared"

    def reconnect(self) -> None:
        """The connection broke: go on behind the last complete transaction."""
        self._at = self.progress.complete[0].position
