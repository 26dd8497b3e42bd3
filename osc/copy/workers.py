"""The workers that copy ranges, each a thread with a session of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pymysql

from osc.control.stop import StopRequest
from osc.copy.ranges import RangeDispatcher, one_key
from osc.copy.sizing import ChunkSizer
from osc.mysql.session import Conn, Sessions, error_code
from osc.mysql.steady import SteadySession
from osc.reconcile.watermarks import Watermarks
from osc.state.writer import GhostWriter
from osc.table.misfits import MISFIT_ERRORS, raise_misfits
from osc.table.projection import Projection
from osc.table.ranges import Range
from osc.threads import OwnedThread

MISFIT_TRIES = 3


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
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        """`gate` is called before each range; it returns when the next may be copied, and raises to stop.

        `enough`: no range is begun any more once it says so, as for a sample.
        """
        self._projection = projection
        self._watermarks = watermarks
        self._sizer = sizer
        self._open_writer = open_writer
        self._sessions = sessions
        self._gate = gate
        self._stop = stop
        self._enough = enough
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
            # Before the gate: whoever waits for a connection has no place to take from another.
            seeker.run(lambda connection: None)
            while True:
                self._gate()
                if self._enough():
                    return
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
        affected = self._insert(writer, span)
        self._watermarks.complete(span.number)
        # Without the commit: what that takes on a busy server does not become less with fewer rows.
        self._sizer.took(asked_for, writer.worked_s)
        with self._lock:
            self.rows += affected

    def _insert(self, writer: GhostWriter, span: Range) -> int:
        """Copy the range; how many rows that were. Raises ConversionFailed with the rows that the new schema refuses."""
        for _ in range(MISFIT_TRIES):
            try:
                [affected] = writer.transact([self._projection.copy_range(span)])
            except pymysql.err.MySQLError as error:
                if error_code(error) not in MISFIT_ERRORS:
                    raise
                refusal = error
            else:
                return affected
            # When it finds none, the application has just corrected the row.
            writer.run(lambda connection: self._raise_misfits(connection, span))
        raise refusal

    def _raise_misfits(self, connection: Conn, span: Range) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self._projection.keys_in_range(span))
            keys = [self._projection.key_from_row(row) for row in cursor.fetchall()]
        raise_misfits(
            connection,
            self._projection,
            keys,
            lambda some: self._projection.in_range(Range(span.number, some[0], last=some[-1])),
        )
