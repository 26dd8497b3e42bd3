"""Comparing sampled rows as verification does, only to learn what it costs: what differs is nobody's business here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from osc.control.stop import StopRequest
from osc.copy.ranges import RangeDispatcher, one_key
from osc.copy.sizing import ChunkSizer
from osc.mysql.session import Sessions
from osc.mysql.steady import SteadySession
from osc.prepared import TablePair
from osc.reconcile.watermarks import Watermarks
from osc.table.key import Key
from osc.threads import OwnedThread

PIECES_EACH = 2
"""The least that each worker compares of a region, where the rows are enough."""


class VerifySample:
    """Compares ranges from a key on, until there were enough rows."""

    def __init__(
        self,
        pair: TablePair,
        start: Key | None,
        rows: int,
        sizer: ChunkSizer,
        sessions: Sessions,
        gate: Callable[[], None],
        stop: StopRequest,
        workers: int,
        enough: Callable[[], bool],
    ) -> None:
        self._pair = pair
        self._watermarks = Watermarks(compares=False, may_drop=False, low=start)
        self._dispatcher = RangeDispatcher(pair.projection, self._watermarks)
        self._most = rows
        # All workers are to be at work at the same time, as in a migration: they get in each other's way.
        self._at_once = max(1, rows // (PIECES_EACH * workers))
        self._sizer = sizer
        self._sessions = sessions
        self._gate = gate
        self._stop = stop
        self._enough = enough
        self._lock = threading.Lock()
        self._begun = 0
        self.rows = 0
        self.changed_rows = 0
        """Of those, how many the conversion has changed, where losses are allowed."""
        self.threads = [OwnedThread(f"verify-sample-{number}", self._work) for number in range(1, workers + 1)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def _take(self) -> int:
        """How many rows the next range may have; 0 when there were enough."""
        with self._lock:
            rows = max(0, min(self._sizer.rows, self._at_once, self._most - self._begun))
            self._begun += rows
            return rows

    def _work(self) -> None:
        comparison = self._pair.comparison
        session = SteadySession(
            self._sessions,
            "read for verification",
            self._stop,
            variables=self._pair.session_variables,
            prepare=comparison.prepare,
        )
        try:
            session.run(lambda connection: connection.ping(reconnect=False))
            while True:
                self._gate()
                rows = 0 if self._enough() else self._take()
                if not rows:
                    return
                span = self._dispatcher.next(
                    lambda statement: session.run(lambda c: one_key(c, comparison.projection, statement)), rows
                )
                if span is None:
                    return
                began = time.monotonic()
                expected, changed = session.run(
                    lambda c, span=span: (comparison.source_sum(c, span), comparison.changed_rows(c))  # type: ignore[misc]
                )
                session.run(lambda c, span=span: comparison.ghost_sum(c, span))  # type: ignore[misc]
                self._sizer.took(rows, time.monotonic() - began)
                with self._lock:
                    self.rows += expected.rows
                    # Of rows that are large a range gets fewer than were asked for.
                    self._begun -= max(0, rows - expected.rows)
                    self.changed_rows += changed
        finally:
            session.close()
