"""The workers that copy ranges, each a thread with a session of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from osc.control.stop import StopRequest
from osc.copy.ranges import RangeDispatcher, one_key
from osc.copy.sizing import ChunkSizer
from osc.mysql.session import Sessions
from osc.mysql.steady import SteadySession
from osc.reconcile.watermarks import Watermarks
from osc.state.writer import GhostWriter
from osc.table.projection import Projection
from osc.table.ranges import Range
from osc.threads import OwnedThread


class Copy:
    """The copy of all rows: starts the workers, counts what they did, ends them."""

    def __init__(
        self,
        projection: Projection,
        watermarks: Watermarks,
        sizer: ChunkSizer,
        open_writer: Callable[[], GhostWriter],
        sessions: Sessions,
        gate: Callable[[], None],
        stop: StopRequest,
        workers: int,
    ) -> None:
        """`gate` is called before each range; it returns when the next may be copied, and raises to stop."""
        self._projection = projection
        self._watermarks = watermarks
        self._sizer = sizer
        self._open_writer = open_writer
        self._sessions = sessions
        self._gate = gate
        self._stop = stop
        self._dispatcher = RangeDispatcher(projection, watermarks)
        self._lock = threading.Lock()
        self.rows = 0
        self.threads = [OwnedThread(f"copy-{number}", self._work) for number in range(1, workers + 1)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def _work(self) -> None:
        writer = self._open_writer()
        seeker = SteadySession(self._sessions, "find the next range", self._stop)
        try:
            while True:
                self._gate()
                asked_for = self._sizer.rows
                span = self._dispatcher.next(
                    lambda statement: seeker.run(lambda c: one_key(c, self._projection, statement)), asked_for
                )
                if span is None:
                    return
                self._copy(writer, span, asked_for)
        finally:
            writer.close()
            seeker.close()

    def _copy(self, writer: GhostWriter, span: Range, asked_for: int) -> None:
        [affected] = writer.transact([self._projection.copy_range(span)])
        self._watermarks.complete(span.number)
        # Without the commit: what that takes on a busy server does not become less with fewer rows.
        self._sizer.took(asked_for, writer.worked_s)
        with self._lock:
            self.rows += affected
