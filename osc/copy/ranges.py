"""Cutting the original into ranges, in key order, each found by an index seek from where the last one ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

from osc.mysql.session import Conn
from osc.reconcile.watermarks import Watermarks
from osc.table.key import Key
from osc.table.projection import Projection
from osc.table.ranges import Range


class RangeDispatcher:
    """Hands out the next range to whichever worker asks. Thread-safe; the seek runs on the asking worker's session.

    The copy ends with the largest key that there was when it came near the end. From then on no key is above the high
    watermark, so rows that are appended later are reconciled and an append-only table comes to its end, and a row that was
    dropped before as "not copied yet" lies below that largest key, because it was visible when it was dropped.
    """

    def __init__(self, projection: Projection, watermarks: Watermarks) -> None:
        self._projection = projection
        self._watermarks = watermarks
        self._lock = threading.Lock()
        self._last: Key | None = None
        self._end_is_fixed = False
        self._is_exhausted = False

    def next(self, query: Callable[[str], Key | None], rows: int) -> Range | None:
        """The next range of about `rows` rows, already in flight; None when there is nothing left to hand out."""
        with self._lock:
            if self._is_exhausted:
                return None
            if not self._end_is_fixed:
                end = query(self._projection.range_end(self._watermarks.high, rows, None))
                if end is not None:
                    return self._watermarks.dispatch(end=end)
                self._fix_end(query)
            if self._last is None:
                self._is_exhausted = True
                return None
            end = query(self._projection.range_end(self._watermarks.high, rows, self._last))
            if end is not None:
                return self._watermarks.dispatch(end=end)
            self._is_exhausted = True
            return self._watermarks.dispatch(last=self._last)

    def _fix_end(self, query: Callable[[str], Key | None]) -> None:
        self._watermarks.open_end()
        self._last = query(self._projection.last_key())
        self._end_is_fixed = True


def one_key(connection: Conn, projection: Projection, statement: str) -> Key | None:
    """What one of the projection's key queries answers: a key, or None."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return None if row is None else projection.key_from_row(row)
